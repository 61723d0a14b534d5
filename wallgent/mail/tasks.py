"""Scheduled work on emails."""

from celery import shared_task

from wallgent.mail.models import EmailSendLog, SandboxEmail


@shared_task
def forget_letters() -> int:
    """Delete sandbox emails and rows of the send log that are past their lifetimes.

    Returns how many it deleted.
    """
    deleted_emails, _ = SandboxEmail.objects.expired().delete()
    deleted_rows, _ = EmailSendLog.objects.expired().delete()
    return deleted_emails + deleted_rows
