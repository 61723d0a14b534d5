"""Creates the objects of confirmed files, row by row, a few rows in each turn of due work.

A row and its object are written in one transaction under the lock on the row. So a worker that dies
leaves a row that is created later, and two workers create it once.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from wallgent import clock, due_work, service_runner
from wallgent.actors import Actor, ActorType
from wallgent.due_work.models import DueWork
from wallgent.due_work.queue import LAPSED
from wallgent.errors import DomainError
from wallgent.imports import kinds
from wallgent.imports.kinds import Kind
from wallgent.imports.models import ImportFile, ImportRow

log = logging.getLogger("wallgent.imports")

DUE_WORK = "create_import_objects"
ROWS_AT_A_TIME = 25  # in one turn: a fraction of a second
LEASE, DEADLINE = timedelta(seconds=15), timedelta(seconds=10)  # of a turn, also of a download
# Of leases in a row, some ten hours with their pauses; then the row that is next is refused.
LAPSES_LIMIT = 500
_OUR_FAULT = "Something went wrong on our side. Nothing was created from this row."

_Status = ImportFile.Status
_RowStatus = ImportRow.Status


def schedule(file: ImportFile) -> None:
    """Let workers create the objects of a confirmed file."""
    due_work.schedule(DUE_WORK, file, at=file.confirmed_at, real_time=True)


def create_objects(rows: list[DueWork]) -> None:
    """Create the objects of the next rows of a confirmed file, or finish the file."""
    [due] = rows
    file = ImportFile.objects.select_related("organization").filter(pk=due.subject).first()
    if file is None:
        due_work.finish(due)
        return
    kind, actor = kinds.of(file), _confirmer(file)
    if file.status != _Status.CREATING or not actor.may(kind.permission):
        _finish(due, _Status.STOPPED)
        return
    ready = file.rows.filter(status=_RowStatus.READY)
    if due.error == LAPSED and due.failures >= LAPSES_LIMIT:
        _refuse(ready.order_by("number").first(), _OUR_FAULT)  # it seems to end its workers
    try:
        for row in ready.order_by("number")[:ROWS_AT_A_TIME]:
            if clock.real_now() >= due.handle_by:
                break
            _process(row, kind=kind, actor=actor)
    except DomainError as error:
        log.warning("rows of %s wait: %s", file.id, error.code)
        due_work.postpone(due, error=error.code)
        return
    if ready.exists():
        due_work.reschedule(due, due.now)
    else:
        _finish(due, _Status.DONE)


def _confirmer(file: ImportFile) -> Actor:
    """The member who confirmed the file, with the permissions they have now."""
    permissions_of = import_string(settings.PERMISSIONS_OF)
    return Actor(
        organization=file.organization,
        environment=file.environment,
        type=ActorType.USER,
        id=file.confirmed_by,
        permissions=permissions_of(file.confirmed_by, file.organization),
    )


def _process(row: ImportRow, *, kind: Kind, actor: Actor) -> None:
    """Create the object of one row, or record why there is none.

    Raises DomainError when the server is busy: the row stays for later.
    """
    try:
        service_runner.run(lambda: _create(row, kind=kind, actor=actor), actor=actor)
    except DomainError as refusal:
        if refusal.status >= 500 and refusal.code != "NOT_AVAILABLE":
            raise
        _refuse(row, refusal.message)
    except Exception:
        log.exception("row %d of %s cannot be created", row.number, row.file_id)
        _refuse(row, _OUR_FAULT)


def _create(row: ImportRow, *, kind: Kind, actor: Actor) -> None:
    locked = ImportRow.objects.select_for_update(no_key=True)
    row = locked.filter(pk=row.pk, status=_RowStatus.READY).first()
    if row is None:  # another worker processed it
        return
    row.object_id = kind.create(row.terms, actor=actor)
    row.status = _RowStatus.CREATED
    row.save(update_fields=["status", "object_id"])


def _refuse(row: ImportRow | None, reason: str) -> None:
    if row is None:
        return
    ready = ImportRow.objects.filter(pk=row.pk, status=_RowStatus.READY)
    ready.update(status=_RowStatus.REFUSED, problems=[["", reason]])


@transaction.atomic(savepoint=False)
def _finish(due: DueWork, status: str) -> None:
    """End the file, if no other worker did, and its due work."""
    file = ImportFile.objects.select_for_update(no_key=True).get(pk=due.subject)
    if file.status == _Status.CREATING:
        file.advance(status)
        file.finished_at = clock.real_now()
        file.save(update_fields=["status", "finished_at"])
    due_work.finish(due)
