"""Letters. They leave after the commit, and a mail server that is away stops nothing."""

import logging
import re
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction

from wallgent import clock
from wallgent.environments import Environment
from wallgent.mail.models import Letter

log = logging.getLogger("wallgent.mail.emails")

# What turns the direction of writing (Unicode, UAX 9): amounts behind it would read backwards.
_TURNS = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
# The address of a page, in any script: an email leads to ours alone. A host name by itself is let
# be, since names such as Booking.com and words such as rent.pdf are ordinary.
_ADDRESS = re.compile(r"://|www\.|\b[\w-]+\.[^\W\d_][\w-]+(/|:[0-9]|[?#]\w)", re.IGNORECASE)


def one_line(text: str) -> str:
    """A stranger's text that writes no header and no paragraph, and turns nothing."""
    return " ".join(text.translate(_TURNS).split())


def without_links(text: str) -> str:
    """The same in one line, or "" where a mail program would turn part of it into a link."""
    line = one_line(text)
    return "" if holds_address(line) else line


def holds_address(text: str) -> bool:
    """Whether an email with this text would lead to some page."""
    return _ADDRESS.search(text) is not None


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
