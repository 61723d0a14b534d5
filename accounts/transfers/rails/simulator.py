"""Simulated banks and a simulated chain for the sandbox. Transfers settle in seconds, not days.

The simulator keeps its own records, by the clock of the organization whose sandbox it serves.
Published account numbers trigger faults (docs/sandbox.md). Each call is its own transaction and
fails inside another one, as a call to a real rail could not be part of one either.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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
LOST_POLLS = 3
REPEATS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """How an order to a published account number or address misbehaves."""

    description: str
    code: str = ""  # the network's return code
    fails: bool = False
    returns: bool = False


DELAYED, ANSWER_LOST, ORDER_LOST, POLLS_LOST, REPEATED, STUCK = 20, 30, 31, 40, 50, 60

FAULTS = {
    1: Fault("insufficient funds", "R01", fails=True),
    2: Fault("account closed", "R02", fails=True),
    3: Fault("no account, or unable to locate it", "R03", fails=True),
    10: Fault("the customer says it was not authorized", "R10", returns=True),
    DELAYED: Fault("settles a minute later than others"),
    ANSWER_LOST: Fault("takes the order, but its answer is lost"),
    ORDER_LOST: Fault("loses the order together with its answer"),
    POLLS_LOST: Fault("does not answer the next questions about the order"),
    REPEATED: Fault("says everything again"),
    STUCK: Fault("never settles"),
}
_ACCOUNT_PREFIX = "90000000"  # followed by the number of the fault


def account_number(fault: int) -> str:
    """Return the published bank account number that triggers a fault."""
    return f"{_ACCOUNT_PREFIX}{fault:02}"


def address(fault: int) -> str:
    """Return the published address that triggers a fault."""
    return f"0x{fault:040}"


_FAULTS_BY_DESTINATION = {
    destination(fault): fault for fault in FAULTS for destination in (account_number, address)
}


class Simulator:
    """The rail of the sandbox. Its methods are documented in `base.Rail`."""

    name = Provider.SIMULATOR.value
    is_test = True

    def quote(self, rail_type: str) -> Quote:
        return QUOTES[RailType(rail_type)]

    def deposit_address(self, order_id: str) -> str:
        digest = hashlib.sha256(f"simulator/{order_id}".encode()).hexdigest()
        return ethereum.checksum(f"0x{digest[:40]}")

    def submit(self, order: Order) -> Report:
        with transaction.atomic(durable=True):
            row, is_new = self._get_or_create(order, _initial_state(order))
            if not is_new and row.state == _State.NOT_RECEIVED:
                row.state = _State.ACCEPTED
                row.save(update_fields=["state"])
            report = _report(_apply_due_changes(row))
        if is_new and row.fault in (ANSWER_LOST, ORDER_LOST):
            raise RailTimeout("simulated: the answer is lost")
        return report

    def poll(self, order_id: str) -> Report | None:
        with transaction.atomic(durable=True):
            row = _locked(order_id)
            if row is None or row.state == _State.NOT_RECEIVED:
                return None
            is_lost = row.silences > 0
            if is_lost:
                row.silences -= 1
                row.save(update_fields=["silences"])
            report = _report(_apply_due_changes(row))
        if is_lost:
            raise RailTimeout("simulated: the answer is lost")
        return report

    def cancel(self, order: Order) -> Report:
        with transaction.atomic(durable=True):
            row, _ = self._get_or_create(order, _State.CANCELLED)
            row = _apply_due_changes(row)
            if row.state in (_State.ACCEPTED, _State.NOT_RECEIVED):
                row.state, row.ended_at = _State.CANCELLED, clock.now(row)
                row.save(update_fields=["state", "ended_at"])
            return _report(row)

    def on_event(self, event: Mapping[str, Any]) -> list[str]:
        watches = SimulatorOrder.objects.watching(event["address"])
        return [ids.to_text("xfr", watch.reference) for watch in watches]

    def _get_or_create(self, order: Order, state: str) -> tuple[SimulatorOrder, bool]:
        """Return the recorded order, locked, and whether this call created it."""
        assert order.owner.environment == Environment.SANDBOX, "only the sandbox has a simulator"
        if row := _locked(order.id):
            return row, False
        now, fault = clock.now(order.owner), _fault_of(order.counterparty)
        settles_at = now + QUOTES[RailType(order.rail_type)].usually_within
        row, is_new = SimulatorOrder.objects.get_or_create(
            reference=ids.to_uuid(order.id),
            defaults={
                "organization": order.owner.organization,
                "direction": order.direction,
                "rail_type": order.rail_type,
                "amount": order.amount,
                "currency": order.currency,
                "party": _display_text(order.counterparty) or self.deposit_address(order.id),
                "fault": fault,
                "state": state,
                "silences": LOST_POLLS if fault == POLLS_LOST else 0,
                "repeats": REPEATS if fault == REPEATED else 0,
                "accepted_at": now,
                "settles_at": None if fault == STUCK else settles_at + _extra_delay(fault),
                "ended_at": now if state == _State.CANCELLED else None,
            },
        )
        return (row, True) if is_new else (_locked(order.id), False)


@transaction.atomic
def pay_address(address: str, amount: Decimal, chain: str = "ethereum") -> SimulatorPayment:
    """Simulate a USDC payment to an address, and publish the rail's event after commit."""
    address, chain = ethereum.checksum(address), chain.casefold()
    watch = SimulatorOrder.objects.watching(address).select_related("organization").first()
    payment = SimulatorPayment.objects.create(
        address=address,
        chain=chain,
        amount=amount,
        paid_at=clock.now(watch) if watch else clock.real_now(),
    )
    publish = partial(base.publish_event, Simulator.name, {"address": address})
    transaction.on_commit(publish, robust=True)
    return payment


