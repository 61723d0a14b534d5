"""What a rail says of a transfer, booked and told. Callers hold the transfer's lock."""

import logging

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
# Where the rail gives none.
_REASONS = {
    State.CANCELLED: ("EXPIRED", "Nothing came of it in time."),
    State.FAILED: ("FAILED", "The rail did not carry it out."),
    State.RETURNED: ("RETURNED", "The rail gave it back."),
}


def book(transfer: Transfer, report: Report, *, actor: Actor) -> None:
    """Book what has come, and how far it is, as far as that is news. The caller saves."""
    transfer.external_id = transfer.external_id or _fitting("external_id", report.external_id)
    for arrival in _new_payments(transfer, report.arrivals):
        _receive(transfer, arrival, actor=actor)
    for outcome in _outcomes(transfer, report):
        end(transfer, outcome, actor=actor, report=report)


def _outcomes(transfer: Transfer, report: Report) -> list[Outcome]:
    """What a report means for a transfer as it stands. One said twice means nothing more."""
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
        # What had arrived went back, whatever the rail calls it.
        return [] if state in (State.ACCEPTED, State.COMPLETED) else [Outcome.RETURNED]
    if state == State.COMPLETED and status in (_Status.FAILED, _Status.CANCELLED):
        log.error("transfer %s is %s, and its rail says COMPLETED", transfer.id, status)
    return []


def end(
    transfer: Transfer, outcome: Outcome, *, actor: Actor, report: Report | None = None
) -> None:
    """Bring a locked transfer to its end: money, status, fact, and whoever it is for."""
    if outcome in (Outcome.FAILED, Outcome.RETURNED):
        code, reason = _REASONS[State.RETURNED if outcome == Outcome.RETURNED else report.state]
        transfer.failure_code = _fitting("failure_code", report.failure_code or code)
        transfer.failure_reason = _fitting("failure_reason", report.failure_reason or reason)
    is_withdrawal = transfer.direction == Transfer.Direction.WITHDRAWAL
    if outcome == Outcome.COMPLETED and not transfer.awaits_payer:
        book = postings.pay_out if is_withdrawal else _pay_in
        transfer.transaction_id = book(transfer)
    elif outcome == Outcome.RETURNED:
        transfer.return_transaction_id = postings.give_back(transfer)
    elif is_withdrawal:
        postings.release_hold(transfer)
    transfer.advance(Transfer.Status(outcome))
    if not transfer.is_open and not transfer.external_id:
        transfer.next_attempt_at = None  # the rail never heard of it
    transfer.save()
    events.record(_EVENTS[outcome], transfer, actor=actor)
    if outcome == Outcome.COMPLETED and not is_withdrawal and not transfer.awaits_payer:
        _record_funding(transfer, transfer.amount, transfer.transaction_id, actor=actor)
    callbacks.notify(transfer, outcome, actor=actor)


def _fitting(field: str, words: str) -> str:
    """What a rail says, as far as there is room for it: its words must not keep money waiting."""
    return words[: Transfer._meta.get_field(field).max_length]


def _new_payments(
    transfer: Transfer, arrivals: tuple[ReceivedPayment, ...]
) -> list[ReceivedPayment]:
    """Those not written down yet, each once."""
    if not arrivals:
        return []
    known = set(transfer.incoming_payments.values_list("external_id", flat=True))
    return [arrival for id, arrival in {a.id: a for a in arrivals}.items() if id not in known]


def _pay_in(transfer: Transfer) -> str:
    return postings.pay_in(transfer, transfer.amount)


def _receive(transfer: Transfer, arrival: ReceivedPayment, *, actor: Actor) -> None:
    """Write down one payment to our address, credit it, and tell whoever waits for it."""
    payment = IncomingPayment(
        transfer=transfer,
        kind=_kind_of(transfer, arrival),
        external_id=arrival.id,
        amount=arrival.amount,
        chain=arrival.chain,
        arrived_at=arrival.at,
        created_at=clock.now(transfer),
    )
    if payment.kind != _Kind.WRONG_CHAIN:
        payment.transaction_id = postings.pay_in(transfer, arrival.amount)
    if payment.kind in (_Kind.PARTIAL, _Kind.EXACT, _Kind.EXCESS):
        transfer.received += arrival.amount
    payment.save(force_insert=True)
    transfer.arrived = payment
    if payment.transaction_id:
        _record_funding(transfer, payment.amount, payment.transaction_id, actor=actor)
    is_complete = transfer.received >= transfer.amount and transfer.status == _Status.PROCESSING
    if is_complete:
        transfer.transaction_id = payment.transaction_id
        end(transfer, Outcome.COMPLETED, actor=actor)
    if payment.kind != _Kind.EXACT:
        callbacks.notify(transfer, Outcome(payment.kind), actor=actor)


def _kind_of(transfer: Transfer, arrival: ReceivedPayment) -> str:
    if arrival.chain.casefold() != transfer.chain:
        return _Kind.WRONG_CHAIN
    if transfer.status == _Status.COMPLETED:
        return _Kind.EXCESS
    if not transfer.is_open or arrival.at > transfer.deadline_at:
        return _Kind.LATE
    if arrival.amount < transfer.missing:
        return _Kind.PARTIAL
    return _Kind.EXACT if arrival.amount == transfer.missing else _Kind.EXCESS


def _record_funding(transfer: Transfer, amount, transaction_id: str, *, actor: Actor) -> None:
    if not postings.is_credited(transfer, transaction_id):
        return
    transfer.wallet.account.refresh_from_db()
    told = {"amount": amount, "transaction_id": transaction_id, "source": transfer.id}
    events.record("wallet.funded", transfer.wallet, actor=actor, **told)
