"""Scheduled tasks of the ledger. Each may run late or twice without harm."""

from celery import shared_task

from accounts.ledger import journal

ROLL_LIMIT = 10_000


@shared_task
def roll_up() -> int:
    """Add all waiting changes to the balances of system accounts. Returns how many."""
    rolled = 0
    while count := journal.roll_up(ROLL_LIMIT):
        rolled += count
        if count < ROLL_LIMIT:
            break
    return rolled
