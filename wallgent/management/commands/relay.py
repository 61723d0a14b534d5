import signal
import threading

from django.core.management.base import BaseCommand

from wallgent.events import relay


class Command(BaseCommand):
    help = "Run the relay by itself, as every worker also does, until SIGINT or SIGTERM."

    def handle(self, **options):
        stopping = threading.Event()
        thread = threading.Thread(target=relay.run_forever, args=[stopping], daemon=True)
        # No handler: it could interrupt code that holds the lock of the threading event.
        signals = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        thread.start()
        signal.sigwait(signals)
        stopping.set()
        thread.join()
