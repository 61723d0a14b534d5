"""Claims: whoever knows a link's address takes what it promises."""

from django.db import transaction

from accounts.errors import WalletNotFound
from accounts.ledger import journal
from accounts.models import LinkDirection, Payment, Wallet
from accounts.services import organizations, payments, refusals, wallets
from accounts.services.payments import Order, Parties
from links.models import Claim, PaymentLink
from links.services import emails, expiry
from wallgent import clock, ids
from wallgent.actors import Actor
from wallgent.errors import (
    Conflict,
    DomainError,
    InvalidState,
    NotAvailable,
    PermissionDenied,
    ValidationError,
)
from wallgent.events import facts

_Status = PaymentLink.Status
_OVER = {
    _Status.CLAIMED: "This payment link was claimed already.",
    _Status.SETTLED: "This payment link was claimed already.",
    _Status.EXPIRED: expiry.WORDS,
    _Status.CANCELLED: "This payment link was cancelled. Ask whoever made it for a new one.",
}
# Of the wallet that the link pays from, though its hold keeps enough.
_SENDER_CANNOT = ("FROZEN", "DEBT")


def public_actor(link: PaymentLink, *, request_id: str = "") -> Actor:
    """Whoever came without a key: it acts as nobody, where the link is.

    Its address is not kept: it would be told to the link's organization, to which it is a stranger.
    """
    return Actor(
        organization=link.organization,
        environment=link.environment,
        type=organizations.system_actor(link.organization).type,
        request_id=request_id,
    )


def check_available(link: PaymentLink, *, method: str) -> None:
    """Raises NotAvailable for the ways to claim that are not built yet."""
    if link.direction != LinkDirection.SEND:
        raise NotAvailable("Paying a link that asks for money is not available on this server yet.")
    if method != Claim.Method.WALLET:
        raise NotAvailable(
            f"Claiming by {Claim.Method(method).label} is not available on this server yet. Claim"
            " to a wallet instead."
        )


def payee(wallet_id: str, *, link: PaymentLink) -> Wallet:
    """The wallet a link may pay to: anyone's, in the link's environment. Raises WalletNotFound."""
    wallet = wallets.find_parties([wallet_id]).get(wallet_id)
    if wallet is None or wallet.environment != link.environment:
        raise WalletNotFound("There is no such wallet to pay to.")
    return wallet


def admits(link: PaymentLink, email: str) -> bool:
    """Whether a link is for this e-mail address: one that names none is for all of them."""
    return not link.emails or emails.normalized(email) in link.emails


def is_met(link: PaymentLink, *, email: str, wallet_id: str) -> bool:
    """Whether a link is for somebody with this address and wallet, who may then know its sender."""
    return admits(link, email) and (not link.wallet_ids or wallet_id in link.wallet_ids)


@transaction.atomic(savepoint=False)
def open(link: PaymentLink, *, wallet: Wallet, actor: Actor, recipient_email: str = "") -> Claim:
    """Take one use of a link that sends: its amount moves from the hold to `wallet`, at once.

    Raises InvalidState, PermissionDenied, Conflict, ValidationError, NotAvailable.
    """
    check_available(link, method=Claim.Method.WALLET)
    link = PaymentLink.objects.locked(link.id)  # one claim after the other
    email = emails.normalized(recipient_email)
    _check_open(link)
    _check_restrictions(link, wallet, email)
    _check_wallet(link, wallet)
    now = clock.now(link)
    claim = Claim(
        link=link,
        method=Claim.Method.WALLET,
        wallet=wallet,
        recipient_email=email,
        amount=link.amount,
        created_at=now,
    )
    claim.payment = _pay(link, claim, actor)
    claim.save(force_insert=True)
    _count(link, claim, actor, now)
    return claim


def _check_open(link: PaymentLink) -> None:
    if link.status != _Status.ACTIVE:
        raise InvalidState(_OVER[link.status], status=link.status)
    if link.is_past_expiry:
        raise expiry.refusal(link)


def _check_restrictions(link: PaymentLink, wallet: Wallet, email: str) -> None:
    if link.emails and not email:
        raise PermissionDenied(
            "This payment link is for certain e-mail addresses. Give yours as recipientEmail."
        )
    if not admits(link, email):
        raise PermissionDenied("This payment link is not for that e-mail address.")
    if link.wallet_ids and wallet.id not in link.wallet_ids:
        raise PermissionDenied("This payment link is not for that wallet.")


def _check_wallet(link: PaymentLink, wallet: Wallet) -> None:
    where = "destination.walletId"
    if wallet.id == link.wallet_id:
        raise ValidationError(
            "A payment link cannot pay the wallet it is paid from.",
            fields={where: "is the link's own wallet"},
        )
    if wallet.currency != link.currency:
        raise ValidationError(
            f"This payment link pays {link.currency}; the wallet holds {wallet.currency}.",
            fields={where: f"must be a wallet in {link.currency}"},
        )
    if Claim.objects.filter(link=link, wallet=wallet).exists():
        raise Conflict("This wallet has claimed this payment link already.")


def _pay(link: PaymentLink, claim: Claim, actor: Actor) -> Payment:
    order = Order(
        sender_id=link.wallet_id,
        recipient_id=claim.wallet_id,
        amount=link.amount,
        currency=link.currency,
        description=link.description,
    )
    parties = Parties(order=order, sender=link.wallet, recipient=claim.wallet)
    try:
        return payments.pay_from_hold(
            parties,
            actor=actor,
            hold_id=link.hold_id,
            operation=ids.to_uuid(claim.id),
            kind=Payment.Kind.PAYMENT_LINK,
        )
    except journal.Refused as refused:
        raise _explained(refused, link, claim.wallet) from None


def _explained(refused: journal.Refused, link: PaymentLink, wallet: Wallet) -> DomainError:
    if refused.account_id == wallet.account_id:
        return refusals.explain(refused, wallet)
    if refused.outcome not in _SENDER_CANNOT:
        raise refused  # a bug of ours, not a refusal
    # Whether the sender is frozen, or in debt, is not for the recipient to know.
    return InvalidState(
        "This payment link cannot be paid out right now. Try again later, or ask whoever made it.",
        status=link.status,
    )


def _count(link: PaymentLink, claim: Claim, actor: Actor, now) -> None:
    """Note the claim on its link, and tell the link's organization."""
    link.use_count += 1
    link.payment = claim.payment
    is_last = link.use_count == link.max_uses
    told = {"actor": actor, "organizations": [link.organization], "claim": claim}
    if is_last:
        link.advance(_Status.CLAIMED, at=now)
    facts.record("payment_link.claimed", link, **told)
    # To a wallet the money is there at once.
    claim.advance(Claim.Status.SETTLED, at=now)
    if is_last:
        link.advance(_Status.SETTLED, at=now)
    facts.record("payment_link.settled", link, **told)
    claim.save(update_fields=["status", "settled_at"])
    link.save(update_fields=["status", "use_count", "payment", "claimed_at", "settled_at"])
