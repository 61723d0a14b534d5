"""Checks who may claim a link, and that each claimant uses it once."""

from django.utils.crypto import salted_hmac

from accounts.transfers.rails.base import Address, Bank
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from wallgent.errors import Conflict, PermissionDenied
from wallgent.mail import addresses

Destination = Wallet | Bank | Address

_ALREADY_USED = {
    Claim.Method.WALLET: "This wallet has claimed this payment link already.",
    Claim.Method.ACH: "This bank account was used for this payment link already.",
    Claim.Method.USDC: "This address was used for this payment link already.",
}
_EMAIL_ALREADY_USED = "This e-mail address was used for this payment link already."


def allows_email(link: PaymentLink, email: str) -> bool:
    """Whether a link may be claimed with this email. A link without emails allows all."""
    return not link.emails or addresses.normalize(email) in link.emails


def allows_claimant(link: PaymentLink, *, email: str, wallet_id: str) -> bool:
    """Whether a link is for this email and wallet, so that its sender may be shown."""
    return allows_email(link, email) and (not link.wallet_ids or wallet_id in link.wallet_ids)


def check_email(link: PaymentLink, email: str) -> None:
    """Raises PermissionDenied unless the link is for this email."""
    if link.emails and not email:
        raise PermissionDenied(
            "This payment link is for certain e-mail addresses. Give yours as recipientEmail."
        )
    if not allows_email(link, email):
        raise PermissionDenied("This payment link is not for that e-mail address.")


def check_destination(link: PaymentLink, destination: Destination) -> None:
    """Raises PermissionDenied if the link is for certain wallets, and not for this one."""
    if not link.wallet_ids:
        return
    if not isinstance(destination, Wallet):
        raise PermissionDenied("This payment link is for certain wallets only.")
    if destination.id not in link.wallet_ids:
        raise PermissionDenied("This payment link is not for that wallet.")


def check_not_used_before(claim: Claim) -> None:
    """Raises Conflict if the claimant has used the link before."""
    if match := earlier_use(claim):
        raise Conflict(_ALREADY_USED[claim.method] if match == "person" else _EMAIL_ALREADY_USED)


def earlier_use(claim: Claim) -> str:
    """How the claimant of a locked link matches an earlier use: "person", "email" or ""."""
    uses = Claim.objects.filter(link=claim.link, consumes_use=True)
    if (
        claim.claimant_fingerprint
        and uses.filter(claimant_fingerprint=claim.claimant_fingerprint).exists()
    ):
        return "person"
    if claim.is_by_email and uses.filter(recipient_email=claim.recipient_email).exists():
        return "email"
    return ""


def claimant_fingerprint(link: PaymentLink, destination: Destination) -> str:
    """A digest that identifies a claimant of one link; empty if the destination names none.

    It is keyed: account numbers are short enough to try them all.
    """
    if isinstance(destination, Wallet):
        identity = destination.id
    elif isinstance(destination, Bank):
        identity = f"{destination.routing_number}:{destination.account_number.lstrip('0')}"
    elif destination.address:
        identity = destination.address.lower()
    else:
        return ""
    return salted_hmac("links.person", f"{link.id}:{identity}", algorithm="sha256").hexdigest()
