"""CSV files to download: short ones at once, long ones prepared by a worker.

A prepared file is stored in the database, where each web server finds it, compressed and for a day.
Serving one costs a thread the time to read its bytes, however slowly they are received.
"""

import gzip
import logging
import zlib
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from wallgent import clock, turns
from wallgent.actors import Actor, ActorType
from wallgent.errors import NotFound, RateLimitExceeded
from wallgent.imports import kinds, results, worker
from wallgent.imports.models import EXPORT_LIFETIME, ImportExport, ImportExportPart, ImportFile
from wallgent.task_queue import enqueue_on_commit

log = logging.getLogger("wallgent.imports")

TASK = "wallgent.imports.tasks.prepare_export"
SHORT_ROWS = results.ROWS_AT_A_TIME  # read with one query, so not worth a worker
PENDING_LIMIT = 2  # of one organization
KEPT_LIMIT = 10  # of one organization; older ones are deleted
ATTEMPTS_LIMIT = 3
# An export of a file whose objects are being created is out of date soon; the next costs as much.
_CURRENT_WHILE_CREATING = timedelta(minutes=5)
_RETRY_SECONDS = 5

_Status = ImportExport.Status


def is_short(file: ImportFile, *, variant: str) -> bool:
    """Whether the CSV file is made while its reader waits."""
    rows = results.of(file, left_out=_is_left_out(variant))
    return rows[: SHORT_ROWS + 1].count() <= SHORT_ROWS


def short_content(file: ImportFile, *, variant: str, actor: Actor) -> bytes:
    """The bytes of a short CSV file."""
    parts = results.csv_parts(file, actor=actor, left_out=_is_left_out(variant))
    return "".join(parts).encode()


def find(file: ImportFile, *, variant: str, actor: Actor) -> ImportExport:
    """The latest export that shows what the actor may see, in any status. Raises NotFound."""
    export = _readable_by(actor, file, variant).order_by("-pk").first()
    if export is None:
        raise NotFound("This file has expired. Download it again.")
    return export


@transaction.atomic(savepoint=False)
def request(file: ImportFile, *, variant: str, actor: Actor) -> ImportExport:
    """The prepared export, or a pending one that a worker prepares.

    Raises RateLimitExceeded while the organization has as many pending exports as it may.
    """
    turns.acquire("import_exports", actor.organization.id)
    before = _readable_by(actor, file, variant)
    export = before.order_by("-pk").first()
    if export and (export.status == _Status.PENDING or _is_current(export, file)):
        return export
    exports = ImportExport.objects.of(actor.organization)
    if exports.pending().count() >= PENDING_LIMIT:
        error = RateLimitExceeded(
            f"{PENDING_LIMIT} files of your organization are being prepared. Try again when one of"
            " them is ready."
        )
        error.headers = {"Retry-After": str(_RETRY_SECONDS)}
        raise error
    before.delete()
    oldest = exports.exclude(status=_Status.PENDING).order_by("-pk")[KEPT_LIMIT - 1 :]
    ImportExport.objects.filter(pk__in=list(oldest.values_list("pk", flat=True))).delete()
    export = ImportExport.objects.create(
        file=file,
        variant=variant,
        shows_secrets=_may_see_secrets(actor, file),
        row_count=results.of(file, left_out=_is_left_out(variant)).count(),
        requested_at=clock.real_now(),
    )
    enqueue_on_commit(TASK, export.id)
    return export


def content(export: ImportExport) -> bytes:
    """The bytes of a prepared export, as one gzip stream."""
    parts = export.parts.order_by("number").values_list("content", flat=True)
    return b"".join(parts)


def uncompressed(content: bytes) -> bytes:
    """The bytes for a reader that accepts no gzip."""
    return gzip.decompress(content)


def available() -> list[str]:
    """The export that a worker may prepare next: the one requested first."""
    waiting = ImportExport.objects.available().only("pk").order_by("requested_at", "pk")
    return [export.id for export in waiting[:1]]


