"""Carrying transfers out: tell the rail, ask it, have its word booked.

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

TASK = "accounts.tasks.attend_transfer"
SWEEP_LIMIT = 1_000
LONGEST_PAUSE = timedelta(minutes=1)
BLOCKED_PAUSE = timedelta(seconds=30)
# How long after its end an address is still looked at, and how often, beside what events tell: the
# longer nothing came, the less.
LATE_FOR, LATE_PAUSES = timedelta(days=30), (timedelta(hours=1), timedelta(days=1))

_Status = Transfer.Status


def due() -> list[str]:
    """The transfers to look after now, each by its organization's clock; some of them if many."""
    return Transfer.objects.due(clock.real_now(), SWEEP_LIMIT)


def on_rail_event(rail_name: str, event: Mapping[str, Any]) -> None:
    """A rail says that something has happened: look at once, and see for ourselves."""
    for id in directory.named(rail_name).on_event(event):
        check_now(Transfer.objects.select_related("organization").get(pk=id))


def check_now(transfer: Transfer) -> None:
    """Have a transfer looked after at once. It asks the rail, and can do no harm."""
    now = clock.now(transfer)
    later = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__gt=now)
    Transfer.objects.filter(later, pk=transfer.pk).update(next_attempt_at=now)
    enqueue_on_commit(TASK, transfer.id)


def attend(id: str) -> None:
    """Do what is due about a transfer, if nobody else does. Running it again does no harm."""
    transfer = _lease(id)
    if transfer is None:
        return
    try:
        report = _call_rail(transfer)
    except RailTimeout as silence:
        log.warning("transfer %s: no answer from %s: %s", id, transfer.provider, silence)
        return
    if report:
        _apply_report(transfer, report)
    else:
        # At its end, and the rail never heard of it.
        asked = {"pk": id, "next_attempt_at": transfer.next_attempt_at}
        Transfer.objects.filter(**asked).exclude(status__in=Transfer.OPEN).update(
            next_attempt_at=None
        )


@transaction.atomic(durable=True)
def _lease(id: str) -> Transfer | None:
    """The transfer, if it is due and nobody else is at it. It says when to look again already."""
    found = Transfer.objects.with_parties().filter(pk=id, next_attempt_at__isnull=False)
    transfer = found.select_for_update(no_key=True, of=("self",), skip_locked=True).first()
    if transfer is None:
        return None
    now = clock.now(transfer)
    if transfer.next_attempt_at > now:
        return None
    if _must_wait(transfer, now):
        transfer.next_attempt_at = min(now + BLOCKED_PAUSE, transfer.deadline_at)
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
        events.record("transfer.processing", transfer, actor=_system(transfer))
    return transfer


def _must_wait(transfer: Transfer, now: datetime) -> bool:
    """Whether the rail is not told of it yet."""
    is_new = transfer.status == _Status.PENDING
    return is_new and now < transfer.deadline_at and _is_blocked(transfer)


def _is_blocked(transfer: Transfer) -> bool:
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


def _call_rail(transfer: Transfer) -> Report | None:
    """What the rail says now, having been told if it knew nothing. Raises NoAnswer."""
    rail = directory.named(transfer.provider)
    if not transfer.is_open:
        return rail.poll(transfer.id)  # never again told: it has come to its end
    order = _order(transfer)
    if _should_cancel(transfer):
        return rail.cancel(order)
    if transfer.attempts > 1 and (report := rail.poll(order.id)):
        return report
    return rail.submit(order)


def _should_cancel(transfer: Transfer) -> bool:
    """Whether the rail shall take it back, or never take it."""
    if transfer.cancel_requested_at:
        return True
    if transfer.deadline_at > clock.now(transfer):
        return False
    # What no rail was told of is told now, however late: nobody came to it, or a sandbox's clock
    # has leapt. Not what was kept back till now, and not what nobody can pay in time any more.
    is_first = transfer.attempts == 1
    return not is_first or transfer.awaits_payer or _is_blocked(transfer)


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
def _apply_report(asked: Transfer, report: Report) -> None:
    """Book what the rail says, and tell whatever the transfer is for."""
    callbacks.lock(asked)
    transfer = Transfer.objects.locked(asked.id)
    status_updates.book(transfer, report, actor=_system(transfer))
    transfer.next_attempt_at = _next_check_at(asked, transfer, report)
    transfer.save(update_fields=["external_id", "received", "next_attempt_at"])


def _next_check_at(asked: Transfer, transfer: Transfer, report: Report) -> datetime | None:
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
