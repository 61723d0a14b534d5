"""Claims of a link that sends: to a wallet at once, to a bank or a chain over a rail."""

from accounts.ledger import journal
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import Parties, PaymentRequest
from accounts.transfers.services import orders
from accounts.transfers.services.orders import Address, Bank
from accounts.wallets import ledger_errors
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import settlement
from links.payment_links.services.claim_history import PURPOSE
from wallgent import ids
from wallgent.actors import Actor
from wallgent.errors import DomainError, InvalidState

# Of the wallet that the link pays from, though its hold keeps enough.
_SENDER_CANNOT = ("FROZEN", "DEBT")


def to_wallet(claim: Claim, *, actor: Actor) -> None:
    """Pay out of the link's hold, at once. Raises InvalidState, ValidationError, InvalidAmount."""
    link, wallet = claim.link, claim.wallet
    order = PaymentRequest(
        sender_id=link.wallet_id,
        recipient_id=wallet.id,
        amount=link.amount,
        currency=link.currency,
        description=link.description,
    )
    claim.hold_id = link.hold_id
    try:
        payment = payments.pay_from_hold(
            Parties(order=order, sender=link.wallet, recipient=wallet),
            actor=actor,
            hold_id=link.hold_id,
            operation=ids.to_uuid(claim.id),
            kind=Payment.Kind.PAYMENT_LINK,
        )
    except journal.Refused as refused:
        raise _explained(refused, link, wallet) from None
    settlement.begin(claim, actor=actor, transaction_id=payment.id)
    claim.payment = payment
    settlement.settle(claim, transaction_id=payment.id, at=claim.created_at, actor=actor)


def over_rail(claim: Claim, destination: Bank | Address, *, actor: Actor) -> None:
    """Order the money out of the link's hold to a bank account or an address.

    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    link = claim.link
    claim.hold_id = link.hold_id
    claim.transfer = orders.withdraw(
        actor=actor,
        wallet=link.wallet,
        amount=link.amount,
        rail_type=claim.method,
        destination=destination,
        purpose=PURPOSE,
        reference=claim.id,
        hold_id=link.hold_id,
        description=link.description,
        may_convert=True,  # else the link does not offer the method
    )
    claim.deadline_at = claim.transfer.deadline_at
    settlement.begin(claim, actor=actor)


def _explained(refused: journal.Refused, link: PaymentLink, wallet: Wallet) -> DomainError:
    if refused.account_id == wallet.account_id:
        return ledger_errors.explain(refused, wallet)
    if refused.outcome not in _SENDER_CANNOT:
        raise refused  # a bug of ours, not a refusal
    return cannot_pay(link)


def can_pay(link: PaymentLink) -> bool:
    """Whether anything may leave the link's wallet now, though its hold keeps enough."""
    wallet = link.wallet
    return wallet.status == Wallet.Status.ACTIVE and not wallet.account.debt


def check_can_pay(link: PaymentLink) -> None:
    """Raises InvalidState while nothing may leave the link's wallet.

    Over a rail nobody else would ask: what has left is booked in any case, so a wallet whose
    deposit was taken back would pay out what it does not have.
    """
    if not can_pay(link):
        raise cannot_pay(link)


def cannot_pay(link: PaymentLink) -> InvalidState:
    """The refusal while the sender cannot pay: frozen, or in debt, is not for others to know."""
    return InvalidState(
        "This payment link cannot be paid out right now. Try again later, or ask whoever made it.",
        status=link.status,
    )