def prepare(export_id: str) -> None:
    """Write a requested export. Does nothing while a worker has it, or all places are taken."""
    export = _lease(export_id)
    if export is None:
        return
    try:
        _write(export)
    except Exception:
        log.exception("export %s cannot be prepared", export.id)
        _finish(export, _Status.FAILED)


def delete_expired() -> int:
    """Delete exports past their lifetime; how many database rows that were."""
    return ImportExport.objects.expired().delete()[0]


def _is_left_out(variant: str) -> bool:
    return variant == ImportExport.Variant.LEFT_OUT


def _may_see_secrets(actor: Actor, file: ImportFile) -> bool:
    """Whether an actor may see all results, whichever wallet they belong to."""
    return actor.may(kinds.of(file).permission) and actor.wallet_scope is None


def _readable_by(actor: Actor, file: ImportFile, variant: str) -> QuerySet[ImportExport]:
    """The exports of a file that show results as far as the actor may see them."""
    return file.exports.filter(variant=variant, shows_secrets=_may_see_secrets(actor, file))


def _reader(export: ImportExport) -> Actor:
    """An actor who may see what the readers of this export may see."""
    file = export.file
    return Actor(
        organization=file.organization,
        environment=file.environment,
        type=ActorType.SYSTEM,
        permissions=frozenset([kinds.of(file).permission] if export.shows_secrets else []),
    )


def _is_current(export: ImportExport, file: ImportFile) -> bool:
    """Whether a new export would have the same content, or nearly."""
    now = clock.real_now()
    if export.status != _Status.READY or export.requested_at < now - EXPORT_LIFETIME:
        return False
    if file.status == ImportFile.Status.CREATING:
        is_recent = export.finished_at > now - _CURRENT_WHILE_CREATING
        return is_recent and export.read_at > file.confirmed_at
    return file.finished_at is None or export.read_at > file.finished_at


@transaction.atomic
def _lease(export_id: str) -> ImportExport | None:
    """Lease an export, if no other worker has it and there is a place."""
    worker.lock_places()
    is_busy = ImportExport.objects.leased().exists()
    if is_busy or ImportFile.objects.leased().count() >= worker.MAX_CONCURRENT_FILES:
        return None
    waiting = ImportExport.objects.available().select_related("file__organization")
    export = waiting.filter(pk=export_id).select_for_update(of=("self",), no_key=True).first()
    if export is None:
        return None
    export.leased_at = export.read_at = clock.real_now()
    export.attempts += 1
    export.rows_done = 0
    if export.attempts > ATTEMPTS_LIMIT:  # each worker that tried has died
        export.advance(_Status.FAILED)
        export.finished_at = clock.real_now()
    export.save()
    export.parts.all().delete()
    return export if export.status == _Status.PENDING else None


def _write(export: ImportExport) -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # gzip
    left_out = _is_left_out(export.variant)
    parts = results.csv_parts(export.file, actor=_reader(export), left_out=left_out)
    number = 0
    for number, text in enumerate(parts):
        if not _store_part(export, number, packer.compress(text.encode())):
            return
    if _store_part(export, number + 1, packer.flush()):
        _finish(export, _Status.READY)


@transaction.atomic
def _store_part(export: ImportExport, number: int, part: bytes) -> bool:
    """Store a part and renew the lease; false if another worker has the lease now."""
    now, done = clock.real_now(), min(number * results.ROWS_AT_A_TIME, export.row_count)
    if not _leased_by_us(export).update(leased_at=now, rows_done=done):
        return False
    export.leased_at = now
    ImportExportPart.objects.create(export=export, number=number, content=part)
    return True


def _finish(export: ImportExport, status: str) -> None:
    export.advance(status)
    _leased_by_us(export).update(status=export.status, finished_at=clock.real_now())


def _leased_by_us(export: ImportExport) -> QuerySet[ImportExport]:
    """The row, unless another worker has leased it meanwhile. Guards each write."""
    return ImportExport.objects.filter(
        pk=export.pk, status=_Status.PENDING, leased_at=export.leased_at
    )
