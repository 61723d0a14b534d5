"""Carrying transfers out: tell the rail, ask it, book what it says.

Every step is a transaction of its own, and the rail is called between them. Before a call the
transfer already says when to look again; so whatever dies wherever, somebody looks again, asks the
rail what it knows under the transfer's id, and goes on from there.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts.models import IncomingPayment, RailType, Transfer, Wallet
from accounts.rails import directory
from accounts.rails.base import Address, Arrival, Bank, NoAnswer, Order, Report, State
from accounts.services import organizations, rail_bookings, rail_outcomes
from accounts.services.rail_outcomes import Outcome
from wallgent import clock
from wallgent.actors import Actor
from wallgent.events import facts
from wallgent.waking import wake

log = logging.getLogger("wallgent.rails")

TASK = "accounts.tasks.attend_transfer"
AT_ONCE = 1_000
LONGEST_PAUSE = timedelta(minutes=1)
FROZEN_PAUSE = timedelta(seconds=30)
# How long after its end an address is still looked at, and how often, beside what events tell: the
# longer nothing came, the less.
LATE_FOR, LATE_PAUSES = timedelta(days=30), (timedelta(hours=1), timedelta(days=1))

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


def due() -> list[str]:
    """The transfers to look after now, each by its organization's clock; some of them if many."""
    return Transfer.objects.due(clock.real_now(), AT_ONCE)


def hear(rail_name: str, event: Mapping[str, Any]) -> None:
    """A rail says that something has happened: look at once, and see for ourselves."""
    for id in directory.named(rail_name).on_event(event):
        look_now(Transfer.objects.select_related("organization").get(pk=id))


def look_now(transfer: Transfer) -> None:
    """Have a transfer looked after at once. It asks the rail, and can do no harm."""
    now = clock.now(transfer)
    later = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__gt=now)
    Transfer.objects.filter(later, pk=transfer.pk).update(next_attempt_at=now)
    wake(TASK, transfer.id)


def attend(id: str) -> None:
    """Do what is due about a transfer, if nobody else does. Running it again does no harm."""
    transfer = _take(id)
    if transfer is None:
        return
    try:
        report = _ask(transfer)
    except NoAnswer as silence:
        log.warning("transfer %s: no answer from %s: %s", id, transfer.provider, silence)
        return
    if report:
        _learn(transfer, report)
    else:
        # At its end, and the rail never heard of it.
        asked = {"pk": id, "next_attempt_at": transfer.next_attempt_at}
        Transfer.objects.filter(**asked).exclude(status__in=Transfer.OPEN).update(
            next_attempt_at=None
        )


@transaction.atomic(durable=True)
def _take(id: str) -> Transfer | None:
    """The transfer, if it is due and nobody else is at it. It says when to look again already."""
    found = Transfer.objects.with_parties().filter(pk=id, next_attempt_at__isnull=False)
    transfer = found.select_for_update(no_key=True, of=("self",), skip_locked=True).first()
    if transfer is None:
        return None
    now = clock.now(transfer)
    if transfer.next_attempt_at > now:
        return None
    if _must_wait(transfer, now):
        transfer.next_attempt_at = min(now + FROZEN_PAUSE, transfer.deadline_at)
        transfer.save(update_fields=["next_attempt_at"])
        return None
    is_new = transfer.status == _Status.PENDING
    if is_new:
        # Before it is told: if the answer is lost, or we are, it may have been done.
        transfer.advance(_Status.PROCESSING, at=now)
    transfer.attempts += 1
    transfer.next_attempt_at = now + _pause(transfer)  # if nothing is heard, or we are gone
    transfer.save(update_fields=["status", "submitted_at", "attempts", "next_attempt_at"])
    if is_new:
        facts.record("transfer.processing", transfer, actor=_system(transfer))
    return transfer


def _must_wait(transfer: Transfer, now: datetime) -> bool:
    """Whether the rail is not told of it yet."""
    is_new = transfer.status == _Status.PENDING
    return is_new and now < transfer.deadline_at and _is_kept_back(transfer)


def _is_kept_back(transfer: Transfer) -> bool:
    """Whether it is kept from the rail: nothing leaves a wallet that is frozen, or in debt.

    What has left is booked whatever the wallet holds. So a hold whose money a bank took back
    meanwhile would pay out what is not there.
    """
    wallet = transfer.wallet
    return transfer.direction == Transfer.Direction.WITHDRAWAL and (
        wallet.status == Wallet.Status.FROZEN or wallet.account.debt > 0
    )


def _pause(transfer: Transfer) -> timedelta:
    return min(timedelta(seconds=2 ** min(transfer.attempts, 10)), LONGEST_PAUSE)


def _ask(transfer: Transfer) -> Report | None:
    """What the rail says now, having been told if it knew nothing. Raises NoAnswer."""
    rail = directory.named(transfer.provider)
    if not transfer.is_open:
        return rail.poll(transfer.id)  # never again told: it has come to its end
    order = _order(transfer)
    if _is_unwanted(transfer):
        return rail.cancel(order)
    if transfer.attempts > 1 and (report := rail.poll(order.id)):
        return report
    return rail.submit(order)


def _is_unwanted(transfer: Transfer) -> bool:
    """Whether the rail shall take it back, or never take it."""
    if transfer.cancel_requested_at:
        return True
    if transfer.deadline_at > clock.now(transfer):
        return False
    # What no rail was told of is told now, however late: nobody came to it, or a sandbox's clock
    # has leapt. Not what was kept back till now, and not what nobody can pay in time any more.
    is_first = transfer.attempts == 1
    return not is_first or transfer.awaits_payer or _is_kept_back(transfer)


