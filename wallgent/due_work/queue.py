"""Scheduling of due work, and the fair way in which workers take it."""

import threading
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, Q, When

from wallgent import clock, ids
from wallgent.due_work import kinds
from wallgent.due_work.models import NO_ORGANIZATION, DueWork
from wallgent.environments import Environment
from wallgent.task_queue import enqueue_on_commit

TASK = "wallgent.due_work.tasks.do_due_work"
WAKE_UP_SECONDS = 5  # then an unread wake-up expires; the next sweep finds the work
MAX_PAUSE = timedelta(minutes=1)
LAPSED = "lease lapsed"  # the error of a row whose worker was killed or too slow
# By a sandbox clock that was advanced, work is done in the order of its due time, this exactly:
# what is due later waits for the earlier row, also while a worker has that.
ORDER_PRECISION = timedelta(minutes=1)
_ATTEMPTS = 3  # to take a set, when other workers take the same rows at that moment

_SCHEDULE = """
INSERT INTO wallgent_duework AS w (id, kind, subject, organization_id, environment, clock, due_at,
                                   created_at, version, failures, error)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, 0, '')
ON CONFLICT (kind, subject) DO UPDATE
   SET due_at = least(w.due_at, excluded.due_at), version = w.version + 1
"""

_DELETE = """
DELETE FROM wallgent_duework w
 USING unnest(%s::uuid[], %s::int[]) AS done (id, version)
 WHERE (w.id, w.version) = (done.id, done.version) AND w.leased_until = %s
"""

# The next rows in turn: one of each lane, then a second one of each, and so on. A lane is an
# organization with one of the two clocks; the lane after the one that had the last turn is first.
# With few due lanes this probes the index once for every lane, otherwise only until enough are
# found. `until` keeps the order of a sandbox clock, and `least` ignores NULL.
_CHOOSE = """
WITH lane AS (
    SELECT o.id, c.clock, (o.id, c.clock) <= (%(lane)s, %(clock)s) AS had_turn,
           %(now)s + CASE c.clock WHEN 'SANDBOX' THEN o.ahead ELSE interval '0' END AS now
      FROM (SELECT id, sandbox_offset AS ahead FROM accounts_organization
             UNION ALL SELECT %(nobody)s, interval '0') o
     CROSS JOIN (VALUES ('REAL'), ('SANDBOX')) c (clock)
     ORDER BY had_turn, o.id, c.clock
), due AS (
    SELECT lane.*, front.ids
      FROM lane
     CROSS JOIN LATERAL (
           SELECT least(lane.now, CASE lane.clock WHEN 'SANDBOX' THEN w.due_at + %(precision)s END)
                  AS until
             FROM wallgent_duework w
            WHERE w.lane = lane.id AND w.clock = lane.clock AND w.due_at <= lane.now
              AND w.kind = ANY(%(taken)s)
            ORDER BY w.due_at LIMIT 1) earliest
     CROSS JOIN LATERAL (
           SELECT array_agg(f.id ORDER BY f.due_at) AS ids
             FROM (SELECT w.id, w.kind, w.due_at FROM wallgent_duework w
                    WHERE w.lane = lane.id AND w.clock = lane.clock AND w.due_at <= earliest.until
                      AND w.kind = ANY(%(taken)s)
                      AND (w.leased_until IS NULL OR w.leased_until <= %(now)s)
                    ORDER BY w.due_at LIMIT %(size)s) f
            WHERE f.kind = ANY(%(of)s)) front
     WHERE front.ids IS NOT NULL
     ORDER BY had_turn, lane.id, lane.clock LIMIT %(size)s
)
SELECT place.id FROM due CROSS JOIN LATERAL unnest(ids) WITH ORDINALITY AS place (id, number)
 ORDER BY place.number, had_turn, due.id, due.clock LIMIT %(size)s
"""

_turn = threading.Lock()
# The lane that had the last turn in this process. Each process begins somewhere else.
_last_lane: tuple[uuid.UUID, str] = (uuid.uuid4(), "")


def schedule(kind: str, subject: Any, *, at: datetime, real_time: bool = False) -> None:
    """Let a worker look at the subject at a time, or sooner if that is scheduled already.

    In the caller's transaction, as its last lock. `subject` has an `id`, an `organization_id`
    (None: of no organization) and an `environment`; its clock counts, unless `real_time`.
    """
    is_sandbox = subject.environment == Environment.SANDBOX and subject.organization_id
    follows = DueWork.Clock.SANDBOX if is_sandbox and not real_time else DueWork.Clock.REAL
    organization = subject.organization_id and ids.to_uuid(subject.organization_id)
    now = clock.real_now()
    row = [ids.to_uuid(ids.new("due")), kind, ids.to_uuid(subject.id), organization]
    with connection.cursor() as cursor:
        cursor.execute(_SCHEDULE, [*row, subject.environment, follows, at, now])
    if at <= (clock.now(subject) if follows == DueWork.Clock.SANDBOX else now):
        wake()


def cancel(kind: str, *subjects: Any) -> None:
    """Delete the rows of subjects with which nothing remains to do. They are locked."""
    uuids = [ids.to_uuid(subject.id) for subject in subjects]
    DueWork.objects.filter(kind=kind, subject__in=uuids).delete()


