"""Payments: from one wallet to another, alone or in an atomic batch, and back."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.db import transaction

from accounts.errors import MerchantNotFound, ReversalNotAllowed
from accounts.ledger import chart, holds, journal
from accounts.ledger.journal import Move
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
from wallgent.money import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRequest:
    """What a caller asks for: who pays whom how much. Ids are as the caller wrote them."""

    sender_id: str
    recipient_id: str | None
    amount: Decimal
    currency: str | None = None  # None is the wallet's own
    description: str = ""
    idempotency_key: str = ""
    merchant_id: str | None = None
    merchant_domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """The two wallets of an order, found and permitted."""

    order: PaymentRequest
    sender: Wallet
    recipient: Wallet


class ItemRefused(Exception):
    """A batch stops at the item `index` (from 0) for `error`."""

    def __init__(self, index: int, error: DomainError):
        super().__init__(f"item {index}: {error}")
        self.index = index
        self.error = error


def access(id: str, *, actor: Actor) -> Payment:
    """A payment the actor may see. Raises NotFound, EnvironmentMismatch, PermissionDenied."""
    uuid = ids.parse(id, "txn")
    payment = uuid and _with_reversals(Payment.objects.filter(pk=uuid)).first()
    ours, own = actor.organization.id, []
    if payment and payment.organization_id == ours:
        own.append(payment.sender_id)
    # What was never made is its sender's affair.
    if payment and payment.recipient_organization_id == ours and payment.settled_at:
        own.append(payment.recipient_id)
    if not own:
        raise NotFound("There is no such payment.")
    if payment.environment != actor.environment:
        raise EnvironmentMismatch()
    if not any(actor.covers(wallet_id) for wallet_id in own):
        raise PermissionDenied("This key's wallet scope covers neither wallet of that payment.")
    return payment


def visible_to(actor: Actor):
    """The payments the actor may list."""
    return _with_reversals(Payment.objects.visible_to(actor))


def _with_reversals(payments):
    return payments.prefetch_related("reversals")


def parties(
    order: PaymentRequest, *, actor: Actor, found: dict[str, Wallet] | None = None
) -> Parties:
    """The wallets of an order. Raises what `wallets.access` raises, or MerchantNotFound.

    `found` spares the query when the wallets of several orders were fetched at once.
    """
    if found is None:
        found = wallets.find_parties([order.sender_id, order.recipient_id or ""])
    sender = wallets.require_access(found.get(order.sender_id), actor=actor)
    if order.merchant_id or order.merchant_domain:
        raise MerchantNotFound()
    recipient = wallets.payee(found.get(order.recipient_id or ""), actor=actor)
    return Parties(order=order, sender=sender, recipient=recipient)


@transaction.atomic(savepoint=False)
def create(parties: Parties, *, actor: Actor, kind: str = Payment.Kind.PAYMENT) -> Payment:
    """Pay now. Raises ValidationError, InsufficientFunds, WalletFrozen, InvalidState.

    A refusal leaves a FAILED payment and the fact payment.failed behind.
    """
    payment = _build(parties, kind)
    try:
        settle(payment, actor=actor)
    except journal.Refused as refused:
        raise _failed(payment, refused) from None
    return payment


def settle(payment: Payment, *, actor: Actor) -> None:
    """Book the payment. Raises journal.Refused."""
    payment.status = Payment.Status.POSTED
    payment.settled_at = clock.now(payment.sender)
    prepared_queries.insert(payment)
    events.record("payment.completed", payment, actor=actor, organizations=_seen_by(payment))
    # Last, because it locks the balances that others wait for.
    journal.post_set(
        [_posting(payment)], book=payment.environment, ahead=clock.offset(payment.sender)
    )


@transaction.atomic(savepoint=False)
def pay_from_hold(
    parties: Parties, *, actor: Actor, hold_id: str, operation: UUID, kind: str
) -> Payment:
    """Pay out of what a hold keeps; `operation` names this step of the hold.

    Nothing is left of a refusal. Raises ValidationError, journal.Refused, InvalidAmount.
    """
    payment = _build(parties, kind)
    payment.status = Payment.Status.POSTED
    payment.settled_at = clock.now(payment.sender)
    payment.save(force_insert=True)
    events.record("payment.completed", payment, actor=actor, organizations=_seen_by(payment))
    holds.capture(
        hold_id,
        _posting(payment),
        amount=payment.amount + payment.fee,
        operation=operation,
        ahead=clock.offset(payment.sender),
    )
    return payment


@transaction.atomic(savepoint=False)
def create_batch(batch: list[Parties], *, actor: Actor) -> list[Payment]:
    """Pay all of them in order, or none. Raises ItemRefused with what `create` would raise."""
    payments = []
    for index, item in enumerate(batch):
        try:
            payments.append(_build(item, Payment.Kind.PAYMENT))
        except DomainError as error:
            raise ItemRefused(index, error) from None
    for payment in payments:
        payment.status = Payment.Status.POSTED
        payment.settled_at = clock.now(payment.sender)
    Payment.objects.bulk_create(payments)
    events.record_all(
        "payment.completed", [(payment, _seen_by(payment)) for payment in payments], actor=actor
    )
    try:
        journal.post_set(
            [_posting(payment) for payment in payments],
            book=actor.environment,
            ahead=clock.offset(actor),
        )
    except journal.Refused as refused:
        error = _failed(payments[refused.item], refused)
        raise ItemRefused(refused.item, error) from None
    return payments


@transaction.atomic(savepoint=False)
def reverse(payment: Payment, *, actor: Actor, reason: str = "") -> Payment:
    """Give the whole amount back to its sender; the fee stays paid. Answers the payment.

    Inside one organization either side may; between two only the recipient, so that a buyer
    cannot pull back what a seller has earned. The wallet that gives must be in the key's scope.
    Raises ReversalNotAllowed, PermissionDenied, InsufficientFunds, WalletFrozen, InvalidState.
    """
    payment = (
        Payment.objects.select_for_update(no_key=True, of=("self",))
        .select_related("sender__account", "sender__organization")
        .select_related("recipient__account", "recipient__organization")
        .get(pk=payment.pk)
    )
    _check_reversible(payment, actor)
    back = Payment(
        organization=payment.recipient.organization,
        recipient_organization=payment.sender.organization,
        environment=payment.environment,
        kind=Payment.Kind.REVERSAL,
        sender=payment.recipient,
        recipient=payment.sender,
        amount=payment.amount,
        currency=payment.currency,
        description=reason or f"Reversal of {payment.id}",
        status=Payment.Status.POSTED,
        reversal_of=payment,
        created_at=clock.now(payment.recipient),
        settled_at=clock.now(payment.recipient),
    )
    back.save(force_insert=True)
    payment.status = Payment.Status.REVERSED
    payment.save(update_fields=["status"])
    events.record(
        "payment.reversed",
        payment,
        actor=actor,
        organizations=_seen_by(payment),
        reversal=back,
        reason=reason,
    )
    try:
        journal.post_set(
            [_posting(back)], book=back.environment, ahead=clock.offset(payment.recipient)
        )
    except journal.Refused as refused:
        raise ledger_errors.explain(refused, payment.sender, payment.recipient) from None
    return _with_reversals(Payment.objects.filter(pk=payment.pk)).get()


def why_irreversible(payment: Payment, *, actor: Actor) -> DomainError | None:
    """The refusal that `reverse` would answer with as things stand, funds aside; or None."""
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


def _build(parties: Parties, kind: str) -> Payment:
    """The payment that an order comes to, not saved yet. Raises ValidationError."""
    order, sender, recipient = parties.order, parties.sender, parties.recipient
    if sender.id == recipient.id:
        raise ValidationError(
            "A wallet cannot pay itself.", fields={"to": "is the same wallet as from"}
        )
    if order.currency not in (None, sender.currency):
        raise ValidationError(
            f"The sending wallet holds {sender.currency}, not {order.currency}.",
            fields={"currency": f"must be {sender.currency}"},
        )
    if sender.currency != recipient.currency:
        raise ValidationError(
            f"The receiving wallet holds {recipient.currency}, not {sender.currency}.",
            fields={"to": f"must be a wallet in {sender.currency}"},
        )
    return Payment(
        organization=sender.organization,
        recipient_organization=recipient.organization,
        environment=sender.environment,
        kind=kind,
        sender=sender,
        recipient=recipient,
        amount=order.amount,
        fee=fees.on_payment(order.amount) if kind == Payment.Kind.PAYMENT else ZERO,
        currency=sender.currency,
        description=order.description,
        idempotency_key=order.idempotency_key,
        created_at=clock.now(sender),
    )


def _posting(payment: Payment) -> journal.Posting:
    source, target = payment.sender.account_id, payment.recipient.account_id
    moves = [Move(source, target, payment.amount, payment.currency)]
    if payment.fee:
        income = chart.fees(payment.environment, payment.currency)
        moves.append(Move(source, income, payment.fee, payment.currency))
    return journal.Posting(
        id=payment.id,
        moves=tuple(moves),
        reason=payment.kind.lower(),
        memo=payment.description,
        reverses=payment.reversal_of_id,
    )


def _seen_by(payment: Payment) -> Iterable:
    return (payment.sender.organization, payment.recipient.organization)


def _failed(payment: Payment, refused: journal.Refused) -> DomainError:
    error = ledger_errors.explain(refused, payment.sender, payment.recipient)
    error.details["transactionId"] = payment.id
    error.after_rollback = partial(_record_failure, payment, error)
    return error


def _record_failure(payment: Payment, error: DomainError, *, actor: Actor) -> None:
    payment.status = Payment.Status.FAILED
    payment.settled_at = None
    payment.failure_code, payment.failure_reason = error.code, error.message
    payment.save(force_insert=True)
    events.record("payment.failed", payment, actor=actor)
