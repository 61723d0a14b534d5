"""Celery tasks of imports. Each may run twice, or late, without harm."""

from celery import shared_task

from wallgent.imports import exports, files, worker
from wallgent.task_queue import enqueue_on_commit


@shared_task(name=worker.TASK)
def create_objects(file_id: str) -> None:
    """Create objects of a confirmed file for a while, then queue the next."""
    if worker.work(file_id):
        _enqueue_export()
        for next_id in worker.available()[:1]:
            enqueue_on_commit(worker.TASK, next_id)


@shared_task(name=exports.TASK)
def prepare_export(export_id: str) -> None:
    """Prepare a CSV file to download, then queue the next."""
    exports.prepare(export_id)
    _enqueue_export()


def _enqueue_export() -> None:
    for export_id in exports.available():
        enqueue_on_commit(exports.TASK, export_id)


@shared_task
def resume_imports() -> None:
    """Queue what waits: for a place, or because its worker died or its task was lost."""
    _enqueue_export()
    for file_id in worker.available():
        enqueue_on_commit(worker.TASK, file_id)


@shared_task
def delete_expired_files() -> int:
    """Delete uploads that were not confirmed, and prepared CSV files past their lifetime."""
    return files.delete_expired_drafts() + exports.delete_expired()
