"""The Celery task of imports. It may run twice, or late, without harm."""

from celery import shared_task

from wallgent.imports import exports, files


@shared_task
def delete_expired_files() -> int:
    """Delete uploads that were not confirmed, and prepared CSV files past their lifetime."""
    return files.delete_expired_drafts() + exports.delete_expired()
