"""Creates the objects of confirmed files, row by row, a few seconds for each file in turn.

A row and its object are written in one transaction under the lock on the row. So a worker that dies
leaves a row that is created later, and two workers create it once.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.module_loading import import_string

from wallgent import clock, service_runner, turns
from wallgent.actors import Actor, ActorType
from wallgent.errors import DomainError
from wallgent.imports import kinds
from wallgent.imports.kinds import Kind
from wallgent.imports.models import LEASE, ImportExport, ImportFile, ImportRow

log = logging.getLogger("wallgent.imports")

TASK = "wallgent.imports.tasks.create_objects"
ROWS_AT_A_TIME = 25  # between two checks whether to continue
WORK_SECONDS = 5  # of one task; then the file that has waited longest is next
# Files that all workers together process at once: payments wait for the same threads, and their
# sweeps come too late behind a queue of files.
MAX_CONCURRENT_FILES = 2

_Status = ImportFile.Status
_RowStatus = ImportRow.Status


def available() -> list[str]:
    """The files that workers may process next, the one that has waited longest first."""
    waiting = ImportFile.objects.available().only("pk")
    longest = waiting.order_by(F("leased_at").asc(nulls_first=True), "pk")
    return [file.id for file in longest[:MAX_CONCURRENT_FILES]]


def work(file_id: str) -> bool:
    """Process a confirmed file for up to WORK_SECONDS. Returns whether to start another file.

    Does nothing while another worker has this file, or workers have as many as they may.
    """
    if not _lease(file_id):
        return False
    until = clock.real_now() + timedelta(seconds=WORK_SECONDS)
    try:
        while _process_rows(file_id) and clock.real_now() < until:
            pass
    except DomainError as error:
        log.warning("rows of %s wait: %s", file_id, error.code)
        return False  # the next sweep continues
    finally:
        # Free again, and behind those that have waited for longer.
        ImportFile.objects.filter(pk=file_id).update(leased_at=clock.real_now() - LEASE)
    return True


@transaction.atomic
def _lease(file_id: str) -> bool:
    """Lease a file, if no other worker has it and there is a place."""
    lock_places()
    # A download that waits to be prepared has the next place, because it needs the same threads.
    kept_free = ImportExport.objects.pending().exists()
    if ImportFile.objects.leased().count() + kept_free >= MAX_CONCURRENT_FILES:
        return False
    file = ImportFile.objects.available().filter(pk=file_id)
    return bool(file.update(leased_at=clock.real_now()))


def lock_places() -> None:
    """Make workers take places one after the other. Otherwise all would see the same free place."""
    turns.acquire("import_places")


def _process_rows(file_id: str) -> bool:
    """Process the next few rows. Returns whether there may be more."""
    file = ImportFile.objects.select_related("organization").get(pk=file_id)
    kind, actor = kinds.of(file), _confirmer(file)
    if not actor.may(kind.permission):
        _finish(file, _Status.STOPPED)
        return False
    rows = list(file.rows.filter(status=_RowStatus.READY).order_by("number")[:ROWS_AT_A_TIME])
    for row in rows:
        _process(row, kind=kind, actor=actor)
    ImportFile.objects.filter(pk=file.pk).update(leased_at=clock.real_now())
    if rows:
        return True
    _finish(file, _Status.DONE)
    return False


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
        _refuse(row, "Something went wrong on our side. Nothing was made of this row.")


def _create(row: ImportRow, *, kind: Kind, actor: Actor) -> None:
    locked = ImportRow.objects.select_for_update(no_key=True)
    row = locked.filter(pk=row.pk, status=_RowStatus.READY).first()
    if row is None:  # another worker processed it
        return
    row.object_id = kind.create(row.terms, actor=actor)
    row.status = _RowStatus.CREATED
    row.save(update_fields=["status", "object_id"])


def _refuse(row: ImportRow, reason: str) -> None:
    ready = ImportRow.objects.filter(pk=row.pk, status=_RowStatus.READY)
    ready.update(status=_RowStatus.REFUSED, problems=[["", reason]])


@transaction.atomic(savepoint=False)
def _finish(file: ImportFile, status: str) -> None:
    file = ImportFile.objects.select_for_update(no_key=True).get(pk=file.pk)
    if file.status != _Status.CREATING:
        return
    file.advance(status)
    file.finished_at = clock.real_now()
    file.save(update_fields=["status", "finished_at"])
