"""A link sent by e-mail, in calm words, and not too often."""

import hashlib
import hmac
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string

from links.models import PaymentLink, Sending
from links.services import emails
from wallgent import clock, mail, money
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import InvalidState, RateLimitExceeded, ValidationError
from wallgent.events import facts

LETTERS_PER_HOUR = 60  # of a person, and of an organization
LETTERS_PER_ADDRESS = 5  # a day, whoever sends them


def masked(address: str) -> str:
    """An address as one recognizes one's own: a…@example.com."""
    name, _, host = address.rpartition("@")
    return f"{name[:1]}…@{host}"


@transaction.atomic(savepoint=False)
def send(link: PaymentLink, *, actor: Actor, address: str, message: str = "") -> None:
    """Send the link to an address, with words of its maker's own.

    Raises InvalidState for a link that is over, ValidationError for an address that it is not for,
    RateLimitExceeded.
    """
    link = PaymentLink.objects.locked(link.id)
    address = emails.normalized(address)
    if link.status != PaymentLink.Status.ACTIVE or link.is_past_expiry:
        raise InvalidState("This link is over. Make a new one and send that.")
    if link.emails and address not in link.emails:
        raise ValidationError(
            "This link is for other addresses. Send it to one of those, or make another link.",
            fields={"email": "is not among those that may use it"},
        )
    _count(link, actor, address)
    facts.record("payment_link.sent", link, actor=actor, recipient=masked(address))
    mail.send(
        _letter(link, address, message),
        organization=link.organization,
        environment=link.environment,
    )


def _count(link: PaymentLink, actor: Actor, address: str) -> None:
    """Note one more letter, unless there were too many lately."""
    now = clock.real_now()
    key = settings.SECRET_KEY.encode()
    digest = hmac.new(key, f"sending\n{address}".encode(), hashlib.sha256).digest()
    # Of the person, too: organizations cost nothing.
    ours = Sending.objects.filter(Q(organization=link.organization) | Q(sent_by=actor.id))
    if ours.filter(created_at__gt=now - timedelta(hours=1)).count() >= LETTERS_PER_HOUR:
        raise RateLimitExceeded("Many letters were sent within an hour. Go on a little later.")
    theirs = Sending.objects.filter(address_digest=digest, created_at__gt=now - timedelta(days=1))
    if theirs.count() >= LETTERS_PER_ADDRESS:
        raise RateLimitExceeded("This address was sent several letters today. Go on tomorrow.")
    Sending.objects.create(
        link=link,
        organization=link.organization,
        sent_by=actor.id,
        address_digest=digest,
        created_at=now,
    )


def _letter(link: PaymentLink, address: str, message: str) -> EmailMessage:
    context = {
        "link": link,
        "sender": " ".join(link.organization.name.split()),  # a name writes no paragraphs
        "amount": _printed(link),
        "message": [line.strip() for line in message.splitlines()] if message.strip() else [],
        "sends": link.direction == PaymentLink.Direction.SEND,
        "is_sandbox": link.environment == Environment.SANDBOX,
        "is_unverified": link.organization.production_activated_at is None,
    }
    subject = " ".join(render_to_string("links/letter_subject.txt", context).split())
    return EmailMessage(subject, render_to_string("links/letter.txt", context), to=[address])


def _printed(link: PaymentLink) -> str:
    whole, _, decimals = money.amount_text(link.amount).partition(".")
    return f"{int(whole):,}.{decimals} {link.currency}"


def forget() -> int:
    """Delete what is older than any limit looks back."""
    return Sending.objects.filter(created_at__lt=clock.real_now() - timedelta(days=1)).delete()[0]
