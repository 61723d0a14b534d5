"""Processing of transfers: submit them to their rail, poll it, and apply its reports.

Each step has its own transaction, and the rail is called between them. An open transfer always has
due work; so after a crash at any point, a later attempt asks the rail for the transfer by its id,
and continues from there.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from accounts.organizations.services import organizations
from accounts.transfers.models import RailType, Transfer
from accounts.transfers.rails import directory
from accounts.transfers.rails.base import Address, Bank, Order, RailTimeout, Report
from accounts.transfers.services import callbacks, status_updates
from accounts.wallets.models import Wallet
from wallgent import clock, due_work, events
from wallgent.actors import Actor
from wallgent.due_work.models import DueWork

log = logging.getLogger("wallgent.rails")

DUE_WORK = "process_transfer"
LEASE, DEADLINE = timedelta(seconds=30), timedelta(seconds=20)
MAX_RETRY_DELAY = timedelta(minutes=1)
BLOCKED_DELAY = timedelta(seconds=30)
# After its deadline an address is polled for 30 days more, besides the rail's events: less often
# the longer nothing arrives, within these two delays.
LATE_CHECK_PERIOD = timedelta(days=30)
MIN_LATE_DELAY, MAX_LATE_DELAY = timedelta(hours=1), timedelta(days=1)

_Status = Transfer.Status


def on_rail_event(rail_name: str, event: Mapping[str, Any]) -> None:
    """Check the transfers that a rail's event concerns. The event itself is not trusted."""
    for id in directory.by_name(rail_name).on_event(event):
        check_now(Transfer.objects.select_related("organization").get(pk=id))


def check_now(transfer: Transfer) -> None:
    """Make a transfer due now. Safe to repeat: it polls the rail first."""
    due_work.schedule(DUE_WORK, transfer, at=clock.now(transfer))


def process_due(rows: list[DueWork]) -> None:
    """Process a due transfer. Idempotent."""
    [row] = rows
    transfer = _begin(row)
    if transfer is None:
        return
    try:
        report = _call_rail(transfer)
    except RailTimeout as timeout:
        log.warning("transfer %s: no answer from %s: %s", transfer.id, transfer.provider, timeout)
        due_work.postpone(row, error="RailTimeout")
        return
    if report:
        _apply_report(row, transfer, report)
    else:
        due_work.finish(row)  # it has ended, and the rail never received it


@transaction.atomic(durable=True)
def _begin(row: DueWork) -> Transfer | None:
    """Return the transfer with its attempt counted, or None if it must wait."""
    transfer = Transfer.objects.locked(row.subject)
    now = clock.now(transfer)
    if _must_wait(transfer, now):
        due_work.reschedule(row, min(now + BLOCKED_DELAY, transfer.deadline_at))
        return None
    is_new = transfer.status == _Status.PENDING
    if is_new:
        # Before the call: if the answer is lost or the worker dies, the rail may have acted.
        transfer.advance(_Status.PROCESSING, at=now)
    transfer.attempts += 1
    transfer.save(update_fields=["status", "submitted_at", "attempts"])
    if is_new:
        events.record("transfer.processing", transfer, actor=_system_actor(transfer))
    return transfer


def _must_wait(transfer: Transfer, now: datetime) -> bool:
    """Whether the transfer is blocked, not submitted yet, and before its deadline."""
    is_new = transfer.status == _Status.PENDING
    return is_new and now < transfer.deadline_at and _is_blocked(transfer)


def _is_blocked(transfer: Transfer) -> bool:
    """Whether it is a withdrawal from a wallet that is frozen or in debt.

    A completed withdrawal is posted whatever the wallet's balance. So a hold whose money a bank
    took back meanwhile would pay out money that is not there.
    """
    wallet = transfer.wallet
    return transfer.direction == Transfer.Direction.WITHDRAWAL and (
        wallet.status == Wallet.Status.FROZEN or wallet.account.debt > 0
    )


def _retry_delay(transfer: Transfer) -> timedelta:
    """Two seconds after the first attempt, doubled with each, at most MAX_RETRY_DELAY."""
    return min(timedelta(seconds=2 ** min(transfer.attempts, 10)), MAX_RETRY_DELAY)


def _call_rail(transfer: Transfer) -> Report | None:
    """Submit, poll or cancel the transfer at its rail. Raises RailTimeout."""
    rail = directory.by_name(transfer.provider)
    if not transfer.is_open:
        return rail.poll(transfer.id)  # it has ended: never submit it again
    order = _order(transfer)
    if _should_cancel(transfer):
        return rail.cancel(order)
    if transfer.attempts > 1 and (report := rail.poll(order.id)):
        return report
    return rail.submit(order)


def _should_cancel(transfer: Transfer) -> bool:
    """Whether the rail should cancel it, or refuse it if it is submitted later."""
    if transfer.cancel_requested_at:
        return True
    if transfer.deadline_at > clock.now(transfer):
        return False
    # A first attempt past the deadline is still submitted: the workers were down, or a sandbox's
    # clock was advanced. Not if it was blocked until now, or no payer can be in time any more.
    is_first = transfer.attempts == 1
    return not is_first or transfer.awaits_payer or _is_blocked(transfer)


def _order(transfer: Transfer) -> Order:
    counterparty = None
    if not transfer.awaits_payer:
        kind = Address if transfer.rail_type == RailType.USDC else Bank
        counterparty = kind(**transfer.decrypted_counterparty())
    return Order(
        id=transfer.id,
        owner=transfer,
        direction=transfer.direction,
        rail_type=transfer.rail_type,
        amount=transfer.amount,
        currency=RailType(transfer.rail_type).currency,
        counterparty=counterparty,
    )


@transaction.atomic(durable=True)
def _apply_report(row: DueWork, called: Transfer, report: Report) -> None:
    """Apply a report to the transfer as it is now, and schedule the next check."""
    callbacks.lock_parents(called)
    transfer = Transfer.objects.locked(called.id)
    status_updates.apply_report(transfer, report, actor=_system_actor(transfer))
    transfer.save(update_fields=["external_id", "received"])
    if check_at := _next_check_at(transfer, report):
        due_work.reschedule(row, check_at)
    else:
        due_work.finish(row)


def _next_check_at(transfer: Transfer, report: Report) -> datetime | None:
    """Return when to poll the rail again, or None if there is nothing left to learn."""
    now = clock.now(transfer)
    if transfer.is_open:
        # Past the deadline, cancel is repeated.
        deadline = transfer.deadline_at
        latest = deadline if deadline > now else now + MAX_RETRY_DELAY
        # A payment to our address is an event of the rail: nothing is asked until the deadline.
        usual = latest if transfer.awaits_payer else now + _retry_delay(transfer)
        return min(report.next_check_at or usual, latest)
    if report.is_final:
        return None
    if report.next_check_at:
        return report.next_check_at
    late_for = now - transfer.deadline_at
    delay = min(max(late_for / 4, MIN_LATE_DELAY), MAX_LATE_DELAY)
    return now + delay if late_for < LATE_CHECK_PERIOD else None


def _system_actor(transfer: Transfer) -> Actor:
    return organizations.system_actor(transfer.organization, transfer.environment)
