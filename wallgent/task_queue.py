"""Enqueues a task when the transaction commits. Best effort: beat runs what was missed."""

import logging
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError, OperationalError

from wallgent import redis

log = logging.getLogger("wallgent.task_queue")

# A broker that hangs must not keep a request waiting.
_TIMEOUTS = {"socket_timeout": 1, "socket_connect_timeout": 1}


def enqueue_on_commit(task: str, *arguments: str, expires_seconds: int | None = None) -> None:
    """Enqueue a task after commit. Raises nothing when the broker is unavailable."""
    transaction.on_commit(partial(_send, task, arguments, expires_seconds), robust=True)


def _send(task: str, arguments: tuple[str, ...], expires_seconds: int | None) -> None:
    if not redis.attempt(lambda client: client.ping()):
        return
    try:
        with current_app.connection_for_write(transport_options=_TIMEOUTS) as connection:
            options = {"connection": connection, "retry": False, "expires": expires_seconds}
            current_app.send_task(task, arguments, **options)
    except (OperationalError, KombuError, OSError) as error:
        log.warning("a wake-up was lost: %s", type(error).__name__)
