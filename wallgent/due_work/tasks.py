"""The task of due work: woken after commit, and by a sweep every second."""

from celery import shared_task

from wallgent.due_work import queue, worker


@shared_task(name=queue.TASK)
def do_due_work() -> int:
    """Handle what is due, for a few seconds. May run twice, or late, without harm."""
    return worker.work()
