"""The errors of payment links."""

from datetime import timedelta

from wallgent.errors import NotFound, PermissionDenied
from wallgent.mail.limits import TooManyEmails


class PaymentLinkNotFound(NotFound):
    code = "PAYMENT_LINK_NOT_FOUND"
    message = "There is no such payment link."


class VerificationRequired(PermissionDenied):
    """Raised until the email is verified. Not stored as the answer to an idempotency key."""

    status = 202
    code = "VERIFICATION_REQUIRED"
    message = (
        "A code was sent to this e-mail address. Make the same call again, with the code as"
        " verificationCode."
    )


class CodeSentAlready(TooManyEmails):
    """Raised while the code that was sent before is still valid."""

    def __init__(self, wait: timedelta):
        super().__init__(wait)
        self.message = (
            "A code was sent to this e-mail address just now. Look for it, also among unwanted"
            f" mail. A new one can be sent in {self.details['retryAfterSeconds']} seconds."
        )


class WrongCode(PermissionDenied):
    message = "This is not the code that was sent."


class CodeExpired(PermissionDenied):
    message = "This code is no longer valid. Ask for a new one."


class TooManyCodes(CodeExpired):
    message = (
        "Too many wrong codes were given. Ask for a new one: a claim without verificationCode sends"
        " it, after details.resendAfterSeconds."
    )
