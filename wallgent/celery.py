"""The Celery application. It finds tasks in each app's tasks.py."""

import os
import threading

from celery import Celery, bootsteps

from wallgent.events import relay

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallgent.settings")

app = Celery("wallgent")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class RelayStep(bootsteps.StartStopStep):
    """Runs the event relay in a thread of every worker.

    It is a step of the worker and not of its consumer, which starts later and only with the broker
    up.
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
