"""Many links out of one file: read, shown, confirmed, then made one by one by a worker.

A row and its link are written in one transaction under the lock on the row, so that whoever dies
in between leaves a row that is made later, and nobody makes one twice.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, F

from accounts.organizations import permissions
from accounts.organizations.models import Membership
from accounts.wallets import services as wallets
from links.payment_links.models import BatchExport, BatchRow, LinkBatch
from links.payment_links.models.imports import LEASE
from links.payment_links.services import import_files, import_rows, payment_links
from links.payment_links.services.payment_links import Restrictions
from wallgent import clock, events, ids, service_runner, turns
from wallgent.actors import Actor, ActorType
from wallgent.errors import DomainError, InvalidState, NotFound
from wallgent.task_queue import enqueue_on_commit

log = logging.getLogger("wallgent.links")

TASK = "links.tasks.create_links"
ROWS_AT_A_TIME = 25  # between two looks at whether to go on
WORK_SECONDS = 5  # of one task; then whichever file waits longest has its turn
# Files that workers have in hand, all workers together: money waits for the same threads, and its
# sweeps lose their turn where they wait behind a queue of files.
AT_ONCE = 2
EXPORT_ROWS = 2_000  # read at a time for a file to download

_Status = LinkBatch.Status
_Row = BatchRow.Status


def access(id: str, *, actor: Actor) -> LinkBatch:
    """A batch of the actor's. Raises NotFound."""
    uuid = ids.parse(id, "lbt")
    batch = uuid and LinkBatch.objects.visible_to(actor).filter(pk=uuid).first()
    if not batch:
        raise NotFound("There is no such file of links.")
    return batch


def visible_to(actor: Actor):
    """The batches the actor may list."""
    return LinkBatch.objects.visible_to(actor)


def used_before(batch: LinkBatch) -> LinkBatch | None:
    """The latest batch of which links were made from the very same file."""
    used = _same_file(batch).filter(confirmed_at__isnull=False).exclude(pk=batch.pk)
    return used.order_by("-confirmed_at", "-pk").first()


def _same_file(batch: LinkBatch):
    return LinkBatch.objects.filter(
        organization=batch.organization_id,
        environment=batch.environment,
        digest=bytes(batch.digest),
    )


def counts(batch: LinkBatch) -> dict[str, int]:
    """How many rows there are in each status, and `ALL`."""
    found = dict.fromkeys(_Row.values, 0)
    by_status = batch.rows.values_list("status").annotate(n=Count("pk")).order_by()
    found |= dict(by_status)
    return found | {"ALL": sum(found.values())}


@transaction.atomic(savepoint=False)
def confirm(batch: LinkBatch, *, actor: Actor, warned_of: str = "") -> LinkBatch:
    """Let the links be made.

    Raises InvalidState for what was confirmed, or has no good row, or came before in a batch that
    nobody was warned of, such as one confirmed meanwhile in another tab.
    """
    # With all of the same file, so that of two at once the second sees the first.
    list(_same_file(batch).order_by("pk").select_for_update(no_key=True))
    batch = LinkBatch.objects.get(pk=batch.pk)
    if batch.status != _Status.DRAFT:
        raise InvalidState("This file was confirmed before. Its links are made once.")
    before = used_before(batch)
    if before and before.id != warned_of:
        raise InvalidState(
            "Links were made from this very file meanwhile. Look at them before you make them"
            " again."
        )
    ready = batch.rows.filter(status=_Row.READY).count()
    if not ready:
        raise InvalidState("No row of this file can become a link. Correct it, and send it again.")
    batch.advance(_Status.CREATING)
    batch.confirmed_at, batch.confirmed_by = clock.real_now(), actor.id
    batch.save(update_fields=["status", "confirmed_at", "confirmed_by"])
    events.record("payment_link_batch.confirmed", batch, actor=actor, rows=ready)
    enqueue_on_commit(TASK, batch.id)
    return batch


def available() -> list[str]:
    """The batches under way that workers may take in hand next, the one waiting longest first."""
    waiting = LinkBatch.objects.available().only("pk")
    longest = waiting.order_by(F("tended_at").asc(nulls_first=True), "pk")
    return [batch.id for batch in longest[:AT_ONCE]]


def forget_drafts() -> int:
    """Delete files that were never confirmed."""
    # One by one: each may have 50,000 rows, and a statement has its time, too.
    return sum(batch.delete()[0] for batch in LinkBatch.objects.forgotten().only("pk").iterator())


def work(batch_id: str) -> bool:
    """Make links of a confirmed batch for a while; whether the next may be taken in hand.

    Does nothing while another worker has this batch, or workers have as many as they may.
    """
    if not _take(batch_id):
        return False
    until = clock.real_now() + timedelta(seconds=WORK_SECONDS)
    try:
        while _next_rows(batch_id) and clock.real_now() < until:
            pass
    except DomainError as busy:
        log.warning("links of %s wait: %s", batch_id, busy.code)
        return False  # the next sweep goes on
    finally:
        # Free again, and behind those that have waited for longer.
        LinkBatch.objects.filter(pk=batch_id).update(tended_at=clock.real_now() - LEASE)
    return True


@transaction.atomic
def _take(batch_id: str) -> bool:
    """Take a batch in hand, if nobody has it and there is a place."""
    lock_places()
    # A CSV file that waits to be prepared has the next place, of the same threads.
    kept_free = BatchExport.objects.pending().exists()
    if LinkBatch.objects.leased().count() + kept_free >= AT_ONCE:
        return False
    batch = LinkBatch.objects.available().filter(pk=batch_id)
    return bool(batch.update(tended_at=clock.real_now()))


