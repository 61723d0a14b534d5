"""Handles due work: takes a set, calls its handler, takes the next."""

import logging
from datetime import timedelta

from django.db import OperationalError
from psycopg.errors import DeadlockDetected, LockNotAvailable

from wallgent import clock
from wallgent.due_work import kinds, queue
from wallgent.due_work.models import DueWork

log = logging.getLogger("wallgent.due_work")

WORK_SECONDS = 5  # of one task; then other tasks have their turn


def work(*names: str) -> int:
    """Handle due rows, of all kinds or some, until none is left or for WORK_SECONDS.

    Return how many.
    """
    until, handled = clock.real_now() + timedelta(seconds=WORK_SECONDS), 0
    while rows := queue.take(*names):
        if not handled:
            queue.wake()  # another free worker takes the next set
        handle(rows)
        handled += len(rows)
        if clock.real_now() >= until:
            queue.wake()
            break
    return handled


def handle(rows: list[DueWork]) -> None:
    """Call the handler of a set of leased rows. Rows that it does not finish are tried later."""
    kind = kinds.of(rows[0].kind)
    try:
        kind.handle(rows)
    except Exception as error:
        rows = queue.left(rows)
        cause = type(error.__cause__ or error).__name__
        if isinstance(error, OperationalError) and not (len(rows) > 1 and _is_about_a_lock(error)):
            # A lost database: every row alone would wait for the same.
            log.warning("%s of %d rows waits: %s", kind.name, len(rows), cause)
        elif len(rows) != 1:
            log.exception("%s of %d rows at once failed", kind.name, len(rows))
            _handle_one_by_one(rows)
            return
        else:
            log.exception("%s of %s failed", kind.name, subject_id(rows[0]))
        queue.postpone(*rows, error=cause)
    else:
        queue.postpone(*queue.left(rows), error="not finished")


def _is_about_a_lock(error: OperationalError) -> bool:
    # Of one subject, so that the others of the set need not wait.
    return isinstance(error.__cause__, LockNotAvailable | DeadlockDetected)


def _handle_one_by_one(rows: list[DueWork]) -> None:
    for number, row in enumerate(rows):
        if clock.real_now() >= row.handle_by:
            queue.postpone(*rows[number:], error="no time left")
            return
        handle([row])


def subject_id(row: DueWork) -> str:
    """Return the id of the row's subject, with its prefix if the kind is registered."""
    kind = kinds.of(row.kind)
    return kind.subject._meta.pk.to_python(row.subject) if kind else str(row.subject)
