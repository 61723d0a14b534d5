"""Renders every error in one envelope: {"error": {"code", "message", "details"?}}."""

import logging
import sys

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpResponse

from wallgent import errors
from wallgent.api import json
from wallgent.http import error_pages
from wallgent.http.middleware import is_api

log = logging.getLogger("wallgent.errors")

# SQLSTATEs of a standby that is not promoted yet and of transactions that were open for too long.
# Django reports them as internal errors.
_TEMPORARY_STATES = {"25006", "25P03", "25P04"}


def body(error: errors.DomainError) -> dict:
    """Return the body of an error's response."""
    envelope = {"code": error.code, "message": error.message}
    if error.details:
        envelope["details"] = error.details
    return {**error.extra_body, "error": envelope}


def render(error: errors.DomainError) -> HttpResponse:
    """Return the response of an error."""
    response = HttpResponse(
        json.write(body(error)), status=error.status, content_type="application/json"
    )
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def translate(error: Exception) -> errors.DomainError:
    """Return the DomainError for an exception of any kind. Logs bugs and reveals nothing."""
    if isinstance(error, errors.DomainError):
        return error
    if isinstance(error, Http404):
        return errors.NotFound("There is nothing at this path. Check it against the API reference.")
    if isinstance(error, SuspiciousOperation | BadRequest):
        return errors.ValidationError("The request is malformed.")
    if is_temporary(error):
        log.warning("database unavailable: %s", type(error.__cause__ or error).__name__)
        if not connection.in_atomic_block:  # inside one, the caller rolls back first
            connection.close_if_unusable_or_obsolete()
        return errors.ServiceUnavailable()
    log.error("unexpected error", exc_info=error)
    return errors.InternalError()


def is_temporary(error: Exception) -> bool:
    """Return whether a retry may succeed: after a lost connection, a timeout or a deadlock."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return getattr(error.__cause__, "sqlstate", None) in _TEMPORARY_STATES


def bad_request(request, exception):
    if is_api(request):
        return render(translate(exception))
    return error_pages.page(request, 400)


def not_found(request, exception):
    if is_api(request):
        return render(translate(exception))
    return error_pages.page(request, 404)


def server_error(request):
    refusal = translate(sys.exception())  # Django calls this while handling it
    return render(refusal) if is_api(request) else error_pages.for_error(request, refusal)
