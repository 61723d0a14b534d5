"""Work on a timetable for the test mailbox."""

from celery import shared_task

from wallgent.mail.models import Letter


@shared_task
def forget_letters() -> int:
    """Delete letters past their lifetime."""
    deleted, _ = Letter.objects.old().delete()
    return deleted
