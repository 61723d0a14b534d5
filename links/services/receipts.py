"""Receipts by e-mail, in the language of whoever asks for one."""

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from links.models import Claim
from wallgent import mail
from wallgent.languages import Locale


def send(claim: Claim, *, to: str, party: dict, locale: Locale, url: str) -> None:
    """Send the receipt of a settled claim once the caller's transaction is committed.

    `party` is what its page shows of the other side. The sender's own words are left out: a
    stranger chooses the address, so the letter must not carry a text of anybody's choice.
    """
    link = claim.link
    context = {
        "claim": claim,
        "link": link,
        "party": party,
        "sender": " ".join(link.organization.name.split()),
        "amount": locale.money(claim.amount, link.currency),
        "settled": locale.minute(claim.settled_at),
        "url": url,
    }
    subject = " ".join(render_to_string("links/pay_receipt_subject.txt", context).split())
    text = render_to_string("links/pay_receipt_letter.txt", context)
    mail.send(
        EmailMessage(subject, text, to=[to]),
        organization=link.organization,
        environment=link.environment,
    )
