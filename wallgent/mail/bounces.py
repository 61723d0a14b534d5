"""Records emails that came back, from the delivery status notifications of mail servers (RFC 3464).

Anyone can send one, so it changes nothing but the status of an email, and only if it names a
Message-ID, which only the recipient of the email and the mail servers know.
"""

import re
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from django.db import transaction

from wallgent import ids
from wallgent.mail import replies
from wallgent.mail.models import Email

MAX_BYTES = 256 * 1024  # ours are short, and a notification returns no more than one
_MESSAGE_ID = re.compile(r"<(eml_[0-9A-Z]{26})@[^<>@\s]{1,255}>", re.ASCII)
_HEADERS = ("message/rfc822", "text/rfc822-headers")


def record(notification: bytes) -> Email | None:
    """Record that an email failed. Return it, or None if the message says that of no sent email."""
    try:
        found = _read(notification[:MAX_BYTES])
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError):
        return None  # malformed: the parser meets what it does not expect
    return _record(*found) if found else None


@transaction.atomic
def _record(email_id: str, status: str) -> Email | None:
    uuid = ids.parse(email_id, "eml")
    sent = Email.objects.select_for_update(no_key=True)
    found = uuid and sent.filter(pk=uuid, status=Email.Status.SENT).first()
    if not found:
        return None
    found.end(Email.Status.FAILED, reason=replies.reason(status), reply=status)
    return found


def _read(notification: bytes) -> tuple[str, str] | None:
    """Return the id of the email that failed for good and the status code."""
    # Older notifications use headers that the stricter policies refuse.
    message = BytesParser(policy=compat32).parsebytes(notification)
    if message.get_content_type() != "multipart/report" or not message.is_multipart():
        return None
    parts = message.get_payload()
    status = next((found for part in parts if (found := _status(part))), None)
    email_id = next((found for part in parts if (found := _email_id(part))), None)
    return (email_id, status) if email_id and status else None


def _status(part: Message) -> str | None:
    if part.get_content_type() != "message/delivery-status" or not part.is_multipart():
        return None
    for recipient in part.get_payload():
        if str(recipient.get("Action", "")).strip().lower() == "failed":
            status = replies.STATUS.search(str(recipient.get("Status", "")))
            return status[0] if status else "5.0.0"
    return None


def _email_id(part: Message) -> str | None:
    """Return the id in the returned headers."""
    if part.get_content_type() not in _HEADERS:
        return None
    if part.is_multipart():
        headers = part.get_payload(0)
    else:
        text = part.get_payload(decode=True) or b""
        headers = BytesParser(policy=compat32).parsebytes(text, headersonly=True)
    found = _MESSAGE_ID.search(str(headers.get("Message-ID", "")))
    return found[1] if found else None
