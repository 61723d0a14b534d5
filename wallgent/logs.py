"""Every log line carries the id of the request it belongs to. Bodies and secrets never do."""

import logging
from contextvars import ContextVar

# Nobody reads where a line was logged from, and finding out walks the stack (as the logging
# module's own documentation advises).
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

request_id: ContextVar[str] = ContextVar("request_id", default="-")


class RequestFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        # Django hands over the whole request; printed, it would show the path and the query.
        record.__dict__.pop("request", None)
        return True
