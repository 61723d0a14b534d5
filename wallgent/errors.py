"""The errors that a service raises. Each entry point shows them in its own way.

There is one class for each error code of the API: the general ones are here, the others in the
errors.py of their package.
"""

from collections.abc import Callable


class DomainError(Exception):
    """An expected error: a stable `code`, an HTTP `status` and a sentence that says what to do."""

    status = 400
    code = "VALIDATION_ERROR"
    message = "The request cannot be carried out."
    headers: dict[str, str] = {}

    def __init__(self, message: str | None = None, **details):
        self.message = message or self.message
        self.details = details
        self.extra_body: dict = {}  # further keys of the response, next to "error"
        self.after_rollback: Callable | None = None
        super().__init__(self.message)

    @property
    def has_record(self) -> bool:
        """Whether `record` has anything to write."""
        return self.after_rollback is not None

    def record(self, *, actor) -> None:
        """Write what must be kept although the work was rolled back, in a second transaction.

        A service that has something to keep sets `after_rollback` to a function of the actor.
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


class WebhookNotFound(NotFound):
    code = "WEBHOOK_NOT_FOUND"
    message = "There is no such webhook."


class SandboxOnly(DomainError):
    status = 403
    code = "SANDBOX_ONLY"
    message = "Wallets are funded by a call in the sandbox only. Deposit money in production."


class KybRequired(DomainError):
    status = 403
    code = "KYB_REQUIRED"
    message = "Production is not activated for this organization yet."
