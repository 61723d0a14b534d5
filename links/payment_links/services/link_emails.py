"""A link sent by e-mail, in calm words, and not too often."""

from datetime import timedelta

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string

from links.payment_links.models import Claim, PaymentLink, Sending
from links.payment_links.services import addresses, display_names
from wallgent import clock, credentials, events, money, turns
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import InvalidState, RateLimitExceeded, ValidationError
from wallgent.mail import emails

LETTERS_PER_HOUR = 60  # of a person, and of an organization
LETTERS_PER_ADDRESS = 5  # a day, of one organization
LETTERS_PER_ADDRESS_OF_ALL = 20  # a day: so no single organization uses them up for the others
RECEIPTS_PER_CLAIM = 10  # a day
RECEIPTS_PER_ADDRESS = 5  # a day, apart from the links that are sent there
_RECEIPT = Q(sent_by__startswith="clm_")  # by whoever claimed


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
    address = addresses.normalized(address)
    if link.status != PaymentLink.Status.ACTIVE or link.is_past_expiry:
        raise InvalidState("This link is over. Make a new one and send that.")
    if link.emails and address not in link.emails:
        raise ValidationError(
            "This link is for other addresses. Send it to one of those, or make another link.",
            fields={"email": "is not among those that may use it"},
        )
    _count(link, actor, address)
    events.record("payment_link.sent", link, actor=actor, recipient=masked(address))
    emails.send(
        _letter(link, address, message),
        organization=link.organization,
        environment=link.environment,
    )


def _count(link: PaymentLink, actor: Actor, address: str) -> None:
    """Note one more letter, unless there were too many lately."""
    turns.take("letters")
    # Of the person, too: organizations cost nothing. What strangers ask for is not their doing.
    ours = Sending.objects.filter(Q(organization=link.organization) | Q(sent_by=actor.id))
    hour_ago = clock.real_now() - timedelta(hours=1)
    if ours.exclude(_RECEIPT).filter(created_at__gt=hour_ago).count() >= LETTERS_PER_HOUR:
        raise RateLimitExceeded("Many letters were sent within an hour. Go on a little later.")
    # Of this environment: in the sandbox anybody sends.
    theirs = _today(address).exclude(_RECEIPT).filter(link__environment=link.environment)
    if (
        theirs.filter(organization=link.organization).count() >= LETTERS_PER_ADDRESS
        or theirs.count() >= LETTERS_PER_ADDRESS_OF_ALL
    ):
        raise RateLimitExceeded(
            "This address got several emails today. Copy the link and send it yourself, or send it"
            " from here tomorrow."
        )
    _note(link, actor.id, address)


def count_receipt(claim: Claim, address: str) -> None:
    """Note one more receipt, which a stranger asks for. Raises RateLimitExceeded."""
    turns.take("letters")
    day_ago = clock.real_now() - timedelta(days=1)
    sent = Sending.objects.filter(sent_by=claim.id, created_at__gt=day_ago)
    if sent.count() >= RECEIPTS_PER_CLAIM:
        raise RateLimitExceeded("This receipt was sent several times today. Go on tomorrow.")
    address = addresses.normalized(address)
    if _today(address).filter(_RECEIPT).count() >= RECEIPTS_PER_ADDRESS:
        raise RateLimitExceeded("This address was sent several letters today. Go on tomorrow.")
    _note(claim.link, claim.id, address)


def _today(address: str):
    """What was sent to an address within a day."""
    day_ago = clock.real_now() - timedelta(days=1)
    return Sending.objects.filter(address_digest=_digest(address), created_at__gt=day_ago)


def _note(link: PaymentLink, sent_by: str, address: str) -> None:
    Sending.objects.create(
        link=link,
        organization=link.organization,
        sent_by=sent_by,
        address_digest=_digest(address),
        created_at=clock.real_now(),
    )


def _digest(address: str) -> bytes:
    return credentials.digest(f"sending\n{address}")


def _letter(link: PaymentLink, address: str, message: str) -> EmailMessage:
    context = {
        "link": link,
        "sender": display_names.in_letter(link.organization) or "Somebody",
        # It stands on the page in any case.
        "description": "" if emails.holds_address(link.description) else link.description,
        "amount": _printed(link),
        "message": [line.strip() for line in message.splitlines()] if message.strip() else [],
        "sends": link.direction == PaymentLink.Direction.SEND,
        "is_sandbox": link.environment == Environment.SANDBOX,
        "is_unverified": link.organization.production_activated_at is None,
    }
    subject = " ".join(render_to_string("links/payment_links/email_subject.txt", context).split())
    return EmailMessage(
        subject, render_to_string("links/payment_links/email.txt", context), to=[address]
    )


def _printed(link: PaymentLink) -> str:
    whole, _, decimals = money.amount_text(link.amount).partition(".")
    return f"{int(whole):,}.{decimals} {link.currency}"


def forget() -> int:
    """Delete what is older than any limit looks back."""
    return Sending.objects.filter(created_at__lt=clock.real_now() - timedelta(days=1)).delete()[0]
