"""Receipts by e-mail, in the language of whoever asks for one."""

from datetime import UTC

from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext

from links.payment_links.models import Claim
from links.payment_links.services import display_names, link_emails
from wallgent.mail import emails
from wallgent.web.languages import Locale


def send(claim: Claim, *, to: str, party: dict, locale: Locale, url: str) -> None:
    """Send the receipt of a settled claim once the caller's transaction is committed.

    Raises RateLimitExceeded where it, or that address, was sent many letters already.

    `party` is what its page shows of the other side. The sender's own words are left out: a
    stranger chooses the address, so the letter carries no text of anybody's choice but a name.
    """
    link_emails.count_receipt(claim, to)
    link = claim.link
    with timezone.override(UTC):  # of its reader's zone nothing is known
        settled = locale.minute(claim.settled_at)
    context = {
        "claim": claim,
        "link": link,
        "party": party,
        "sender": display_names.in_letter(link.organization) or gettext("Somebody"),
        "amount": locale.money(claim.amount, link.currency),
        "settled": settled,
        "url": url,
    }
    subject = " ".join(
        render_to_string("links/pay_page/receipt_email_subject.txt", context).split()
    )
    text = render_to_string("links/pay_page/receipt_email.txt", context)
    emails.send(
        EmailMessage(subject, text, to=[to]),
        organization=link.organization,
        environment=link.environment,
    )
