"""Files of links as CSV to download: short ones at once, long ones prepared by a worker.

A prepared file is kept in the database, where each web server finds it, compressed and for a day.
Serving one costs a thread the time to read its bytes, however slowly they are received.
"""

import gzip
import logging
import zlib
from datetime import timedelta

from django.db import transaction

from links.payment_links.models import BatchExport, BatchExportPart, LinkBatch
from links.payment_links.models.import_exports import may_know_addresses
from links.payment_links.services import imports
from wallgent import clock, turns
from wallgent.actors import Actor
from wallgent.errors import NotFound, RateLimitExceeded
from wallgent.task_queue import enqueue_on_commit

log = logging.getLogger("wallgent.links")

TASK = "links.tasks.prepare_export"
SHORT_ROWS = imports.EXPORT_ROWS  # read with one query, so not worth a worker
PENDING_LIMIT = 2  # of one organization
KEPT_LIMIT = 10  # of one organization; older ones make room
ATTEMPTS_LIMIT = 3
# A file of a batch whose links are being made is out of date soon; the next one costs as much.
_CURRENT_WHILE_CREATING = timedelta(minutes=5)
_RETRY_SECONDS = 5

_Status = BatchExport.Status


def is_short(batch: LinkBatch, *, variant: str) -> bool:
    """Whether the file is made while its reader waits."""
    rows = imports.exported_rows(batch, left_out=_is_left_out(variant))
    return rows[: SHORT_ROWS + 1].count() <= SHORT_ROWS


def short_content(batch: LinkBatch, *, variant: str, actor: Actor) -> bytes:
    """The bytes of a short file."""
    texts = imports.exported(batch, actor=actor, left_out=_is_left_out(variant))
    return "".join(texts).encode()


def find(batch: LinkBatch, *, variant: str, actor: Actor) -> BatchExport:
    """The latest file of a batch for such readers, whatever its status. Raises NotFound."""
    export = batch.exports.readable_by(actor).filter(variant=variant).order_by("-pk").first()
    if export is None:
        raise NotFound("This file has expired. Download it again.")
    return export


@transaction.atomic(savepoint=False)
def request(batch: LinkBatch, *, variant: str, actor: Actor) -> BatchExport:
    """The prepared file, or one that is prepared from now on.

    Raises RateLimitExceeded while as many files of the organization are being prepared as may be.
    """
    turns.take("link_exports", actor.organization.id)
    before = batch.exports.readable_by(actor).filter(variant=variant)
    export = before.order_by("-pk").first()
    if export and (export.status == _Status.PENDING or _is_current(export, batch)):
        return export
    exports = BatchExport.objects.of(actor.organization)
    if exports.pending().count() >= PENDING_LIMIT:
        error = RateLimitExceeded(
            f"{PENDING_LIMIT} files of your organization are being prepared. Try again when one of"
            " them is ready."
        )
        error.headers = {"Retry-After": str(_RETRY_SECONDS)}
        raise error
    before.delete()
    oldest = exports.exclude(status=_Status.PENDING).order_by("-pk")[KEPT_LIMIT - 1 :]
    BatchExport.objects.filter(pk__in=list(oldest.values_list("pk", flat=True))).delete()
    rows = imports.exported_rows(batch, left_out=_is_left_out(variant))
    export = BatchExport.objects.create(
        batch=batch,
        variant=variant,
        shows_addresses=may_know_addresses(actor),
        row_count=rows.count(),
        requested_at=clock.real_now(),
    )
    enqueue_on_commit(TASK, export.id)
    return export


def content(export: BatchExport) -> bytes:
    """The bytes of a file that is ready, as one gzip stream."""
    parts = export.parts.order_by("number").values_list("content", flat=True)
    return b"".join(parts)


def plain(compressed: bytes) -> bytes:
    """The bytes for a reader that takes no compressed ones."""
    return gzip.decompress(compressed)


def available() -> list[str]:
    """The file that a worker may prepare next: the one requested first."""
    waiting = BatchExport.objects.available().only("pk").order_by("requested_at", "pk")
    return [export.id for export in waiting[:1]]


def prepare(export_id: str) -> None:
    """Write a requested file. Does nothing while a worker has it, or all places are taken."""
    export = _take(export_id)
    if export is None:
        return
    try:
        _write(export)
    except Exception:
        log.exception("file %s cannot be prepared", export.id)
        _finish(export, _Status.FAILED)


def forget_expired() -> int:
    """Delete files past their lifetime."""
    return BatchExport.objects.expired().delete()[0]


def _is_left_out(variant: str) -> bool:
    return variant == BatchExport.Variant.LEFT_OUT


def _is_current(export: BatchExport, batch: LinkBatch) -> bool:
    """Whether a file says what a new one would say."""
    now = clock.real_now()
    if export.status != _Status.READY or export.requested_at < now - BatchExport.LIFETIME:
        return False
    if batch.status == LinkBatch.Status.CREATING:
        is_recent = export.finished_at > now - _CURRENT_WHILE_CREATING
        return is_recent and export.read_at > batch.confirmed_at
    return batch.finished_at is None or export.read_at > batch.finished_at


@transaction.atomic
def _take(export_id: str) -> BatchExport | None:
    """Lease a file, if nobody has it and there is a place."""
    imports.lock_places()
    is_busy = BatchExport.objects.leased().exists()
    if is_busy or LinkBatch.objects.leased().count() >= imports.AT_ONCE:
        return None
    waiting = BatchExport.objects.available().select_related("batch__organization")
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


def _write(export: BatchExport) -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # gzip
    left_out = _is_left_out(export.variant)
    texts = imports.exported(export.batch, actor=export.reader, left_out=left_out)
    number = 0
    for number, text in enumerate(texts):
        if not _keep(export, number, packer.compress(text.encode())):
            return
    if _keep(export, number + 1, packer.flush()):
        _finish(export, _Status.READY)


@transaction.atomic
def _keep(export: BatchExport, number: int, part: bytes) -> bool:
    """Keep a part and renew the lease; whether the lease was still ours."""
    now, done = clock.real_now(), min(number * imports.EXPORT_ROWS, export.row_count)
    if not _ours(export).update(leased_at=now, rows_done=done):
        return False
    export.leased_at = now
    BatchExportPart.objects.create(export=export, number=number, content=part)
    return True


def _finish(export: BatchExport, status: str) -> None:
    export.advance(status)
    _ours(export).update(status=export.status, finished_at=clock.real_now())


def _ours(export: BatchExport):
    """The row, unless another worker has leased it meanwhile: guards each write."""
    return BatchExport.objects.filter(
        pk=export.pk, status=_Status.PENDING, leased_at=export.leased_at
    )
