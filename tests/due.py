"""Helpers for tests of what waits in the queue of due work."""

from datetime import timedelta

from wallgent import clock, ids
from wallgent.due_work import worker
from wallgent.due_work.models import DueWork


def row_of(subject_id: str) -> DueWork | None:
    """Return what waits for a subject."""
    return DueWork.objects.filter(subject=ids.to_uuid(subject_id)).first()


def make_due(subject_id: str) -> None:
    """Move the time of what waits for a subject into the past."""
    past = clock.real_now() - timedelta(seconds=1)
    DueWork.objects.filter(subject=ids.to_uuid(subject_id)).update(due_at=past)


def work(*kinds: str) -> int:
    """Do what is due, of all kinds or some, also what failed before. Return how many rows.

    Pauses after failures are skipped, and the leases of killed workers have lapsed.
    """
    past = clock.real_now() - timedelta(seconds=1)
    DueWork.objects.filter(failures__gt=0).update(due_at=past)
    DueWork.objects.exclude(leased_until=None).update(leased_until=past)
    return worker.work(*kinds)
