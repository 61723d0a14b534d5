"""Scheduled work of the API."""

from celery import shared_task

from wallgent import clock
from wallgent.api.idempotency import LIFETIME
from wallgent.api.models import IdempotencyRecord


@shared_task
def forget_idempotency_keys() -> int:
    """Delete answered keys past their lifetime. One claimed again in the meantime is kept."""
    deleted, _ = IdempotencyRecord.objects.filter(
        created_at__lt=clock.real_now() - LIFETIME, status__isnull=False
    ).delete()
    return deleted