def _initial_state(order: Order) -> str:
    is_lost = _fault_of(order.counterparty) == ORDER_LOST
    return _State.NOT_RECEIVED if is_lost else _State.ACCEPTED


def _fault_of(counterparty: Bank | Address | None) -> int:
    if counterparty is None:
        return 0
    is_bank = isinstance(counterparty, Bank)
    destination = counterparty.account_number if is_bank else counterparty.address
    return _FAULTS_BY_DESTINATION.get(destination, 0)


def _display_text(counterparty: Bank | Address | None) -> str:
    """The last four digits of a bank account, or an address; "" without a counterparty."""
    if counterparty is None:
        return ""
    is_bank = isinstance(counterparty, Bank)
    return f"…{counterparty.account_number[-4:]}" if is_bank else counterparty.address


def _extra_delay(fault: int) -> timedelta:
    return DELAY if fault == DELAYED else timedelta(0)


def _locked(order_id: str) -> SimulatorOrder | None:
    found = SimulatorOrder.objects.select_related("organization")
    return found.select_for_update(of=("self",)).filter(reference=ids.to_uuid(order_id)).first()


def _apply_due_changes(row: SimulatorOrder) -> SimulatorOrder:
    """Settle or return the order if that is due, or record payments to a watched address."""
    now = clock.now(row)
    if row.is_watch:
        _record_payments(row)
        return row
    if row.state == _State.ACCEPTED and row.settles_at and row.settles_at <= now:
        fault = FAULTS.get(row.fault)
        if fault and fault.fails:
            row.state = _State.FAILED
        else:
            row.state = _State.COMPLETED
            _record_entry(row, row.amount, row.settles_at)
        row.ended_at = row.settles_at
        if fault and fault.returns:
            row.returns_at = row.settles_at + RETURNED_AFTER
    if row.state == _State.COMPLETED and row.returns_at and row.returns_at <= now:
        row.state, row.ended_at = _State.RETURNED, row.returns_at
        _record_entry(row, -row.amount, row.returns_at)
    row.save(update_fields=["state", "ended_at", "returns_at"])
    return row


def _record_entry(
    row: SimulatorOrder, amount: Decimal, at: datetime, payment: SimulatorPayment | None = None
) -> None:
    is_out = row.direction == Transfer.Direction.WITHDRAWAL
    SimulatorEntry.objects.create(
        rail_type=row.rail_type,
        currency=row.currency,
        amount=-amount if is_out else amount,
        order=row,
        payment=payment,
        made_at=at,
    )


def _record_payments(row: SimulatorOrder) -> None:
    """Add entries for new payments to a watched address, on the right chain only."""
    new = SimulatorPayment.objects.filter(address=row.party, chain="ethereum", entry=None)
    for payment in new.order_by("pk"):
        _record_entry(row, payment.amount, max(payment.paid_at, row.accepted_at), payment)


def _report(row: SimulatorOrder) -> Report:
    state = State(row.state) if row.state != _State.NOT_RECEIVED else State.ACCEPTED
    fault = FAULTS.get(row.fault)
    has_reason = fault is not None and state in (State.FAILED, State.RETURNED)
    next_check_at, is_final = _next_report(row)
    return Report(
        state=state,
        external_id=row.id,
        failure_code=fault.code if has_reason else "",
        failure_reason=f"Simulated: {fault.description}." if has_reason else "",
        received_payments=_received_payments(row) if row.is_watch else (),
        next_check_at=next_check_at,
        is_final=is_final,
    )


def _next_report(row: SimulatorOrder) -> tuple[datetime | None, bool]:
    """When to poll for the next report, if known, and whether the current one is final."""
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


def _received_payments(row: SimulatorOrder) -> tuple[ReceivedPayment, ...]:
    found = SimulatorPayment.objects.filter(address=row.party).order_by("pk")
    return tuple(
        ReceivedPayment(
            id=payment.id,
            amount=payment.amount,
            chain=payment.chain,
            received_at=max(payment.paid_at, row.accepted_at),
        )
        for payment in found
    )
