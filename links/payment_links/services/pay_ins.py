"""Claims of a link that receives: paid from a bank account, in USDC or from a wallet."""

from datetime import timedelta

from accounts.controls.models import Approval
from accounts.organizations.services import organizations
from accounts.pay_ins.services import pay_ins
from accounts.pay_ins.services.mandates import Acceptance
from accounts.pay_ins.services.pay_ins import PayIn
from accounts.payments.models import Payment
from accounts.transfers.rails.base import Address, Bank
from links.payment_links.models import PAYMENT_KIND, PURPOSE, Claim, PaymentLink
from links.payment_links.services import pay_requests, restrictions, settlement
from wallgent import clock
from wallgent.actors import Actor
from wallgent.errors import InvalidState

# How long a claim keeps its use while it waits for USDC; then the use is free for other payers.
ADDRESS_LIFETIME = timedelta(hours=1)

_Status = Claim.Status


def from_bank(claim: Claim, source: Bank, *, mandate: Acceptance | None, actor: Actor) -> None:
    """Debit a bank account, whose owner accepted the mandate.

    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    claim.transfer = pay_ins.debit_bank(_over_rail(claim), source, acceptance=mandate, actor=actor)
    claim.deadline_at = claim.transfer.deadline_at
    settlement.start(claim, actor=actor)


def from_chain(claim: Claim, payer: Address, *, actor: Actor) -> None:
    """Create an address for this claim alone, and wait for the payment in USDC.

    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    claim.status = _Status.AWAITING_PAYMENT
    claim.deadline_at = claim.created_at + ADDRESS_LIFETIME
    claim.transfer = pay_ins.expect_usdc(
        _over_rail(claim), chain=payer.chain, expires_at=claim.deadline_at, actor=actor
    )
    settlement.start(claim, actor=actor)


def _over_rail(claim: Claim) -> PayIn:
    link = claim.link
    return PayIn(
        wallet=link.wallet,
        amount=link.amount,
        purpose=PURPOSE,
        reference=claim.id,
        description=link.description,
        may_convert=True,  # else the link does not offer the method
    )


def from_wallet(claim: Claim, *, actor: Actor, authorized_by: Actor | None) -> None:
    """Pay now if `authorized_by` may spend from the wallet; else create a pay request.

    Raises Unauthorized, Conflict, InsufficientFunds, WalletFrozen, InvalidState, ValidationError.
    """
    if not authorized_by or not pay_ins.may_spend(authorized_by, claim.wallet):
        pay_requests.create(claim, actor=actor)
        return
    payment = _pay(claim, actor=authorized_by)
    settlement.start(claim, actor=actor, transaction_id=payment.id)
    claim.payment = payment
    settlement.settle(claim, transaction_id=payment.id, at=claim.created_at, actor=actor)
    reason = "The payment link was paid from this wallet already."
    pay_requests.withdraw([claim.link], reason, wallet=claim.wallet)


def execute(approval: Approval, *, actor: Actor) -> Payment:
    """Pay a link whose pay request was approved, if it still has a use.

    Raises InvalidState, Conflict, and what a payment raises.
    """
    link = PaymentLink.objects.locked(approval.subject_id)
    claim = Claim.objects.get(link=link, wallet=approval.wallet, status=_Status.PENDING_APPROVAL)
    claim.link, claim.wallet = link, approval.wallet
    if not link.is_open:
        raise InvalidState(
            "The payment link has been paid by somebody else, or is over. Reject this request.",
            paymentLinkId=link.id,
        )
    restrictions.check_not_used_before(claim)
    claim.payment, claim.consumes_use = _pay(claim, actor=actor), True
    # The link's organization does not learn which member or key of the other one approved.
    system = organizations.system_actor(link.organization, link.environment)
    paid = {"transaction_id": claim.payment_id, "at": clock.now(link), "actor": system}
    settlement.consume_use(claim, **paid)
    settlement.settle(claim, **paid)
    return claim.payment


def _pay(claim: Claim, *, actor: Actor) -> Payment:
    return pay_ins.pay_from_wallet(
        pay_requests.pay_in(claim.link),
        claim.wallet,
        kind=PAYMENT_KIND,
        actor=actor,
    )
