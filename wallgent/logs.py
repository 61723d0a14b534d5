"""Logging: every line has the id of its request, and none has a body or a secret."""

import logging
from contextvars import ContextVar

# Finding the source line of a log call walks the stack, and our formats do not show it. The
# documentation of the logging module advises to switch it off so.
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

request_id: ContextVar[str] = ContextVar("request_id", default="-")


class RequestFilter(logging.Filter):
    """Adds the request id to each record and removes the request object."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        # Django attaches the whole request; printed, it would show the path and the query.
        record.__dict__.pop("request", None)
        return True
