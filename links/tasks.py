"""Work on a timetable. Each task may run twice, or late, without harm."""

from celery import shared_task

from links.services import expiry

BATCHES_AT_MOST = 100  # then the next sweep goes on


@shared_task
def expire_links() -> int:
    """Expire every payment link whose time is over, and free what it promised."""
    expired = 0
    for _ in range(BATCHES_AT_MOST):
        count = expiry.expire_due()
        expired += count
        if count < expiry.SWEEP_BATCH:
            break
    return expired
