"""Work on a timetable. Each task may run twice, or late, without harm."""

from celery import shared_task
from django.core.management import call_command

from accounts.controls.services import approvals
from accounts.ledger import journal
from accounts.transfers.services import worker

ROLL_LIMIT = 10_000
SWEEP_SECONDS = 2


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


@shared_task
def attend_transfer(id: str) -> None:
    """Do what is due about a transfer: tell its rail, ask it, book what it says."""
    worker.attend(id)


@shared_task
def attend_transfers() -> int:
    """Hand out every transfer that is due: those that wait, and those whose wake-up was lost."""
    found = worker.due()
    for id in found:
        # The next sweep finds again what nobody came to by then.
        attend_transfer.apply_async([id], expires=SWEEP_SECONDS)
    return len(found)
