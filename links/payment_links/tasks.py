"""Background tasks of payment links. Each may run twice, or late, without harm."""

from celery import shared_task

from links.payment_links.services import email_verification


@shared_task
def forget_codes() -> int:
    """Delete verification codes that can no longer be used."""
    return email_verification.delete_expired()
