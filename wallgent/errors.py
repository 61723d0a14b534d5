"""Refusals. A service raises a DomainError; every door prints it in its own way.

One class for each code of the contract: the general ones here, the rest in each app's errors.py.
"""

from collections.abc import Callable


class DomainError(Exception):
    """A refusal with a stable `code`, an HTTP `status`, and a sentence that says what to do."""

    status = 400
    code = "VALIDATION_ERROR"
    message = "The request cannot be carried out."
    headers: dict[str, str] = {}

    def __init__(self, message: str | None = None, **details):
        self.message = message or self.message
        self.details = details
        self.extra_body: dict = {}  # what the answer holds next to "error"
        self.after_rollback: Callable | None = None
        super().__init__(self.message)

    @property
    def has_record(self) -> bool:
        """Whether `record` has anything to write."""
        return self.after_rollback is not None

    def record(self, *, actor) -> None:
        """Write what must outlive the rolled-back work, in a transaction of its own.

        A service sets `aftermath` to a function of the actor where there is such a thing.
        """
        if self.after_rollback:
            self.after_rollback(actor=actor)


class ValidationError(DomainError):
    message = "Some fields are missing or wrong. See details.fields."


class InvalidAmount(DomainError):
    code = "INVALID_AMOUNT"
    message = (
        "Give the amount as a positive decimal with at most 8 decimals, "
        'below 1,000,000,000,000, such as "25.00".'
    )


class Unauthorized(DomainError):
    status = 401
    code = "UNAUTHORIZED"
    message = "Send a valid API key in the header: Authorization: Bearer wg_…"
    headers = {"WWW-Authenticate": 'Bearer realm="wallgent"'}


class PermissionDenied(DomainError):
    status = 403
    code = "PERMISSION_DENIED"
    message = "This key may not do that."


class EnvironmentMismatch(DomainError):
    status = 403
    code = "ENVIRONMENT_MISMATCH"
    message = "This key and this object belong to different environments."


class NotFound(DomainError):
    status = 404
    code = "NOT_FOUND"
    message = "There is no such object."


class MethodNotAllowed(DomainError):
    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "This path does not take that method."


class InvalidState(DomainError):
    status = 409
    code = "INVALID_STATE"
    message = "The object's state does not allow this now."


class Conflict(DomainError):
    status = 409
    code = "CONFLICT"
    message = "Such an object exists already."


class IdempotencyKeyReuse(DomainError):
    status = 409
    code = "IDEMPOTENCY_KEY_REUSE"
    message = "This idempotency key was used for another request. Use a new key for a new request."


class PayloadTooLarge(DomainError):
    status = 413
    code = "PAYLOAD_TOO_LARGE"
    message = "The body is too large. Send at most 1 MiB."


class RateLimitExceeded(DomainError):
    status = 429
    code = "RATE_LIMIT_EXCEEDED"
    message = "Too many requests. Wait as long as Retry-After says, then go on."


class InternalError(DomainError):
    status = 500
    code = "INTERNAL_ERROR"
    message = "Something went wrong on our side. It is logged under this request id."


class NotAvailable(DomainError):
    status = 501
    code = "NOT_AVAILABLE"
    message = "This is not available on this server yet."


class ServiceUnavailable(DomainError):
    status = 503
    code = "SERVICE_UNAVAILABLE"
    # A connection lost while committing leaves open whether it was done.
    message = (
        "The server is busy or restarting. Try again with the same idempotency key, and nothing is"
        " done twice."
    )
    headers = {"Retry-After": "1"}
