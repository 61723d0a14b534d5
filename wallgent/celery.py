"""The Celery application: tasks are found in each app's tasks.py."""

import os
import threading

from celery import Celery, bootsteps

from wallgent.events import relay

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallgent.settings")

app = Celery("wallgent")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class RelayStep(bootsteps.StartStopStep):
    """Runs the relay as a thread of every worker.

    It belongs to the worker, not to its consumer, which starts later and only with the broker up.
    """

    def __init__(self, worker, **options):
        super().__init__(worker, **options)
        self.stopping = threading.Event()
        self.thread = threading.Thread(
            target=relay.run_forever, args=[self.stopping], name="relay", daemon=True
        )

    def start(self, worker):
        self.thread.start()

    def stop(self, worker):
        self.stopping.set()
        self.thread.join(timeout=5)

    terminate = stop


app.steps["worker"].add(RelayStep)
