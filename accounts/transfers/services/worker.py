"""Processing of transfers: submit them to their rail, poll it, and apply its reports.

Each step has its own transaction, and the rail is called between them. Before a call the
transfer already has its next attempt time; so after a crash at any point, a later attempt asks the
rail for the transfer by its id, and continues from there.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts.organizations.services import organizations
from accounts.transfers.models import RailType, Transfer
from accounts.transfers.rails import directory
from accounts.transfers.rails.base import Address, Bank, Order, RailTimeout, Report
from accounts.transfers.services import callbacks, status_updates
from accounts.wallets.models import Wallet
from wallgent import clock, events
from wallgent.actors import Actor
from wallgent.task_queue import enqueue_on_commit

log = logging.getLogger("wallgent.rails")

TASK = "accounts.transfers.tasks.process_transfer"
SWEEP_LIMIT = 1_000
MAX_RETRY_DELAY = timedelta(minutes=1)
BLOCKED_DELAY = timedelta(seconds=30)
# After its deadline an address is polled for 30 days more, besides the rail's events: less often
# the longer nothing arrives, within these two delays.
LATE_CHECK_PERIOD = timedelta(days=30)
MIN_LATE_DELAY, MAX_LATE_DELAY = timedelta(hours=1), timedelta(days=1)

_Status = Transfer.Status


def due() -> list[str]:
    """Return the ids of transfers that are due by their organization's clock, up to a limit."""
    return Transfer.objects.due(clock.real_now(), SWEEP_LIMIT)


def on_rail_event(rail_name: str, event: Mapping[str, Any]) -> None:
    """Check the transfers that a rail's event concerns. The event itself is not trusted."""
    for id in directory.by_name(rail_name).on_event(event):
        check_now(Transfer.objects.select_related("organization").get(pk=id))


def check_now(transfer: Transfer) -> None:
    """Make a transfer due now and enqueue it. Safe to repeat: it polls the rail first."""
    now = clock.now(transfer)
    later = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__gt=now)
    Transfer.objects.filter(later, pk=transfer.pk).update(next_attempt_at=now)
    enqueue_on_commit(TASK, transfer.id)


def process(id: str) -> None:
    """Process a due transfer. Idempotent; skips it when another worker holds the lock."""
    transfer = _lease(id)
    if transfer is None:
        return
    try:
        report = _call_rail(transfer)
    except RailTimeout as timeout:
        log.warning("transfer %s: no answer from %s: %s", id, transfer.provider, timeout)
        return
    if report:
        _apply_report(transfer, report)
    else:
        # It has ended, and the rail never received it.
        unchanged = {"pk": id, "next_attempt_at": transfer.next_attempt_at}
        Transfer.objects.filter(**unchanged).exclude(status__in=Transfer.OPEN).update(
            next_attempt_at=None
        )


@transaction.atomic(durable=True)
def _lease(id: str) -> Transfer | None:
    """Return the transfer if it is due and not locked, with its next attempt scheduled."""
    found = Transfer.objects.with_parties().filter(pk=id, next_attempt_at__isnull=False)
    transfer = found.select_for_update(no_key=True, of=("self",), skip_locked=True).first()
    if transfer is None:
        return None
    now = clock.now(transfer)
    if transfer.next_attempt_at > now:
        return None
    if _must_wait(transfer, now):
        transfer.next_attempt_at = min(now + BLOCKED_DELAY, transfer.deadline_at)
        transfer.save(update_fields=["next_attempt_at"])
        return None
    is_new = transfer.status == _Status.PENDING
    if is_new:
        # Before the call: if the answer is lost or the worker dies, the rail may have acted.
        transfer.advance(_Status.PROCESSING, at=now)
    transfer.attempts += 1
    transfer.next_attempt_at = now + _retry_delay(transfer)  # for a timeout or a crash
    transfer.save(update_fields=["status", "submitted_at", "attempts", "next_attempt_at"])
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
def _apply_report(leased: Transfer, report: Report) -> None:
    """Apply a report to the transfer as it is now, and schedule the next check."""
    callbacks.lock_parents(leased)
    transfer = Transfer.objects.locked(leased.id)
    status_updates.apply_report(transfer, report, actor=_system_actor(transfer))
    transfer.next_attempt_at = _next_check_at(leased, transfer, report)
    transfer.save(update_fields=["external_id", "received", "next_attempt_at"])


def _next_check_at(leased: Transfer, transfer: Transfer, report: Report) -> datetime | None:
    """Return when to poll the rail again, or None if there is nothing left to learn."""
    now = clock.now(transfer)
    if transfer.is_open:
        check_at = report.next_check_at or now + _retry_delay(transfer)
        retry_at = now + MAX_RETRY_DELAY  # past the deadline, cancel is repeated
        check_at = min(check_at, transfer.deadline_at if transfer.deadline_at > now else retry_at)
    elif report.is_final:
        check_at = None
    elif report.next_check_at:
        check_at = report.next_check_at
    else:
        late_for = now - transfer.deadline_at
        delay = min(max(late_for / 4, MIN_LATE_DELAY), MAX_LATE_DELAY)
        check_at = now + delay if late_for < LATE_CHECK_PERIOD else None
    if transfer.next_attempt_at != leased.next_attempt_at and transfer.next_attempt_at:
        # A check was requested during the call: the report may be older than the request.
        return min(filter(None, (check_at, transfer.next_attempt_at)))
    return check_at


def _system_actor(transfer: Transfer) -> Actor:
    return organizations.system_actor(transfer.organization, transfer.environment)
