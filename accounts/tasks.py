"""Work on a timetable. Each task may run twice, or late, without harm."""

from celery import shared_task
from django.core.management import call_command

from accounts.ledger import journal
from accounts.services import approvals

ROLL_LIMIT = 10_000


@shared_task
def roll_up() -> int:
    """Add what system accounts have gathered to their balances."""
    rolled = 0
    while count := journal.roll(ROLL_LIMIT):
        rolled += count
        if count < ROLL_LIMIT:
            break
    return rolled


@shared_task
def expire_approvals() -> int:
    """End every approval that nobody decided about in time."""
    return approvals.expire_due()


@shared_task
def forget_sessions() -> None:
    """Delete the sessions that have ended."""
    call_command("clearsessions")