def lock_places() -> None:
    """Let workers take places one after the other, or all see the same one free."""
    turns.take("link_places")


def _next_rows(batch_id: str) -> bool:
    """Make the next few links; whether there may be more."""
    batch = LinkBatch.objects.select_related("organization").get(pk=batch_id)
    actor = _actor(batch)
    if actor is None:
        _finish(batch, _Status.STOPPED)
        return False
    rows = list(batch.rows.filter(status=_Row.READY).order_by("number")[:ROWS_AT_A_TIME])
    for row in rows:
        _settle(row, actor)
    LinkBatch.objects.filter(pk=batch.pk).update(tended_at=clock.real_now())
    if rows:
        return True
    _finish(batch, _Status.DONE)
    return False


def _actor(batch: LinkBatch) -> Actor | None:
    """Whoever confirmed the batch, if they may still make links."""
    member = Membership.objects.filter(
        organization=batch.organization,
        user=ids.read(batch.confirmed_by),
        user__is_active=True,
    ).first()
    may = permissions.OF_ROLE[member.role] if member else frozenset()
    if "payments:write" not in may:
        return None
    return Actor(
        organization=batch.organization,
        environment=batch.environment,
        type=ActorType.USER,
        id=batch.confirmed_by,
        permissions=may,
    )


def _settle(row: BatchRow, actor: Actor) -> None:
    """One row: a link, or why there is none. Raises when the server is busy: it stays for later."""
    try:
        service_runner.run(lambda: _make(row, actor), actor=actor)
    except DomainError as refusal:
        if refusal.status >= 500 and refusal.code != "NOT_AVAILABLE":
            raise
        _refuse(row, refusal.message)
    except Exception:
        log.exception("row %d of %s cannot be made", row.number, row.batch_id)
        _refuse(row, "Something went wrong on our side. Nothing was made of this row.")


def _make(row: BatchRow, actor: Actor) -> None:
    held = BatchRow.objects.select_for_update(no_key=True).filter(pk=row.pk, status=_Row.READY)
    row = held.first()
    if row is None:  # another worker was at it
        return
    said = row.terms
    wallet = wallets.access(said["wallet"], actor=actor)
    row.link = payment_links.create(
        actor=actor,
        wallet=wallet,
        amount=Decimal(said["amount"]),
        direction=said["direction"],
        description=said["description"],
        restrictions=Restrictions(emails=(said["email"],) if said["email"] else ()),
        expires_at=datetime.fromisoformat(said["expires_at"]) if said["expires_at"] else None,
        max_uses=said["max_uses"],
        metadata=said["metadata"],
    )
    row.status = _Row.CREATED
    row.save(update_fields=["status", "link"])


def _refuse(row: BatchRow, why: str) -> None:
    still = BatchRow.objects.filter(pk=row.pk, status=_Row.READY)
    still.update(status=_Row.REFUSED, problems=[["", why]])


@transaction.atomic(savepoint=False)
def _finish(batch: LinkBatch, status: str) -> None:
    batch = LinkBatch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if batch.status != _Status.CREATING:
        return
    batch.advance(status)
    batch.finished_at = clock.real_now()
    batch.save(update_fields=["status", "finished_at"])


def exported_rows(batch: LinkBatch, *, left_out: bool):
    """The rows of a file to download."""
    if not left_out:
        return batch.rows.all()
    # What may still become a link must not be sent again meanwhile.
    is_under_way = batch.status == _Status.CREATING
    became = [_Row.CREATED, _Row.READY] if is_under_way else [_Row.CREATED]
    return batch.rows.exclude(status__in=became)


def exported(batch: LinkBatch, *, actor: Actor, left_out: bool = False) -> Iterator[str]:
    """The whole file again as CSV, with what became of each row; nothing in it is a formula.

    The addresses of links are those that `actor` may know.

    With `left_out`, only the rows that are no link, to be corrected and sent again.
    """
    own = [import_rows.PROBLEM] if left_out else ["row", "status", "problem", "link_id", "url"]
    columns = [
        number
        for number, column in enumerate(batch.columns)
        if not left_out or column.lower() != import_rows.PROBLEM  # of the last time
    ]
    heading = [*(batch.columns[number] for number in columns), *own]
    yield "\ufeff" + import_files.written([heading])  # so that spreadsheets see UTF-8
    rows, last = exported_rows(batch, left_out=left_out), 0
    while True:
        found = list(
            rows.select_related("link")
            .only(
                *("batch", "number", "status", "cells", "problems"),
                *("link__slug", "link__direction", "link__organization"),
                *("link__environment", "link__wallet"),
            )
            .filter(number__gt=last)
            .order_by("number")[:EXPORT_ROWS]
        )
        if not found:
            return
        yield import_files.written(_line(row, columns, left_out, actor) for row in found)
        last = found[-1].number


def _line(row: BatchRow, columns: list[int], left_out: bool, actor: Actor) -> list[str]:
    cells = [row.cells[number] if number < len(row.cells) else "" for number in columns]
    problems = " ".join(f"{column}: {what}" if column else what for column, what in row.problems)
    if left_out:
        # What is to be corrected. Why the money did not reach would make a large file too large.
        return [*cells, problems if row.status == _Row.WRONG else ""]
    link = (row.link.id, row.link.address_for(actor).url or "") if row.link else ("", "")
    return [*cells, str(row.number), row.get_status_display(), problems, *link]
