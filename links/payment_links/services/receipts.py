"""Sends receipts of claims by email, in the active language: that of the visitor who asks."""

from datetime import UTC

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext

from links.payment_links.models import Claim
from links.payment_links.services import display_names
from wallgent import money
from wallgent.mail import emails
from wallgent.mail.models import Email
from wallgent.web import languages


def send(claim: Claim, *, to: str, party: dict, url: str) -> None:
    """Queue the receipt of a settled claim.

    `party` is what the receipt's page shows of the other side. Texts written by the sender are
    left out, because a visitor chooses the address: the only text of a user is the organization's
    name. Raises RateLimitExceeded.
    """
    link = claim.link
    with timezone.override(UTC):  # the reader's time zone is unknown
        settled = languages.minute(claim.settled_at)
    context = {
        "claim": claim,
        "link": link,
        "party": party,
        "sender": display_names.in_email(link.organization) or gettext("Somebody"),
        "amount": money.display(claim.amount, link.currency),
        "settled": settled,
        "url": url,
    }
    subject = " ".join(
        render_to_string("links/pay_page/receipt_email_subject.txt", context).split()
    )
    emails.queue(
        Email.Kind.RECEIPT,
        to=to,
        subject=subject,
        text=render_to_string("links/pay_page/receipt_email.txt", context),
        about=claim.id,
        organization=link.organization,
        environment=link.environment,
    )
