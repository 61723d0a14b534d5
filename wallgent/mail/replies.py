"""What mail servers say about an email: reply codes (RFC 5321) and status codes (RFC 3463).

Only the codes are kept. The words around them come from a stranger, and name the address.
"""

import re
import smtplib

from wallgent.mail.models import Email

STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b", re.ASCII)
NONE = "no reply"  # after the whole email
_Reason = Email.Reason


def of_error(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError) -> tuple[int, str]:
    """Return the reply code of an error about one recipient, and all its codes as text."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, words)] = error.recipients.values()
    else:
        code, words = error.smtp_code, error.smtp_error
    words = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    status = STATUS.search(words)
    return code, f"{code} {status[0]}" if status else str(code)


def is_permanent(code: int) -> bool:
    """Return whether a reply code says that another attempt is useless."""
    return 500 <= code <= 599


def reason(codes: str) -> str:
    """Return the reason for a permanent refusal."""
    status = STATUS.search(codes)
    _, subject, detail = status[0].split(".") if status else ("5", "0", "0")
    if (subject, detail) == ("2", "2"):
        return _Reason.MAILBOX_FULL
    return _Reason.UNKNOWN_ADDRESS if subject == "1" else _Reason.REFUSED
