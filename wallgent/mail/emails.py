"""Sends emails after the commit. A mail server that is down stops nothing."""

import logging
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction

from wallgent import clock
from wallgent.environments import Environment
from wallgent.mail.models import SandboxEmail

log = logging.getLogger("wallgent.mail.emails")


def send(message: EmailMessage, *, organization: Any = None, environment: str = "") -> None:
    """Send an email once the caller's transaction is committed. Never raises; logs a failure.

    An email about a sandbox is also kept in the test inbox of the organization. Leave out the
    organization and environment if only the recipient may read the email.
    """
    if organization is not None and environment == Environment.SANDBOX:
        SandboxEmail.objects.create(
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
    # Mail servers fail in many ways, and the transaction is already committed.
    except Exception as error:
        log.error("a letter was not sent: %s", type(error).__name__)
