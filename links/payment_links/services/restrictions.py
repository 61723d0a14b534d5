"""Whom a link is for, and who somebody is: nobody takes two of its uses."""

from django.utils.crypto import salted_hmac

from accounts.transfers.services.orders import Address, Bank
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import addresses
from wallgent.errors import Conflict, PermissionDenied

Destination = Wallet | Bank | Address

_SAID = {
    Claim.Method.WALLET: "This wallet has claimed this payment link already.",
    Claim.Method.ACH: "This bank account was used for this payment link already.",
    Claim.Method.USDC: "This address was used for this payment link already.",
}
_EMAIL_SAID = "This e-mail address was used for this payment link already."


def admits(link: PaymentLink, email: str) -> bool:
    """Whether a link is for this e-mail address: one that names none is for all of them."""
    return not link.emails or addresses.normalized(email) in link.emails


def is_met(link: PaymentLink, *, email: str, wallet_id: str) -> bool:
    """Whether a link is for somebody with this address and wallet, who may then know its sender."""
    return admits(link, email) and (not link.wallet_ids or wallet_id in link.wallet_ids)


def check_email(link: PaymentLink, email: str) -> None:
    """Raises PermissionDenied unless the link is for this address."""
    if link.emails and not email:
        raise PermissionDenied(
            "This payment link is for certain e-mail addresses. Give yours as recipientEmail."
        )
    if not admits(link, email):
        raise PermissionDenied("This payment link is not for that e-mail address.")


def check_destination(link: PaymentLink, destination: Destination) -> None:
    """Raises PermissionDenied where the link is for certain wallets, and this is none of them."""
    if not link.wallet_ids:
        return
    if not isinstance(destination, Wallet):
        raise PermissionDenied("This payment link is for certain wallets only.")
    if destination.id not in link.wallet_ids:
        raise PermissionDenied("This payment link is not for that wallet.")


def check_first_time(claim: Claim) -> None:
    """Raises Conflict for whoever has one of the link's uses already."""
    if taken := has_taken(claim):
        raise Conflict(_SAID[claim.method] if taken == "person" else _EMAIL_SAID)


def has_taken(claim: Claim) -> str:
    """By what whoever makes this claim has one of the link's uses already; the link is locked."""
    taken = Claim.objects.filter(link=claim.link, takes_use=True)
    if claim.person and taken.filter(person=claim.person).exists():
        return "person"
    if claim.is_by_email and taken.filter(recipient_email=claim.recipient_email).exists():
        return "email"
    return ""


def person(link: PaymentLink, destination: Destination) -> str:
    """A digest that tells people apart, for one link, and nobody's account number.

    It is keyed: account numbers are short enough to try them all. "" is anybody.
    """
    if isinstance(destination, Wallet):
        who = destination.id
    elif isinstance(destination, Bank):
        who = f"{destination.routing_number}:{destination.account_number.lstrip('0')}"
    elif destination.address:
        who = destination.address.lower()
    else:
        return ""
    return salted_hmac("links.person", f"{link.id}:{who}", algorithm="sha256").hexdigest()
