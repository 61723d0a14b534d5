"""Scheduled tasks of organizations. Each may run twice or late."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def forget_sessions() -> None:
    """Delete expired sessions."""
    call_command("clearsessions")
