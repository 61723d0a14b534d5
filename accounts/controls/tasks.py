"""Scheduled tasks of controls. Each may run late or twice without harm."""

from celery import shared_task

from accounts.controls.services import approvals


@shared_task
def expire_approvals() -> int:
    """Expire every pending approval whose time is over. Returns how many."""
    return approvals.expire_due()
