"""The refusals of payment links."""

from wallgent.errors import DomainError, NotFound


class PaymentLinkNotFound(NotFound):
    code = "PAYMENT_LINK_NOT_FOUND"
    message = "There is no such payment link."


class VerificationRequired(DomainError):
    status = 202
    code = "VERIFICATION_REQUIRED"
    message = "A code was sent to this e-mail address. Send it back as verificationCode."
