"""Payouts of SEND links: to a wallet at once, to a bank account or an address over a rail."""

from accounts.ledger import journal
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.transfers.rails.base import Address, Bank
from accounts.transfers.services import orders
from accounts.wallets import ledger_errors
from accounts.wallets.models import Wallet
from links.payment_links.models import PAYMENT_KIND, PURPOSE, Claim, PaymentLink
from links.payment_links.services import settlement
from wallgent import ids
from wallgent.actors import Actor
from wallgent.errors import DomainError, InvalidState

# Outcomes of the ledger for the link's wallet, although its hold covers the amount.
_SENDER_OUTCOMES = ("FROZEN", "DEBT")


def to_wallet(claim: Claim, *, actor: Actor) -> None:
    """Pay a claim from the link's hold. Raises InvalidState, ValidationError, InvalidAmount."""
    link, wallet = claim.link, claim.wallet
    payment_request = PaymentRequest(
        sender=link.wallet,
        recipient=wallet,
        amount=link.amount,
        currency=link.currency,
        description=link.description,
    )
    claim.hold_id = link.hold_id
    try:
        payment = payments.pay_from_hold(
            payment_request,
            actor=actor,
            hold_id=link.hold_id,
            operation=ids.to_uuid(claim.id),
            kind=PAYMENT_KIND,
        )
    except journal.Refused as refused:
        raise _domain_error(refused, link, wallet) from None
    settlement.start(claim, actor=actor, transaction_id=payment.id)
    claim.payment = payment
    settlement.settle(claim, transaction_id=payment.id, at=claim.created_at, actor=actor)


def over_rail(claim: Claim, destination: Bank | Address, *, actor: Actor) -> None:
    """Create a transfer from the link's hold to a bank account or an address.

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
        may_convert=True,  # the link offers the method only if it may
    )
    claim.deadline_at = claim.transfer.deadline_at
    settlement.start(claim, actor=actor)


def _domain_error(refused: journal.Refused, link: PaymentLink, wallet: Wallet) -> DomainError:
    if refused.account_id == wallet.account_id:
        return ledger_errors.explain(refused, wallet)
    if refused.outcome not in _SENDER_OUTCOMES:
        raise refused  # a bug, not an expected refusal
    return _sender_refusal(link)


def can_pay(link: PaymentLink) -> bool:
    """Whether the link's wallet may pay now: it is active and has no debt."""
    wallet = link.wallet
    return wallet.status == Wallet.Status.ACTIVE and not wallet.account.debt


def check_can_pay(link: PaymentLink) -> None:
    """Raises InvalidState while the link's wallet may not pay.

    Nothing else checks this for a rail: a completed transfer is posted in any case, so a wallet
    in debt after a returned deposit would pay out money it does not have.
    """
    if not can_pay(link):
        raise _sender_refusal(link)


def _sender_refusal(link: PaymentLink) -> InvalidState:
    """The error while the sender cannot pay. It does not disclose a freeze or a debt."""
    return InvalidState(
        "This payment link cannot be paid out right now. Try again later, or ask whoever made it.",
        status=link.status,
    )
