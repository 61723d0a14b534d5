"""Queues emails in the caller's transaction. The worker sends them after its commit."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from wallgent import clock, due_work, ids
from wallgent.due_work.models import DueWork
from wallgent.environments import Environment
from wallgent.errors import RateLimitExceeded
from wallgent.mail import addresses, limits
from wallgent.mail.models import LIFETIME, SANDBOX_CONTENT_LIFETIME, Email

DUE_WORK = "send_email"
DEADLINE = timedelta(days=1)
NOTICE_DELAY = timedelta(minutes=1)  # notices of this time are one email
NOTICE_PERIOD = timedelta(minutes=10)  # between two emails with notices
NOTICES_PER_EMAIL = 20
_BETWEEN_NOTICES = "\n\n" + "-" * 40 + "\n\n"


@transaction.atomic(savepoint=False)
def queue(
    kind: str,
    *,
    to: str,
    subject: str,
    text: str,
    about: str = "",
    organization: Any = None,
    environment: str = "",
    sender_id: str = "",
    valid_until: datetime | None = None,
    drops_excess: bool = False,
) -> Email:
    """Queue an email, unless the address or its sender had too many.

    `about` is the id of its subject. `valid_until` says when it becomes useless; then it is no
    longer sent. Raises RateLimitExceeded, unless `drops_excess`: then an email too many is recorded
    as failed.
    """
    email = _new(kind, to, about, organization, environment, sender_id, valid_until)
    try:
        limits.check(email)
    except RateLimitExceeded:
        if not drops_excess:
            raise
        email.status, email.reason = Email.Status.FAILED, Email.Reason.LIMITED
        email.ended_at = email.created_at
        email.save(force_insert=True)
        return email
    email.seal(recipient=to, subject=subject, text=text)
    email.save(force_insert=True)
    due_work.schedule(DUE_WORK, email, at=email.created_at, real_time=True)
    return email


@transaction.atomic(savepoint=False)
def notify(*, to: str, subject: str, text: str, grouped_subject: str) -> Email:
    """Queue a notice about an account. Several within a short time become one email.

    So nothing limits notices, and nothing that others do can suppress one.
    """
    email = _new(Email.Kind.NOTICE, to)
    limits.lock(email.address_digest)
    notices = Email.objects.filter(kind=email.kind, address_digest=email.address_digest)
    last = notices.select_for_update(no_key=True).order_by("-pk").first()
    is_waiting = last and last.status == Email.Status.WAITING and not last.attempts
    if is_waiting and last.text.count(_BETWEEN_NOTICES) + 1 < NOTICES_PER_EMAIL:
        text = last.text + _BETWEEN_NOTICES + text
        last.seal(recipient=to, subject=grouped_subject, text=text)
        last.save(update_fields=["sealed"])
        return last
    at = email.created_at + NOTICE_DELAY
    if last:
        at = max(at, _sent_at(last) + NOTICE_PERIOD)
    email.expires_at = at + DEADLINE
    email.seal(recipient=to, subject=subject, text=text)
    email.save(force_insert=True)
    due_work.schedule(DUE_WORK, email, at=at, real_time=True)
    return email


def _sent_at(email: Email) -> datetime:
    """Return when an email was sent, or is to be sent. It is locked."""
    if email.ended_at:
        return email.ended_at
    return DueWork.objects.get(kind=DUE_WORK, subject=ids.to_uuid(email.id)).due_at


def _new(
    kind: str,
    to: str,
    about: str = "",
    organization: Any = None,
    environment: str = "",
    sender_id: str = "",
    valid_until: datetime | None = None,
) -> Email:
    now = clock.real_now()
    return Email(
        kind=kind,
        organization=organization,
        environment=environment,
        subject_id=about,
        sender_id=sender_id,
        address=addresses.mask(to),
        address_digest=limits.digest(to),
        created_at=now,
        expires_at=min(valid_until or now + DEADLINE, now + DEADLINE),
    )


def forget() -> int:
    """Erase sandbox emails after a week, and delete old rows. Return how many were deleted."""
    ended, now = Email.objects.ended(), clock.real_now()
    erased = ended.filter(environment=Environment.SANDBOX, sealed__isnull=False)
    erased.filter(created_at__lt=now - SANDBOX_CONTENT_LIFETIME).update(sealed=None)
    deleted, _ = ended.filter(created_at__lt=now - LIFETIME).delete()
    return deleted