def wake() -> None:
    """Tell a free worker after commit that there is work. Best effort: a sweep heals it."""
    enqueue_on_commit(TASK, expires_seconds=WAKE_UP_SECONDS)


def finish(*rows: DueWork) -> None:
    """Delete handled rows. One that was scheduled again meanwhile is available at once instead."""
    done = [[ids.to_uuid(row.id) for row in rows], [row.version for row in rows]]
    with connection.cursor() as cursor:
        cursor.execute(_DELETE, [*done, rows[0].leased_until])
        is_complete = cursor.rowcount == len(rows)
    if not is_complete:
        _leased(*rows).update(leased_until=None, failures=0, error="")


def reschedule(row: DueWork, at: datetime) -> None:
    """Set when to look again. A row that was scheduled again meanwhile is available at once."""
    _leased(row).update(due_at=_unless_changed(row, at), leased_until=None, failures=0, error="")


@transaction.atomic
def postpone(*rows: DueWork, error: str) -> None:
    """Let failed rows wait for a growing pause: two seconds, doubled each time, up to a minute.

    `error` names the kind of failure, without details that could be secret.
    """
    for row in rows:
        _leased(row).update(
            due_at=_unless_changed(row, row.now + _pause(row)),
            leased_until=None,
            failures=row.failures + 1,
            error=error,
        )


def _pause(row: DueWork) -> timedelta:
    return min(timedelta(seconds=2 ** min(row.failures + 1, 10)), MAX_PAUSE)


def run_now(row: DueWork) -> None:
    """Make a row due now; if a worker has it, as soon as that one is done. For support."""
    due_at = Case(When(due_at__gt=row.now, then=row.now), default=F("due_at"))
    DueWork.objects.filter(pk=row.pk).update(due_at=due_at, version=F("version") + 1)
    wake()


def take(*names: str) -> list[DueWork]:
    """Lease the next set of due rows of one kind: any, or one of `names`. Empty: nothing is due.

    The organization whose turn it is decides the kind, by its earliest row. Others add rows of that
    kind, as many from each.
    """
    global _last_lane
    taken = list(names) or kinds.names()
    with _turn:
        for _ in range(_ATTEMPTS):
            with transaction.atomic(durable=True):
                chosen = _choose(taken, of=taken, size=1)
                first = DueWork.objects.filter(pk__in=chosen).first()
                if first is None:
                    return []
                kind = kinds.of(first.kind)
                if kind.set_size > 1:
                    chosen = _choose(taken, of=[kind.name], size=kind.set_size)
                rows = _lease(chosen, kind)
            _last_lane = (first.lane, first.clock)
            if rows:
                return rows
    return []


def _choose(taken: list[str], *, of: list[str], size: int) -> list[uuid.UUID]:
    """Return the next rows in turn of the kinds `of`, among the kinds that this worker takes."""
    lane, follows = _last_lane
    parameters = {
        "now": clock.real_now(),
        "lane": lane,
        "clock": follows,
        "nobody": NO_ORGANIZATION,
        "precision": ORDER_PRECISION,
        "taken": taken,
        "of": of,
        "size": size,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHOOSE, parameters)
        return [id for (id,) in cursor.fetchall()]


def _lease(chosen: list, kind: kinds.Kind) -> list[DueWork]:
    """Lease those of the rows that no other worker has or locks, the earliest first.

    A row that failed before is taken alone, so that it cannot fail a set again. If it was left by a
    worker that was killed or too slow, which counts as a failure, it waits from the second time on.
    """
    now = clock.real_now()
    free = DueWork.objects.filter(Q(leased_until=None) | Q(leased_until__lte=now), pk__in=chosen)
    free = free.select_related("organization").order_by("due_at", "pk")
    rows = list(free.select_for_update(of=("self",), no_key=True, skip_locked=True))
    for row in [row for row in rows if row.leased_until]:
        row.failures, row.error, row.leased_until = row.failures + 1, LAPSED, None
        if row.failures > 1:
            rows.remove(row)
            row.due_at = row.now + _pause(row)
        row.save(update_fields=["failures", "error", "due_at", "leased_until"])
    if rows and rows[0].failures:
        rows = rows[:1]
    rows = [row for row in rows if row is rows[0] or not row.failures]
    until = now + kind.lease
    DueWork.objects.filter(pk__in=[row.pk for row in rows]).update(leased_until=until)
    for row in rows:
        row.leased_until, row.handle_by = until, now + kind.deadline
    return rows


def left(rows: list[DueWork]) -> list[DueWork]:
    """Return the rows of a set that its handler has neither finished nor rescheduled."""
    pks = set(_leased(*rows).values_list("pk", flat=True))
    return [row for row in rows if row.pk in pks]


def _leased(*rows: DueWork):
    """The rows as far as this worker still has their lease, which also identifies it."""
    pks = [row.pk for row in rows]
    return DueWork.objects.filter(pk__in=pks, leased_until=rows[0].leased_until)


def _unless_changed(row: DueWork, at: datetime) -> Case:
    return Case(When(version=row.version, then=at), default=F("due_at"))
