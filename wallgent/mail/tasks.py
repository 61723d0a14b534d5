"""Scheduled work on emails."""

from celery import shared_task

from wallgent.mail import emails


@shared_task
def forget_emails() -> int:
    """Erase and delete emails that are past their lifetimes. Return how many were deleted."""
    return emails.forget()
