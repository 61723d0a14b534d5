"""Work on a timetable. Each task may run twice, or late, without harm."""

from celery import shared_task

from links.services import expiry


@shared_task
def expire_links() -> int:
    """Expire every payment link whose time is over, and free what it promised."""
    return expiry.expire_due()
