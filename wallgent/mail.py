"""Letters. They leave after the commit, and a mail server that is away stops nothing."""

import logging

from django.core.mail import EmailMessage
from django.db import transaction

log = logging.getLogger("wallgent.mail")


def send(message: EmailMessage) -> None:
    """Send it once the caller's transaction is committed. Never raises; a failure is logged."""
    transaction.on_commit(lambda: _send(message))


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except Exception as error:  # a mail server refuses in many ways, and what was done is done
        log.error("a letter was not sent: %s", type(error).__name__)
