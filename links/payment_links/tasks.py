"""Background tasks of payment links. Each may run twice, or late, without harm."""

from celery import shared_task

from links.payment_links.services import email_verification, expiry


@shared_task
def expire_links() -> int:
    """Expire the payment links past their expiry, and release their holds."""
    return expiry.expire_due()


@shared_task
def forget_codes() -> int:
    """Delete verification codes that can no longer be used."""
    return email_verification.delete_expired()
