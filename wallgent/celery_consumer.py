"""The Celery consumer, which survives a restart of the broker."""

import contextlib

from celery.worker import consumer


class Consumer(consumer.Consumer):
    """Celery's consumer, fixed to reconnect when the broker goes away while a task is running.

    Returning or acknowledging the task over the lost connection fails inside kombu with an
    AttributeError, which Celery does not catch: the worker would end. Here it counts as one more
    connection error: it is logged, and the consumer connects again.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.connection_errors = (*self.connection_errors, AttributeError)

    def on_connection_error_after_connected(self, exc):
        with contextlib.suppress(AttributeError):
            super().on_connection_error_after_connected(exc)
