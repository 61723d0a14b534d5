"""Helpers for tests of what waits in the queue of due work."""

from datetime import datetime, timedelta

from django.db import transaction

from wallgent import clock, ids
from wallgent.due_work import queue, worker
from wallgent.due_work.models import DueWork


def row_of(subject_id: str) -> DueWork | None:
    """Return what waits for a subject."""
    return DueWork.objects.filter(subject=ids.to_uuid(subject_id)).first()


def make_due(subject_id: str) -> None:
    """Move the time of what waits for a subject into the past."""
    DueWork.objects.filter(subject=ids.to_uuid(subject_id)).update(due_at=_past())


def work(*kinds: str) -> int:
    """Do what is due, of all kinds or some, also what failed before. Return how many rows.

    Pauses after failures are skipped, and the leases of killed workers have lapsed.
    """
    with transaction.atomic():
        DueWork.objects.filter(failures__gt=0).update(due_at=_past())
        lapse_leases()
    return worker.work(*kinds)


def take_turn(*kinds: str) -> list[str]:
    """Do one set of due work, of all kinds or some. Return the IDs of its subjects."""
    if rows := queue.take(*kinds):
        worker.handle(rows)
    return [worker.subject_id(row) for row in rows]


def lapse_leases() -> None:
    """Let time pass until the leases of killed workers have lapsed."""
    DueWork.objects.exclude(leased_until=None).update(leased_until=_past())


def _past() -> datetime:
    return clock.real_now() - timedelta(seconds=1)


def end_pauses() -> None:
    """Let rows that wait after a failure be due now."""
    DueWork.objects.filter(failures__gt=0).update(due_at=clock.real_now())
