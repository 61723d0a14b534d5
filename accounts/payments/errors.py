"""Errors of payments."""

from wallgent.errors import DomainError, NotFound


class MerchantNotFound(NotFound):
    code = "MERCHANT_NOT_FOUND"
    message = "There is no such merchant. Pay a wallet instead: name it in `to`."


class MerchantSuspended(DomainError):
    status = 403
    code = "MERCHANT_SUSPENDED"
    message = "The merchant is suspended and cannot be paid."


class ClosedLoopUnavailable(DomainError):
    code = "CLOSED_LOOP_UNAVAILABLE"
    message = "This payment cannot be made within the closed loop."


class ReversalNotAllowed(DomainError):
    status = 422
    code = "REVERSAL_NOT_ALLOWED"
    message = "This payment cannot be reversed."


class BatchPartialFailure(DomainError):
    status = 207
    code = "BATCH_PARTIAL_FAILURE"
    message = "A payment of the batch failed, so none of them was made. See results."
