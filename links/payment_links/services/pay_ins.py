"""Claims of a link that receives: from a bank account, from a chain, from a wallet."""

from datetime import timedelta
from functools import partial

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.organizations.services import organizations
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import Parties, PaymentRequest
from accounts.transfers.services import orders
from accounts.transfers.services.orders import Address, Bank
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import mandates, pay_requests, restrictions, settlement
from links.payment_links.services.claim_history import PURPOSE
from wallgent import clock
from wallgent.actors import Actor
from wallgent.errors import DomainError, InvalidState, Unauthorized

# How long an address is kept for whoever asked for it; then the use is free for others.
PATIENCE = timedelta(hours=1)

_Status = Claim.Status


def from_bank(
    claim: Claim, source: Bank, *, mandate: mandates.Acceptance | None, actor: Actor
) -> None:
    """Debit a bank account, whose owner has agreed to it.

    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    link = claim.link
    mandates.check(link, mandate)
    claim.transfer = orders.deposit(
        actor=actor,
        wallet=link.wallet,
        amount=link.amount,
        source=source,
        rail_type=claim.method,
        purpose=PURPOSE,
        reference=claim.id,
        description=link.description,
        may_convert=True,  # else the link does not offer the method
    )
    claim.deadline_at = claim.transfer.deadline_at
    settlement.begin(claim, actor=actor)
    mandates.keep(claim, mandate)


def from_chain(claim: Claim, payer: Address, *, actor: Actor) -> None:
    """Show an address of this claim's own, and wait for the payment.

    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    link = claim.link
    claim.status, claim.deadline_at = _Status.AWAITING_PAYMENT, claim.created_at + PATIENCE
    claim.transfer = orders.expect(
        actor=actor,
        wallet=link.wallet,
        amount=link.amount,
        purpose=PURPOSE,
        reference=claim.id,
        chain=payer.chain,
        expires_at=claim.deadline_at,
        description=link.description,
        may_convert=True,  # else the link does not offer the method
    )
    settlement.begin(claim, actor=actor)


def from_wallet(claim: Claim, *, actor: Actor, authorised_by: Actor | None) -> None:
    """Pay at once where `authorised_by` may spend from the wallet; else ask whoever owns it.

    Raises Unauthorized, Conflict, InsufficientFunds, WalletFrozen, InvalidState, ValidationError.
    """
    if authorised_by and may_spend(authorised_by, claim.wallet):
        payment = _pay(claim, actor=authorised_by)
        settlement.begin(claim, actor=actor, transaction_id=payment.id)
        claim.payment = payment
        settlement.settle(claim, transaction_id=payment.id, at=claim.created_at, actor=actor)
        words = "The payment link was paid from this wallet already."
        pay_requests.withdraw([claim.link], words, wallet=claim.wallet)
        return
    pay_requests.ask(claim, actor=actor)


def may_spend(actor: Actor, wallet: Wallet) -> bool:
    """Whether somebody with this key, or this role, may pay from the wallet."""
    return (
        actor.organization.id == wallet.organization_id
        and actor.environment == wallet.environment
        and actor.may("payments:write")
        and actor.covers(wallet.id)
    )


def check_may_be_asked(wallet: Wallet | None, link: PaymentLink) -> None:
    """Raises Unauthorized, the same one for wallets that do not exist and that nobody may ask."""
    if (
        wallet is None
        or wallet.environment != link.environment
        or wallet.status == Wallet.Status.CLOSED
        or not approvals.organization_accepts_pay_requests(wallet.organization, wallet.environment)
    ):
        raise Unauthorized(
            "Paying from a wallet needs an API key that may spend from it, and this wallet takes"
            " no pay requests. Send such a key, or pay in another way."
        )


def execute(approval: Approval, *, actor: Actor) -> Payment:
    """Pay what an organization has agreed to pay, if the link still wants it.

    Raises InvalidState, Conflict, and whatever a payment raises.
    """
    link = PaymentLink.objects.locked(approval.subject_id)
    claim = Claim.objects.get(link=link, wallet=approval.wallet, status=_Status.PENDING_APPROVAL)
    claim.link, claim.wallet = link, approval.wallet
    if link.status != PaymentLink.Status.ACTIVE or link.is_past_expiry:
        raise InvalidState(
            "The payment link has been paid by somebody else, or is over. Reject this request.",
            paymentLinkId=link.id,
        )
    restrictions.check_first_time(claim)
    nobody = organizations.system_actor(link.organization, link.environment)
    claim.payment, claim.takes_use = _pay(claim, actor=actor), True
    paid = {"transaction_id": claim.payment_id, "at": clock.now(link), "actor": nobody}
    settlement.take(claim, **paid)
    settlement.settle(claim, **paid)
    return claim.payment


def _pay(claim: Claim, *, actor: Actor) -> Payment:
    link = claim.link
    order = PaymentRequest(
        sender_id=claim.wallet_id,
        recipient_id=link.wallet_id,
        amount=link.amount,
        currency=link.currency,
        description=link.description,
    )
    parties = Parties(order=order, sender=claim.wallet, recipient=link.wallet)
    try:
        return payments.create(parties, actor=actor, kind=Payment.Kind.PAYMENT_LINK)
    except DomainError as error:
        if told := error.after_rollback:
            # A payment that failed is its payer's affair, whichever door it failed at.
            error.after_rollback = partial(_as_payer, told, actor)
        raise


def _as_payer(told, payer: Actor, *, actor: Actor) -> None:
    told(actor=payer)
