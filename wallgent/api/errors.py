"""One envelope for every refusal: {"error": {"code", "message", "details"?}}."""

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

# A standby not promoted yet, and transactions that were kept open for too long. Django calls them
# internal errors.
_PASSING_STATES = {"25006", "25P03", "25P04"}


def body(error: errors.DomainError) -> dict:
    """The envelope of a refusal."""
    envelope = {"code": error.code, "message": error.message}
    if error.details:
        envelope["details"] = error.details
    return {**error.extra_body, "error": envelope}


def render(error: errors.DomainError) -> HttpResponse:
    """The refusal as an answer."""
    response = HttpResponse(
        json.write(body(error)), status=error.status, content_type="application/json"
    )
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def translate(error: Exception) -> errors.DomainError:
    """The refusal that an exception of any kind amounts to. A bug is logged and says nothing."""
    if isinstance(error, errors.DomainError):
        return error
    if isinstance(error, Http404):
        return errors.NotFound("There is nothing at this path. Check it against the API reference.")
    if isinstance(error, SuspiciousOperation | BadRequest):
        return errors.ValidationError("The request is malformed.")
    if is_passing(error):
        log.warning("database unavailable: %s", type(error.__cause__ or error).__name__)
        if not connection.in_atomic_block:  # else it is the caller's, who rolls back
            connection.close_if_unusable_or_obsolete()
        return errors.ServiceUnavailable()
    log.error("unexpected error", exc_info=error)
    return errors.InternalError()


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed in a moment: a lost connection, time-out or deadlock."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return getattr(error.__cause__, "sqlstate", None) in _PASSING_STATES


def handle(error: Exception, context) -> HttpResponse:
    """The answer to a request whose view raised `error`."""
    refusal = translate(error)
    if isinstance(refusal, errors.MethodNotAllowed):
        refusal.headers = {"Allow": ", ".join(context["view"].permissions)}
    return render(refusal)


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
    return render(refusal) if is_api(request) else error_pages.refused(request, refusal)
