"""Banks and a chain that do not exist, for the sandbox: in seconds what takes others days.

It keeps books of its own, by the clock of the organization whose sandbox it plays in. Published
account numbers make it misbehave (docs/sandbox.md). Each call is a transaction of its own, and
refuses to be part of another: a real rail could not be, either.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction

from accounts.transfers import ethereum
from accounts.transfers.models import (
    Provider,
    RailType,
    SimulatorEntry,
    SimulatorOrder,
    SimulatorPayment,
    Transfer,
)
from accounts.transfers.rails import base
from accounts.transfers.rails.base import (
    Address,
    Bank,
    Order,
    Quote,
    RailTimeout,
    ReceivedPayment,
    Report,
    State,
)
from wallgent import clock, ids
from wallgent.environments import Environment

_State = SimulatorOrder.State

QUOTES = {
    RailType.ACH: Quote(timedelta(seconds=4), timedelta(minutes=15)),
    RailType.WIRE: Quote(timedelta(seconds=3), timedelta(minutes=15)),
    RailType.FEDNOW: Quote(timedelta(seconds=1), timedelta(minutes=15)),
    RailType.USDC: Quote(timedelta(seconds=2), timedelta(minutes=15)),
}
RETURNED_AFTER = timedelta(seconds=10)
DELAY = timedelta(seconds=60)
LOST_ANSWERS = 3
REPEATS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """What an order to a published number comes to."""

    does: str
    code: str = ""  # as the network calls it
    fails: bool = False
    returns: bool = False


SILENT_DONE, SILENT_UNDONE, LOST, REPEATED, STUCK, LATER = 30, 31, 40, 50, 60, 20

FAULTS = {
    1: Fault("insufficient funds", "R01", fails=True),
    2: Fault("account closed", "R02", fails=True),
    3: Fault("no account, or unable to locate it", "R03", fails=True),
    10: Fault("the customer says it was not authorized", "R10", returns=True),
    LATER: Fault("settles a minute later than others"),
    SILENT_DONE: Fault("takes the order, but its answer is lost"),
    SILENT_UNDONE: Fault("loses the order together with its answer"),
    LOST: Fault("does not answer the next questions about the order"),
    REPEATED: Fault("says everything again"),
    STUCK: Fault("never settles"),
}
_ACCOUNT_PREFIX = "90000000"  # …and the number of the fault


def account_number(fault: int) -> str:
    """The published bank account number that provokes a fault."""
    return f"{_ACCOUNT_PREFIX}{fault:02}"


def address(fault: int) -> str:
    """The published address that provokes a fault."""
    return f"0x{fault:040}"


_FAULTS_BY_PARTY = {f(number): number for number in FAULTS for f in (account_number, address)}


class Simulator:
    """A rail of the sandbox."""

    name = Provider.SIMULATOR.value
    is_test = True

    def quote(self, rail_type: str) -> Quote:
        return QUOTES[RailType(rail_type)]

    def deposit_address(self, order_id: str) -> str:
        digest = hashlib.sha256(f"simulator/{order_id}".encode()).hexdigest()
        return ethereum.checksum(f"0x{digest[:40]}")

    def submit(self, order: Order) -> Report:
        with transaction.atomic(durable=True):
            row, is_new = self._taken(order, _first_state(order))
            if not is_new and row.state == _State.UNHEARD:
                row.state, is_new = _State.ACCEPTED, False
                row.save(update_fields=["state"])
            report = _report(_caught_up(row))
        if is_new and row.fault in (SILENT_DONE, SILENT_UNDONE):
            raise RailTimeout("simulated: the answer is lost")
        return report

    def poll(self, order_id: str) -> Report | None:
        with transaction.atomic(durable=True):
            row = _locked(order_id)
            if row is None or row.state == _State.UNHEARD:
                return None
            is_silent = row.silences > 0
            if is_silent:
                row.silences -= 1
                row.save(update_fields=["silences"])
            report = _report(_caught_up(row))
        if is_silent:
            raise RailTimeout("simulated: the answer is lost")
        return report

    def cancel(self, order: Order) -> Report:
        with transaction.atomic(durable=True):
            row, _ = self._taken(order, _State.CANCELLED)
            row = _caught_up(row)
            if row.state in (_State.ACCEPTED, _State.UNHEARD):
                row.state, row.ended_at = _State.CANCELLED, clock.now(row)
                row.save(update_fields=["state", "ended_at"])
            return _report(row)

    def on_event(self, event: Mapping[str, Any]) -> list[str]:
        watches = SimulatorOrder.objects.watching(event["address"])
        return [ids.to_text("xfr", watch.reference) for watch in watches]

    def _taken(self, order: Order, state: str) -> tuple[SimulatorOrder, bool]:
        """The order in our books, locked; and whether it was not there before."""
        assert order.owner.environment == Environment.SANDBOX, "nobody real deals with us"
        if row := _locked(order.id):
            return row, False
        now, fault = clock.now(order.owner), _fault_of(order.party)
        settles_at = now + QUOTES[RailType(order.rail_type)].usually_within
        row, is_new = SimulatorOrder.objects.get_or_create(
            reference=ids.to_uuid(order.id),
            defaults={
                "organization": order.owner.organization,
                "direction": order.direction,
                "rail_type": order.rail_type,
                "amount": order.amount,
                "currency": order.currency,
                "party": _masked(order.party, self.deposit_address(order.id)),
                "fault": fault,
                "state": state,
                "silences": LOST_ANSWERS if fault == LOST else 0,
                "repeats": REPEATS if fault == REPEATED else 0,
                "accepted_at": now,
                "settles_at": None if fault == STUCK else settles_at + _extra(fault),
                "ended_at": now if state == _State.CANCELLED else None,
            },
        )
        return (row, True) if is_new else (_locked(order.id), False)


@transaction.atomic
def pay_address(address: str, amount: Decimal, chain: str = "ethereum") -> SimulatorPayment:
    """Let USDC arrive at an address, as if a stranger had sent it. Tells whoever watches it."""
    address, chain = ethereum.checksum(address), chain.casefold()
    watch = SimulatorOrder.objects.watching(address).select_related("organization").first()
    payment = SimulatorPayment.objects.create(
        address=address,
        chain=chain,
        amount=amount,
        paid_at=clock.now(watch) if watch else clock.real_now(),
    )
    said = partial(base.announce, Simulator.name, {"address": address})
    transaction.on_commit(said, robust=True)
    return payment


def _first_state(order: Order) -> str:
    is_lost = _fault_of(order.party) == SILENT_UNDONE
    return _State.UNHEARD if is_lost else _State.ACCEPTED


def _fault_of(party: Bank | Address | None) -> int:
    if party is None:
        return 0
    name = party.account_number if isinstance(party, Bank) else party.address
    return _FAULTS_BY_PARTY.get(name, 0)


def _masked(party: Bank | Address | None, own: str) -> str:
    if party is None:
        return own
    return f"…{party.account_number[-4:]}" if isinstance(party, Bank) else party.address


def _extra(fault: int) -> timedelta:
    return DELAY if fault == LATER else timedelta(0)


def _locked(order_id: str) -> SimulatorOrder | None:
    found = SimulatorOrder.objects.select_related("organization")
    return found.select_for_update(of=("self",)).filter(reference=ids.to_uuid(order_id)).first()


def _caught_up(row: SimulatorOrder) -> SimulatorOrder:
    """The order after all that is due by now has happened to it."""
    now = clock.now(row)
    if row.is_watch:
        _confirm(row)
        return row
    if row.state == _State.ACCEPTED and row.settles_at and row.settles_at <= now:
        fault = FAULTS.get(row.fault)
        if fault and fault.fails:
            row.state = _State.FAILED
        else:
            row.state = _State.COMPLETED
            _move(row, row.amount, row.settles_at)
        row.ended_at = row.settles_at
        if fault and fault.returns:
            row.returns_at = row.settles_at + RETURNED_AFTER
    if row.state == _State.COMPLETED and row.returns_at and row.returns_at <= now:
        row.state, row.ended_at = _State.RETURNED, row.returns_at
        _move(row, -row.amount, row.returns_at)
    row.save(update_fields=["state", "ended_at", "returns_at"])
    return row


def _move(row: SimulatorOrder, amount: Decimal, at, payment=None) -> None:
    is_out = row.direction == Transfer.Direction.WITHDRAWAL
    SimulatorEntry.objects.create(
        rail_type=row.rail_type,
        currency=row.currency,
        amount=-amount if is_out else amount,
        order=row,
        payment=payment,
        made_at=at,
    )


def _confirm(row: SimulatorOrder) -> None:
    """Take what has come to a watched address into our books, on the chain that we are on."""
    fresh = SimulatorPayment.objects.filter(address=row.party, chain="ethereum", entry=None)
    for payment in fresh.order_by("pk"):
        _move(row, payment.amount, max(payment.paid_at, row.accepted_at), payment)


def _report(row: SimulatorOrder) -> Report:
    state = State(row.state) if row.state != _State.UNHEARD else State.ACCEPTED
    fault = FAULTS.get(row.fault)
    is_refusal = state in (State.FAILED, State.RETURNED)
    look_again_at, is_over = _next(row)
    return Report(
        state=state,
        external_id=row.id,
        failure_code=fault.code if is_refusal and fault else "",
        failure_reason=f"Simulated: {fault.does}." if is_refusal and fault else "",
        arrivals=_arrivals(row) if row.is_watch else (),
        look_again_at=look_again_at,
        is_last_word=is_over,
    )


def _next(row: SimulatorOrder):
    """When there is more to say, and whether there never will be."""
    if row.is_watch:
        return None, False
    if row.state == _State.ACCEPTED:
        return row.settles_at, False
    if row.state == _State.COMPLETED and row.returns_at:
        return row.returns_at, False
    if row.repeats:
        row.repeats -= 1
        row.save(update_fields=["repeats"])
        return clock.now(row), False
    return None, True


def _arrivals(row: SimulatorOrder) -> tuple[ReceivedPayment, ...]:
    found = SimulatorPayment.objects.filter(address=row.party).order_by("pk")
    return tuple(
        ReceivedPayment(
            id=payment.id,
            amount=payment.amount,
            chain=payment.chain,
            at=max(payment.paid_at, row.accepted_at),
        )
        for payment in found
    )
