"""Applies a rail's reports to transfers. Callers hold the transfer's lock."""

import logging
from decimal import Decimal

from accounts.transfers.models import IncomingPayment, Transfer
from accounts.transfers.rails.base import ReceivedPayment, Report, State
from accounts.transfers.services import callbacks, postings
from accounts.transfers.services.callbacks import Outcome
from wallgent import clock, events
from wallgent.actors import Actor

log = logging.getLogger("wallgent.rails")

_Status = Transfer.Status
_Kind = IncomingPayment.Kind
_EVENTS = {
    Outcome.COMPLETED: "transfer.completed",
    Outcome.FAILED: "transfer.failed",
    Outcome.CANCELLED: "transfer.cancelled",
    Outcome.RETURNED: "transfer.returned",
}
# Failure code and reason, where the rail gives none.
_DEFAULT_REASONS = {
    State.CANCELLED: ("EXPIRED", "Nothing came of it in time."),
    State.FAILED: ("FAILED", "The rail did not carry it out."),
    State.RETURNED: ("RETURNED", "The rail gave it back."),
}


def apply_report(transfer: Transfer, report: Report, *, actor: Actor) -> None:
    """Record new payments and status changes of a report. Idempotent. The caller saves."""
    transfer.external_id = transfer.external_id or _truncate("external_id", report.external_id)
    for received in _new_payments(transfer, report.received_payments):
        _record_payment(transfer, received, actor=actor)
    for outcome in _outcomes(transfer, report):
        apply_outcome(transfer, outcome, actor=actor, report=report)


def _outcomes(transfer: Transfer, report: Report) -> list[Outcome]:
    """The outcomes that a report adds to the transfer's status; none for a repeated report."""
    status, state = transfer.status, report.state
    if status == _Status.PROCESSING:
        if state == State.RETURNED:
            return [Outcome.COMPLETED, Outcome.RETURNED]
        if state == State.CANCELLED:
            return [Outcome.CANCELLED if transfer.cancel_requested_at else Outcome.FAILED]
        is_late = transfer.deadline_at <= clock.now(transfer)
        if state == State.ACCEPTED and is_late and transfer.attempts > 1:
            log.error("transfer %s is past its deadline, and its rail keeps it", transfer.id)
        return [Outcome(state)] if state in (State.COMPLETED, State.FAILED) else []
    if status == _Status.COMPLETED and not transfer.awaits_payer:
        # After a completion, every other end state means that the money was sent back.
        return [] if state in (State.ACCEPTED, State.COMPLETED) else [Outcome.RETURNED]
    if state == State.COMPLETED and status in (_Status.FAILED, _Status.CANCELLED):
        log.error("transfer %s is %s, and its rail says COMPLETED", transfer.id, status)
    return []


def apply_outcome(
    transfer: Transfer, outcome: Outcome, *, actor: Actor, report: Report | None = None
) -> None:
    """End a locked transfer: post the money, change the status, record events, notify."""
    if outcome in (Outcome.FAILED, Outcome.RETURNED):
        state = State.RETURNED if outcome == Outcome.RETURNED else report.state
        code, reason = _DEFAULT_REASONS[state]
        transfer.failure_code = _truncate("failure_code", report.failure_code or code)
        transfer.failure_reason = _truncate("failure_reason", report.failure_reason or reason)
    is_withdrawal = transfer.direction == Transfer.Direction.WITHDRAWAL
    if outcome == Outcome.COMPLETED and not transfer.awaits_payer:
        if is_withdrawal:
            transfer.transaction_id = postings.post_withdrawal(transfer)
        else:
            transfer.transaction_id = postings.post_deposit(transfer, transfer.amount)
    elif outcome == Outcome.RETURNED:
        transfer.return_transaction_id = postings.post_return(transfer)
    elif is_withdrawal:
        postings.release_hold(transfer)
    transfer.advance(Transfer.Status(outcome))
    transfer.save()
    events.record(_EVENTS[outcome], transfer, actor=actor)
    if outcome == Outcome.COMPLETED and not is_withdrawal and not transfer.awaits_payer:
        _record_funding(transfer, transfer.amount, transfer.transaction_id, actor=actor)
    callbacks.notify(transfer, outcome, actor=actor)


def _truncate(field: str, text: str) -> str:
    """Cut a rail's text to the field's length: a database error would leave the money pending."""
    return text[: Transfer._meta.get_field(field).max_length]


def _new_payments(
    transfer: Transfer, received_payments: tuple[ReceivedPayment, ...]
) -> list[ReceivedPayment]:
    """The payments without an IncomingPayment yet, each once."""
    if not received_payments:
        return []
    known = set(transfer.incoming_payments.values_list("external_id", flat=True))
    by_id = {received.id: received for received in received_payments}
    return [received for id, received in by_id.items() if id not in known]


def _record_payment(transfer: Transfer, received: ReceivedPayment, *, actor: Actor) -> None:
    """Save a payment to our address as an IncomingPayment, credit it, and notify."""
    payment = IncomingPayment(
        transfer=transfer,
        kind=_kind_of(transfer, received),
        external_id=received.id,
        amount=received.amount,
        chain=received.chain,
        arrived_at=received.received_at,
        created_at=clock.now(transfer),
    )
    if payment.kind != _Kind.WRONG_CHAIN:
        payment.transaction_id = postings.post_deposit(transfer, received.amount)
    if payment.kind in (_Kind.PARTIAL, _Kind.EXACT, _Kind.EXCESS):
        transfer.received += received.amount
    payment.save(force_insert=True)
    transfer.incoming_payment = payment
    if payment.transaction_id:
        _record_funding(transfer, payment.amount, payment.transaction_id, actor=actor)
    is_complete = transfer.received >= transfer.amount and transfer.status == _Status.PROCESSING
    if is_complete:
        transfer.transaction_id = payment.transaction_id
        apply_outcome(transfer, Outcome.COMPLETED, actor=actor)
    if payment.kind != _Kind.EXACT:
        callbacks.notify(transfer, Outcome(payment.kind), actor=actor)


def _kind_of(transfer: Transfer, received: ReceivedPayment) -> str:
    if received.chain.casefold() != transfer.chain:
        return _Kind.WRONG_CHAIN
    if transfer.status == _Status.COMPLETED:
        return _Kind.EXCESS
    if not transfer.is_open or received.received_at > transfer.deadline_at:
        return _Kind.LATE
    if received.amount < transfer.missing:
        return _Kind.PARTIAL
    return _Kind.EXACT if received.amount == transfer.missing else _Kind.EXCESS


def _record_funding(
    transfer: Transfer, amount: Decimal, transaction_id: str, *, actor: Actor
) -> None:
    """Record wallet.funded, unless the money went into suspense."""
    if not postings.is_credited(transfer, transaction_id):
        return
    transfer.wallet.account.refresh_from_db()
    funding = {"amount": amount, "transaction_id": transaction_id, "source": transfer.id}
    events.record("wallet.funded", transfer.wallet, actor=actor, **funding)
