"""What takes tasks from the broker, and outlives it."""

import contextlib

from celery.worker import consumer


class Consumer(consumer.Consumer):
    """Celery's own, which would end the worker when the broker goes while a task is running.

    Whatever is done then with the connection that is gone, to give the task back or to acknowledge
    it, fails inside kombu as an AttributeError that nobody expects. Here it counts as one more
    error of a lost connection: it is logged, and the consumer connects again.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.connection_errors = (*self.connection_errors, AttributeError)

    def on_connection_error_after_connected(self, exc):
        with contextlib.suppress(AttributeError):
            super().on_connection_error_after_connected(exc)
