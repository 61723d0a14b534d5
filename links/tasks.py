"""Work on a timetable. Each task may run twice, or late, without harm."""

from celery import shared_task

from links.services import batch_exports, batches, expiry, letters, verification
from wallgent.waking import wake


@shared_task
def expire_links() -> int:
    """Expire every payment link whose time is over, and free what it promised."""
    return expiry.expire_due()


@shared_task(name=batches.TASK)
def create_links(batch_id: str) -> None:
    """Make links of a confirmed file for a while, then let the next have its turn."""
    if batches.work(batch_id):
        _wake_export()
        for next_id in batches.untended()[:1]:
            wake(batches.TASK, next_id)


@shared_task(name=batch_exports.TASK)
def prepare_export(export_id: str) -> None:
    """Prepare a CSV file to download, then let the next have its turn."""
    batch_exports.prepare(export_id)
    _wake_export()


def _wake_export() -> None:
    for export_id in batch_exports.available():
        wake(batch_exports.TASK, export_id)


@shared_task
def tend_batches() -> None:
    """Go on with files that wait: for a place, or because their worker died or was never woken."""
    _wake_export()
    for batch_id in batches.untended():
        wake(batches.TASK, batch_id)


@shared_task
def forget_files() -> int:
    """Delete files that nobody confirmed, expired CSV files, and whom letters were sent to."""
    return batches.forget_drafts() + batch_exports.forget_expired() + letters.forget()


@shared_task
def forget_codes() -> int:
    """Delete codes sent to e-mail addresses that nobody can use any more."""
    return verification.forget_old()
