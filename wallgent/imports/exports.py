"""CSV files to download: short ones at once, long ones prepared by a worker.

A prepared file is stored in the database, where each web server finds it, compressed and for a day.
Serving one costs a thread the time to read its bytes, however slowly they are received.
"""

import gzip
import struct
import zlib
from datetime import timedelta

from django.db import transaction
from django.db.models import Max, QuerySet

from wallgent import clock, due_work, turns
from wallgent.actors import Actor, ActorType
from wallgent.due_work.models import DueWork
from wallgent.errors import NotFound, RateLimitExceeded
from wallgent.imports import kinds, results
from wallgent.imports.models import EXPORT_LIFETIME, ImportExport, ImportExportPart, ImportFile

DUE_WORK = "prepare_export"
SHORT_ROWS = results.ROWS_AT_A_TIME  # read with one query, so not worth a worker
PENDING_LIMIT = 2  # of one organization
KEPT_LIMIT = 10  # of one organization; older ones are deleted
ATTEMPTS_LIMIT = 3  # at one part
# An export of a file whose objects are being created is out of date soon; the next costs as much.
_CURRENT_WHILE_CREATING = timedelta(minutes=5)
_RETRY_SECONDS = 5
_GZIP_HEAD = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_GZIP_LAST_BLOCK = b"\x03\x00"

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
    due_work.schedule(DUE_WORK, export, at=export.requested_at, real_time=True)
    return export


def content(export: ImportExport) -> bytes:
    """The bytes of a prepared export, as one gzip stream."""
    parts = export.parts.order_by("number").values_list("content", flat=True)
    return b"".join(parts)


def uncompressed(content: bytes) -> bytes:
    """The bytes for a reader that accepts no gzip."""
    return gzip.decompress(content)


@transaction.atomic
def prepare_part(rows: list[DueWork]) -> None:
    """Write the next part of a requested export, in turn with other due work."""
    [row] = rows
    pending = ImportExport.objects.pending().select_related("file__organization")
    export = pending.filter(pk=row.subject).select_for_update(of=("self",), no_key=True).first()
    if export is None:  # deleted, or finished by another worker
        due_work.finish(row)
    elif row.failures >= ATTEMPTS_LIMIT:
        _finish(row, export, _Status.FAILED)
    elif _write_part(export):
        due_work.reschedule(row, row.now)
    else:
        _finish(row, export, _Status.READY)


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


def _write_part(export: ImportExport) -> bool:
    """Store the next part. Return whether there may be more."""
    last = export.parts.aggregate(last=Max("number"))["last"] or 0
    left_out = _is_left_out(export.variant)
    part = results.csv_part(export.file, after=last, actor=_reader(export), left_out=left_out)
    if part is None:
        end = struct.pack("<LL", export.checksum, export.byte_count)
        _store_part(export, last + 1, _GZIP_LAST_BLOCK + end)
        return False
    text, number = part
    content = text.encode()
    export.checksum = zlib.crc32(content, export.checksum)
    export.byte_count += len(content)
    # Each part ends at a full flush, so that another worker can continue after it.
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    if last:
        export.rows_done = min(export.rows_done + results.ROWS_AT_A_TIME, export.row_count)
    else:
        export.read_at, packed = clock.real_now(), _GZIP_HEAD + packed
    export.save(update_fields=["checksum", "byte_count", "rows_done", "read_at"])
    _store_part(export, number, packed)
    return True


def _store_part(export: ImportExport, number: int, content: bytes) -> None:
    ImportExportPart.objects.create(export=export, number=number, content=content)


def _finish(row: DueWork, export: ImportExport, status: str) -> None:
    export.advance(status)
    export.finished_at = clock.real_now()
    export.save(update_fields=["status", "finished_at"])
    due_work.finish(row)
