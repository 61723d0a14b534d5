"""Letters. They leave after the commit, and a mail server that is away stops nothing."""

import logging
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction

from wallgent import clock
from wallgent.environments import Environment
from wallgent.mailbox.models import Letter

log = logging.getLogger("wallgent.mail")


def send(message: EmailMessage, *, organization: Any = None, environment: str = "") -> None:
    """Send it once the caller's transaction is committed. Never raises; a failure is logged.

    With the organization and environment it is about, a letter of a sandbox is also kept in the
    organization's test mailbox. Leave them out for what only its reader may know.
    """
    if organization is not None and environment == Environment.SANDBOX:
        Letter.objects.create(
            organization=organization,
            recipients=message.recipients(),
            subject=message.subject,
            text=message.body,
            created_at=clock.real_now(),
        )
    transaction.on_commit(lambda: _send(message))


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except Exception as error:  # a mail server refuses in many ways, and what was done is done
        log.error("a letter was not sent: %s", type(error).__name__)
