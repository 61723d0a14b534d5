"""Errors of organizations and their API keys."""

from wallgent.errors import DomainError, Unauthorized


class ApiKeyRevoked(Unauthorized):
    code = "API_KEY_REVOKED"
    message = "This API key was revoked. Create a new one in the dashboard or with another key."


class PlanLimitExceeded(DomainError):
    status = 403
    code = "PLAN_LIMIT_EXCEEDED"
    message = "The plan's limit is reached."
