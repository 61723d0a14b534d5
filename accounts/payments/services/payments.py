"""Payments from one wallet to another, atomic batches of payments, and reversals."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.db import transaction

from accounts.ledger import chart, holds, journal
from accounts.ledger.journal import Move
from accounts.organizations.models import Organization
from accounts.payments.errors import MerchantNotFound, ReversalNotAllowed
from accounts.payments.models import Payment
from accounts.payments.services import fees
from accounts.wallets import ledger_errors
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent import clock, events, ids, prepared_queries
from wallgent.actors import Actor
from wallgent.errors import (
    DomainError,
    EnvironmentMismatch,
    NotFound,
    PermissionDenied,
    ValidationError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRequest:
    """A payment to make between two wallets. The caller has checked access to both."""

    sender: Wallet
    recipient: Wallet
    amount: Decimal
    currency: str | None = None  # None is the currency of the sender
    description: str = ""
    idempotency_key: str = ""


class ItemRefused(Exception):
    """The item `index` (from 0) of a batch is refused with `error`, so none of them is paid."""

    def __init__(self, index: int, error: DomainError):
        super().__init__(f"item {index}: {error}")
        self.index = index
        self.error = error


def access(id: str, *, actor: Actor) -> Payment:
    """Return a payment that the actor may see.

    Raises NotFound, EnvironmentMismatch, PermissionDenied.
    """
    uuid = ids.parse(id, "txn")
    payment = uuid and _with_reversals(Payment.objects.filter(pk=uuid)).first()
    organization_id, own_wallet_ids = actor.organization.id, []
    if payment and payment.organization_id == organization_id:
        own_wallet_ids.append(payment.sender_id)
    # A recipient does not see payments that never settled.
    if payment and payment.recipient_organization_id == organization_id and payment.settled_at:
        own_wallet_ids.append(payment.recipient_id)
    if not own_wallet_ids:
        raise NotFound("There is no such payment.")
    if payment.environment != actor.environment:
        raise EnvironmentMismatch()
    if not any(actor.covers(wallet_id) for wallet_id in own_wallet_ids):
        raise PermissionDenied("This key's wallet scope covers neither wallet of that payment.")
    return payment


def visible_to(actor: Actor):
    """Return the payments that the actor may list."""
    return _with_reversals(Payment.objects.visible_to(actor))


def _with_reversals(payments):
    return payments.prefetch_related("reversals")


def resolve_wallets(
    sender_id: str,
    recipient_id: str | None,
    *,
    actor: Actor,
    merchant: str | None = None,
    found: dict[str, Wallet] | None = None,
) -> tuple[Wallet, Wallet]:
    """Return the sender and the recipient of a payment that the actor wants to make.

    `merchant` is the id or domain of a merchant to pay; none exists yet. `found` holds wallets by
    id that were fetched before, for several payments in one query.
    Raises WalletNotFound, EnvironmentMismatch, PermissionDenied, MerchantNotFound.
    """
    if found is None:
        found = wallets.find_many([sender_id, recipient_id or ""])
    sender = wallets.require_access(found.get(sender_id), actor=actor)
    if merchant:
        raise MerchantNotFound()
    return sender, wallets.payee(found.get(recipient_id or ""), actor=actor)


@transaction.atomic(savepoint=False)
def create(request: PaymentRequest, *, actor: Actor, kind: str = Payment.Kind.PAYMENT) -> Payment:
    """Make a payment and settle it at once.

    A refusal leaves a FAILED payment and the event payment.failed.
    Raises ValidationError, InsufficientFunds, WalletFrozen, InvalidState, InvalidAmount.
    """
    payment = build_payment(request, kind)
    try:
        settle(payment, actor=actor)
    except journal.Refused as refused:
        raise _failure_of(payment, refused) from None
    return payment


def settle(payment: Payment, *, actor: Actor) -> None:
    """Store the payment as POSTED and post it to the ledger. Raises journal.Refused."""
    _mark_posted(payment)
    prepared_queries.insert(payment)
    events.record(
        "payment.completed", payment, actor=actor, organizations=_organizations_of(payment)
    )
    # Last, because it locks the balances that other payments wait for.
    journal.post_set(
        [_posting(payment)], book=payment.environment, ahead=clock.offset(payment.sender)
    )


@transaction.atomic(savepoint=False)
def pay_from_hold(
    request: PaymentRequest, *, actor: Actor, hold_id: str, operation: UUID, kind: str
) -> Payment:
    """Make a payment with money from a hold; `operation` is the id of this step of the hold.

    A refusal leaves nothing. Raises ValidationError, journal.Refused.
    """
    payment = build_payment(request, kind)
    _mark_posted(payment)
    payment.save(force_insert=True)
    events.record(
        "payment.completed", payment, actor=actor, organizations=_organizations_of(payment)
    )
    holds.capture(
        hold_id,
        _posting(payment),
        amount=payment.amount + payment.fee,
        operation=operation,
        ahead=clock.offset(payment.sender),
    )
    return payment


@transaction.atomic(savepoint=False)
def create_batch(requests: list[PaymentRequest], *, actor: Actor) -> list[Payment]:
    """Make all payments in order, or none. Raises ItemRefused with what `create` would raise."""
    payments = []
    for index, request in enumerate(requests):
        try:
            payments.append(build_payment(request, Payment.Kind.PAYMENT))
        except DomainError as error:
            raise ItemRefused(index, error) from None
    for payment in payments:
        _mark_posted(payment)
    Payment.objects.bulk_create(payments)
    events.record_all(
        "payment.completed",
        [(payment, _organizations_of(payment)) for payment in payments],
        actor=actor,
    )
    try:
        journal.post_set(
            [_posting(payment) for payment in payments],
            book=actor.environment,
            ahead=clock.offset(actor),
        )
    except journal.Refused as refused:
        error = _failure_of(payments[refused.item], refused)
        raise ItemRefused(refused.item, error) from None
    return payments


@transaction.atomic(savepoint=False)
def reverse(payment: Payment, *, actor: Actor, reason: str = "") -> Payment:
    """Pay the whole amount back to the sender; the fee is kept. Returns the original payment.

    Only the recipient's organization may reverse a payment, so that a buyer cannot take back what
    a seller has earned. The recipient's wallet must be in the key's scope.
    Raises ReversalNotAllowed, PermissionDenied, InsufficientFunds, WalletFrozen, InvalidState.
    """
    payment = (
        Payment.objects.select_for_update(no_key=True, of=("self",))
        .select_related("sender__account", "sender__organization")
        .select_related("recipient__account", "recipient__organization")
        .get(pk=payment.pk)
    )
    _check_reversible(payment, actor)
    reversal = Payment(
        organization=payment.recipient.organization,
        recipient_organization=payment.sender.organization,
        environment=payment.environment,
        kind=Payment.Kind.REVERSAL,
        sender=payment.recipient,
        recipient=payment.sender,
        amount=payment.amount,
        currency=payment.currency,
        description=reason or f"Reversal of {payment.id}",
        reversal_of=payment,
        created_at=clock.now(payment.recipient),
    )
    _mark_posted(reversal)
    reversal.save(force_insert=True)
    payment.status = Payment.Status.REVERSED
    payment.save(update_fields=["status"])
    events.record(
        "payment.reversed",
        payment,
        actor=actor,
        organizations=_organizations_of(payment),
        reversal_transaction_id=reversal.id,
        reason=reason,
    )
    try:
        journal.post_set(
            [_posting(reversal)], book=reversal.environment, ahead=clock.offset(payment.recipient)
        )
    except journal.Refused as refused:
        raise ledger_errors.explain(refused, payment.sender, payment.recipient) from None
    return _with_reversals(Payment.objects.filter(pk=payment.pk)).get()


def reversal_blocker(payment: Payment, *, actor: Actor) -> DomainError | None:
    """Return the error that `reverse` would raise now, or None. Does not check funds."""
    try:
        _check_reversible(payment, actor)
    except DomainError as refusal:
        return refusal
    return None


def _check_reversible(payment: Payment, actor: Actor) -> None:
    if payment.recipient_organization_id != actor.organization.id:
        raise ReversalNotAllowed(
            "Only the recipient can give this payment back: ask the recipient.",
            paymentId=payment.id,
        )
    if not actor.covers(payment.recipient_id):
        raise PermissionDenied(
            "A reversal takes the money from the receiving wallet, which is outside this key's"
            " wallet scope."
        )
    if payment.kind == Payment.Kind.REVERSAL:
        raise ReversalNotAllowed("A reversal cannot itself be reversed.", paymentId=payment.id)
    if payment.status != Payment.Status.POSTED:
        raise ReversalNotAllowed(
            f"Only a POSTED payment can be reversed; this one is {payment.status}.",
            paymentId=payment.id,
            status=payment.status,
        )


def build_payment(request: PaymentRequest, kind: str) -> Payment:
    """Build the payment with its fee, unsaved. Raises ValidationError."""
    sender, recipient = request.sender, request.recipient
    if sender.id == recipient.id:
        raise ValidationError(
            "A wallet cannot pay itself.", fields={"to": "is the same wallet as from"}
        )
    if request.currency not in (None, sender.currency):
        raise ValidationError(
            f"The sending wallet holds {sender.currency}, not {request.currency}.",
            fields={"currency": f"must be {sender.currency}"},
        )
    if sender.currency != recipient.currency:
        raise ValidationError(
            f"The receiving wallet holds {recipient.currency}, not {sender.currency}.",
            fields={"to": f"must be a wallet in {sender.currency}"},
        )
    payment = Payment(
        organization=sender.organization,
        recipient_organization=recipient.organization,
        environment=sender.environment,
        kind=kind,
        sender=sender,
        recipient=recipient,
        amount=request.amount,
        currency=sender.currency,
        description=request.description,
        idempotency_key=request.idempotency_key,
        created_at=clock.now(sender),
    )
    if payment.movement.has_fee:
        payment.fee = fees.on_payment(payment.amount)
    return payment


def _mark_posted(payment: Payment) -> None:
    payment.status = Payment.Status.POSTED
    now = clock.real_now()
    payment.settled_at = now + clock.offset(payment.sender)
    payment.received_at = now + clock.offset(payment.recipient)


def _posting(payment: Payment) -> journal.Posting:
    source, target = payment.sender.account_id, payment.recipient.account_id
    moves = [Move(source, target, payment.amount, payment.currency)]
    if payment.fee:
        income = chart.fees(payment.environment, payment.currency)
        moves.append(Move(source, income, payment.fee, payment.currency))
    return journal.Posting(
        id=payment.id,
        moves=tuple(moves),
        reason=payment.movement.reason,
        memo=payment.description,
        reverses=payment.reversal_of_id,
        recipient_ahead=clock.offset(payment.recipient),
    )


def _organizations_of(payment: Payment) -> Iterable[Organization]:
    return (payment.sender.organization, payment.recipient.organization)


def _failure_of(payment: Payment, refused: journal.Refused) -> DomainError:
    """Return the error for a refused payment, which stores it as FAILED after the rollback."""
    error = ledger_errors.explain(refused, payment.sender, payment.recipient)
    error.details["transactionId"] = payment.id
    error.after_rollback = partial(_record_failure, payment, error)
    return error


def _record_failure(payment: Payment, error: DomainError, *, actor: Actor) -> None:
    payment.status = Payment.Status.FAILED
    payment.settled_at = payment.received_at = None
    payment.failure_code, payment.failure_reason = error.code, error.message
    payment.save(force_insert=True)
    events.record("payment.failed", payment, actor=actor)
