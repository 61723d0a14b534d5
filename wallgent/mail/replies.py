"""What mail servers say about an email: reply codes (RFC 5321) and status codes (RFC 3463).

Only the codes are kept, or the kind of error if there was no reply. The words around them come from
a stranger, and name the address.
"""

import re
import smtplib

from wallgent.mail.models import REPLY_LENGTH, Email

STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b", re.ASCII)
NONE = "no reply"  # after the whole email
_Reason = Email.Reason


def of_error(error: OSError) -> str:
    """Return the codes of the mail server's reply, such as "550 5.1.1", or the kind of error."""
    code, words = _reply(error)
    if not code:
        return type(error).__name__[:REPLY_LENGTH]
    words = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    status = STATUS.search(words)
    return f"{code} {status[0]}" if status else str(code)


def is_permanent(error: OSError) -> bool:
    """Return whether an error is about the recipient or content, and another attempt useless."""
    about_the_email = isinstance(error, (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError))
    return about_the_email and 500 <= _reply(error)[0] <= 599


def _reply(error: OSError) -> tuple[int, bytes | str]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [reply] = error.recipients.values()
        return reply
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code, error.smtp_error
    return 0, ""


def reason(codes: str) -> str:
    """Return the reason for a permanent refusal."""
    status = STATUS.search(codes)
    _, subject, detail = status[0].split(".") if status else ("5", "0", "0")
    if (subject, detail) == ("2", "2"):
        return _Reason.MAILBOX_FULL
    return _Reason.UNKNOWN_ADDRESS if subject == "1" else _Reason.REFUSED
