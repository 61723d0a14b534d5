"""Sends payment links by email."""

from django.db import transaction
from django.template.loader import render_to_string

from links.payment_links.models import PaymentLink
from links.payment_links.services import display_names
from wallgent import events, money
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import InvalidState, ValidationError
from wallgent.mail import addresses, emails, plain_text
from wallgent.mail.limits import TooManyEmails
from wallgent.mail.models import Email


@transaction.atomic(savepoint=False)
def send(link: PaymentLink, *, actor: Actor, address: str, message: str = "") -> None:
    """Send the link to an email address, with a message from its sender.

    Raises InvalidState if the link is no longer active, ValidationError if it is restricted to
    other addresses, RateLimitExceeded.
    """
    link = PaymentLink.objects.locked(link.id)
    address = addresses.normalize(address)
    if not link.is_open:
        raise InvalidState("This link is over. Make a new one and send that.")
    if link.emails and address not in link.emails:
        raise ValidationError(
            "This link is for other addresses. Send it to one of those, or make another link.",
            fields={"email": "is not among those that may use it"},
        )
    events.record("payment_link.sent", link, actor=actor, recipient=addresses.mask(address))
    subject, text = _render(link, message)
    try:
        emails.queue(
            Email.Kind.LINK,
            to=address,
            subject=subject,
            text=text,
            about=link.id,
            organization=link.organization,
            environment=link.environment,
            sender_id=actor.id,
        )
    except TooManyEmails as error:
        error.message = (
            "This address got several emails today. Copy the link and send it yourself, or send it"
            " from here tomorrow."
        )
        raise


def _render(link: PaymentLink, message: str) -> tuple[str, str]:
    has_url = plain_text.contains_url(link.description)
    context = {
        "link": link,
        "sender": display_names.in_email(link.organization) or "Somebody",
        "description": "" if has_url else link.description,  # the link's page shows it anyway
        "amount": money.display(link.amount, link.currency),
        "message": [line.strip() for line in message.splitlines()] if message.strip() else [],
        "sends": link.direction == PaymentLink.Direction.SEND,
        "is_sandbox": link.environment == Environment.SANDBOX,
        "is_unverified": link.organization.production_activated_at is None,
    }
    subject = " ".join(render_to_string("links/payment_links/email_subject.txt", context).split())
    return subject, render_to_string("links/payment_links/email.txt", context)
