"""Emails in tests: the worker sends what waits when a test looks at them."""

from datetime import UTC, datetime, timedelta

from django.core import mail
from django.db.models import F

from tests import due
from wallgent import clock
from wallgent.due_work.models import DueWork
from wallgent.mail import delivery, emails
from wallgent.mail.models import Email

PAST = datetime(2000, 1, 1, tzinfo=UTC)


def outbox() -> list[mail.EmailMessage]:
    """Let the worker send the waiting emails; return all that were sent."""
    deliver()
    return mail.outbox


def deliver() -> None:
    """Let the worker try to send every waiting email now, whenever it is due."""
    delivery._server_is_away_until = PAST
    DueWork.objects.filter(kind=emails.DUE_WORK).update(due_at=clock.real_now())
    due.work(emails.DUE_WORK)


class Outbox:
    """The sent emails, delivered whenever they are looked at."""

    def __getitem__(self, index):
        return outbox()[index]

    def __len__(self):
        return len(outbox())

    def __eq__(self, other):
        return outbox() == other

    __hash__ = None


def age(**by) -> None:
    """Move the emails into the past, as if real time had passed."""
    ago = timedelta(**by)
    Email.objects.update(created_at=F("created_at") - ago, expires_at=F("expires_at") - ago)