def _order(transfer: Transfer) -> Order:
    party = None
    if not transfer.awaits_payer:
        party = (Address if transfer.rail_type == RailType.USDC else Bank)(**transfer.party())
    return Order(
        id=transfer.id,
        owner=transfer,
        direction=transfer.direction,
        rail_type=transfer.rail_type,
        amount=transfer.amount,
        currency=RailType(transfer.rail_type).currency,
        party=party,
    )


@transaction.atomic(durable=True)
def _learn(asked: Transfer, report: Report) -> None:
    """Book what the rail says, and tell whatever the transfer is for."""
    rail_outcomes.lock(asked)
    transfer = Transfer.objects.locked(asked.id)
    actor = _system(transfer)
    transfer.external_id = transfer.external_id or _fitting("external_id", report.external_id)
    for arrival in _unheard_of(transfer, report.arrivals):
        _receive(transfer, arrival, actor=actor)
    for outcome in _outcomes(transfer, report):
        end(transfer, outcome, actor=actor, report=report)
    transfer.next_attempt_at = _next_look(asked, transfer, report)
    transfer.save(update_fields=["external_id", "received", "next_attempt_at"])


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
        book = rail_bookings.pay_out if is_withdrawal else _pay_in
        transfer.transaction_id = book(transfer)
    elif outcome == Outcome.RETURNED:
        transfer.return_transaction_id = rail_bookings.give_back(transfer)
    elif is_withdrawal:
        rail_bookings.let_go(transfer)
    transfer.advance(Transfer.Status(outcome))
    if not transfer.is_open and not transfer.external_id:
        transfer.next_attempt_at = None  # the rail never heard of it
    transfer.save()
    facts.record(_EVENTS[outcome], transfer, actor=actor)
    if outcome == Outcome.COMPLETED and not is_withdrawal and not transfer.awaits_payer:
        _tell_of_funds(transfer, transfer.amount, transfer.transaction_id, actor=actor)
    rail_outcomes.tell(transfer, outcome, actor=actor)


def _fitting(field: str, words: str) -> str:
    """What a rail says, as far as there is room for it: its words must not keep money waiting."""
    return words[: Transfer._meta.get_field(field).max_length]


def _unheard_of(transfer: Transfer, arrivals: tuple[Arrival, ...]) -> list[Arrival]:
    """Those not written down yet, each once."""
    if not arrivals:
        return []
    known = set(transfer.incoming_payments.values_list("external_id", flat=True))
    return [arrival for id, arrival in {a.id: a for a in arrivals}.items() if id not in known]


def _pay_in(transfer: Transfer) -> str:
    return rail_bookings.pay_in(transfer, transfer.amount)


def _receive(transfer: Transfer, arrival: Arrival, *, actor: Actor) -> None:
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
        payment.transaction_id = rail_bookings.pay_in(transfer, arrival.amount)
    if payment.kind in (_Kind.PARTIAL, _Kind.EXACT, _Kind.EXCESS):
        transfer.received += arrival.amount
    payment.save(force_insert=True)
    transfer.arrived = payment
    if payment.transaction_id:
        _tell_of_funds(transfer, payment.amount, payment.transaction_id, actor=actor)
    is_complete = transfer.received >= transfer.amount and transfer.status == _Status.PROCESSING
    if is_complete:
        transfer.transaction_id = payment.transaction_id
        end(transfer, Outcome.COMPLETED, actor=actor)
    if payment.kind != _Kind.EXACT:
        rail_outcomes.tell(transfer, Outcome(payment.kind), actor=actor)


def _kind_of(transfer: Transfer, arrival: Arrival) -> str:
    if arrival.chain.casefold() != transfer.chain:
        return _Kind.WRONG_CHAIN
    if transfer.status == _Status.COMPLETED:
        return _Kind.EXCESS
    if not transfer.is_open or arrival.at > transfer.deadline_at:
        return _Kind.LATE
    if arrival.amount < transfer.missing:
        return _Kind.PARTIAL
    return _Kind.EXACT if arrival.amount == transfer.missing else _Kind.EXCESS


def _tell_of_funds(transfer: Transfer, amount, transaction_id: str, *, actor: Actor) -> None:
    if not rail_bookings.is_credited(transfer, transaction_id):
        return
    transfer.wallet.account.refresh_from_db()
    told = {"amount": amount, "transaction_id": transaction_id, "source": transfer.id}
    facts.record("wallet.funded", transfer.wallet, actor=actor, **told)


def _next_look(asked: Transfer, transfer: Transfer, report: Report) -> datetime | None:
    """When to ask the rail again, as far as anybody knows."""
    now = clock.now(transfer)
    if transfer.is_open:
        look = report.look_again_at or now + _pause(transfer)
        late = now + LONGEST_PAUSE  # past it, the rail is asked to let go again and again
        look = min(look, transfer.deadline_at if transfer.deadline_at > now else late)
    elif report.is_last_word:
        look = None
    elif report.look_again_at:
        look = report.look_again_at
    else:
        since, (shortest, longest) = now - transfer.deadline_at, LATE_PAUSES
        look = now + min(max(since / 4, shortest), longest) if since < LATE_FOR else None
    if transfer.next_attempt_at != asked.next_attempt_at and transfer.next_attempt_at:
        # Somebody wanted it looked at while we asked: what we heard may be older than that.
        return min(filter(None, (look, transfer.next_attempt_at)))
    return look


def _system(transfer: Transfer) -> Actor:
    return organizations.system_actor(transfer.organization, transfer.environment)
