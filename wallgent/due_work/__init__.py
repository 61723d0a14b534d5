"""Work that waits for a time: one queue for every package.

A row names a kind of work, its subject, and when it is due by the clock of the subject's
organization (or by real time). A kind is registered at start:

    due_work.register("expire_link", expire_set, subject=PaymentLink, label="Expire payment links",
                      set_size=100, lease=timedelta(minutes=1), deadline=timedelta(seconds=30))

A service schedules work in the transaction of its change:

    due_work.schedule("expire_link", link, at=link.expires_at)

There is one row for a kind and subject. Scheduling again can make it due sooner, never later, and
is not lost while a worker has the row. `cancel` deletes the row.

Workers take rows in sets of one kind, from each organization in turn, earliest first, by a
committed lease, and call the handler with the set. A row gives no authority: the handler

1. locks the subject of each row, then reads its state again: it may have ended, not be due yet, or
   be in the hands of another worker whose lease lapsed;
2. in the same transaction as its effect calls `finish(*rows)`, or `reschedule(row, at)` for a later
   look, or after an expected failure `postpone(row, error=…)`. These lock the row: always after its
   subject, as `schedule` and `cancel` do;
3. begins nothing new after `row.handle_by`, which is before the lease lapses.

A handler may use several transactions with network calls between them. If it raises an error, or
leaves a row without 2, the row is tried again after a growing pause; a set is first tried row by
row. If its worker is killed, the row is available again when its lease lapses; if that happens
twice in a row, after a pause as well.
"""

from wallgent.due_work.kinds import register
from wallgent.due_work.queue import cancel, finish, postpone, reschedule, schedule, wake

__all__ = ["cancel", "finish", "postpone", "register", "reschedule", "schedule", "wake"]
