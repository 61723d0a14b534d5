"""The tasks that process transfers. Each is idempotent and may run late."""

from celery import shared_task

from accounts.transfers.services import worker

SWEEP_SECONDS = 2


@shared_task
def process_transfer(id: str) -> None:
    """Process a transfer if it is due: submit it, poll its rail, apply the report."""
    worker.process(id)


@shared_task
def process_due_transfers() -> int:
    """Enqueue every due transfer, also those whose own task was lost. Returns their number."""
    found = worker.due()
    for id in found:
        # The next sweep enqueues again what is not processed by then.
        process_transfer.apply_async([id], expires=SWEEP_SECONDS)
    return len(found)
