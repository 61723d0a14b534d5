"""Sends queued emails: the handler of the due work, which a worker calls with a set."""

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import transaction

from wallgent import clock, due_work, ids
from wallgent.due_work.models import DueWork
from wallgent.mail import replies, smtp
from wallgent.mail.models import Email

log = logging.getLogger("wallgent.mail.delivery")

SET_SIZE = 20  # emails over one connection
FIRST_PAUSE = timedelta(seconds=5)  # doubled after each attempt
MAX_PAUSE = timedelta(minutes=30)
SERVER_PAUSE = timedelta(seconds=10)  # of a process, after the mail server failed
BUSY_PAUSE = timedelta(seconds=1)

DEADLINE = timedelta(seconds=20)  # of a set
# One email takes at most ten replies of EMAIL_TIMEOUT and the wait for its acceptance.
LEASE = timedelta(minutes=3)

# One thread of a process sends at a time, so a mail server that hangs holds up no other work.
_sending = threading.Lock()
_server_is_away_until = datetime.min.replace(tzinfo=UTC)


def send_due(rows: list[DueWork]) -> None:
    """Send a set of emails. What the mail server does not accept now is tried again later."""
    if not _sending.acquire(blocking=False):
        _retry(rows, clock.real_now() + BUSY_PAUSE)
        return
    try:
        if clock.real_now() < _server_is_away_until:
            _retry(rows, _server_is_away_until)
        else:
            _send(_begin(rows))
    finally:
        _sending.release()


@transaction.atomic
def _begin(rows: list[DueWork]) -> list[tuple[DueWork, Email]]:
    """Return the emails to send; end those that are too late, and skip those in other hands."""
    subjects = [row.subject for row in rows]
    locked = Email.objects.filter(pk__in=subjects).order_by("pk")
    locked = locked.select_for_update(no_key=True, skip_locked=True)
    emails = {ids.to_uuid(email.id): email for email in locked}
    waiting, now = [], clock.real_now()
    for row in rows:
        email = emails.get(row.subject)
        if email is None:
            due_work.reschedule(row, now + BUSY_PAUSE)
        elif email.status == Email.Status.WAITING and now < email.expires_at:
            waiting.append((row, email))
        else:
            if email.status == Email.Status.WAITING:
                email.end(Email.Status.FAILED, reason=Email.Reason.TOO_LATE)
            due_work.finish(row)
    return waiting


def _send(waiting: list[tuple[DueWork, Email]]) -> None:
    connection = get_connection()
    try:
        for number, (row, email) in enumerate(waiting):
            if clock.real_now() >= row.handle_by:
                _retry([row for row, _ in waiting[number:]], clock.real_now())
                break
            try:
                connection.open()
            except OSError as error:
                _wait_for_server(waiting[number:], error)
                break
            current = _begin_attempt(email)
            if current and not _send_one(connection, row, current):
                _close(connection)  # its state is unknown; the other emails get a new one
    finally:
        _close(connection)


def _wait_for_server(waiting: list[tuple[DueWork, Email]], error: OSError) -> None:
    global _server_is_away_until
    log.warning("email waits for the mail server: %s", type(error).__name__)
    _server_is_away_until = clock.real_now() + SERVER_PAUSE
    for row, email in waiting:
        if current := _begin_attempt(email):
            _try_again(row, current, replies.of_error(error))


def _send_one(connection, row: DueWork, email: Email) -> bool:
    """Send an email over an open connection. Return whether the mail server accepted it."""
    try:
        connection.send_messages([message_of(email)])
    except smtp.NoReply:
        _end(row, email, Email.Status.SENT, reply=replies.NONE)
    except OSError as error:  # of the network, or of SMTP
        reply = replies.of_error(error)
        if replies.is_permanent(error):
            _end(row, email, Email.Status.FAILED, reason=replies.reason(reply), reply=reply)
        else:
            log.warning("email waits: %s", type(error).__name__)
            _try_again(row, email, reply)
    else:
        _end(row, email, Email.Status.SENT)
        return True
    return False


def _close(connection) -> None:
    with suppress(OSError):
        connection.close()


@transaction.atomic
def _begin_attempt(email: Email) -> Email | None:
    """Count an attempt and return the email as it is now; None if another worker has ended it.

    Until then, another notice may join a notice.
    """
    waiting = Email.objects.filter(pk=email.pk, status=Email.Status.WAITING)
    current = waiting.select_for_update(no_key=True).first()
    if current:
        current.attempts += 1
        current.save(update_fields=["attempts"])
    return current


def _try_again(row: DueWork, email: Email, reply: str) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(email.attempts - 1, 20), MAX_PAUSE)
    with transaction.atomic():
        waiting = Email.objects.filter(pk=email.pk, status=Email.Status.WAITING)
        waiting.update(reply=reply)
        due_work.reschedule(row, min(clock.real_now() + pause, email.expires_at))


def _retry(rows: list[DueWork], at: datetime) -> None:
    with transaction.atomic():
        for row in rows:
            due_work.reschedule(row, at)


@transaction.atomic
def _end(row: DueWork, email: Email, status: str, **why: str) -> None:
    # One transaction for each email: after a crash, one at most is sent again.
    current = Email.objects.select_for_update(no_key=True).get(pk=email.pk)
    if current.status == Email.Status.WAITING:  # else another worker has sent it too
        current.end(status, **why)
    due_work.finish(row)


def message_of(email: Email) -> EmailMessage:
    """Return the message. Its Message-ID is the same each time."""
    headers = {
        "Message-ID": f"<{email.id}@{_host()}>",
        "Auto-Submitted": "auto-generated",  # asks for no automatic answer (RFC 3834)
    }
    return EmailMessage(email.subject, email.text, to=[email.recipient], headers=headers)


def _host() -> str:
    host = urlsplit(settings.PUBLIC_ORIGIN).hostname
    return f"[{host}]" if ":" in host else host
