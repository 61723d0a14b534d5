"""Work on a timetable. Each task may run twice, or late, without harm."""

from celery import shared_task

from links.payment_links.services import (
    email_verification,
    expiry,
    import_exports,
    imports,
    link_emails,
)
from wallgent.task_queue import enqueue_on_commit


@shared_task
def expire_links() -> int:
    """Expire every payment link whose time is over, and free what it promised."""
    return expiry.expire_due()


@shared_task(name=imports.TASK)
def create_links(batch_id: str) -> None:
    """Make links of a confirmed file for a while, then let the next have its turn."""
    if imports.work(batch_id):
        _wake_export()
        for next_id in imports.available()[:1]:
            enqueue_on_commit(imports.TASK, next_id)


@shared_task(name=import_exports.TASK)
def prepare_export(export_id: str) -> None:
    """Prepare a CSV file to download, then let the next have its turn."""
    import_exports.prepare(export_id)
    _wake_export()


def _wake_export() -> None:
    for export_id in import_exports.available():
        enqueue_on_commit(import_exports.TASK, export_id)


@shared_task
def tend_batches() -> None:
    """Go on with files that wait: for a place, or because their worker died or was never woken."""
    _wake_export()
    for batch_id in imports.available():
        enqueue_on_commit(imports.TASK, batch_id)


@shared_task
def forget_files() -> int:
    """Delete files that nobody confirmed, expired CSV files, and whom letters were sent to."""
    return imports.forget_drafts() + import_exports.forget_expired() + link_emails.forget()


@shared_task
def forget_codes() -> int:
    """Delete codes sent to e-mail addresses that nobody can use any more."""
    return email_verification.forget_old()
