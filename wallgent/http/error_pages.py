"""Error pages. They need no database and no context processor."""

import logging

from django.http import HttpResponse
from django.template import loader
from django.utils.cache import patch_vary_headers

log = logging.getLogger("wallgent.http.error_pages")

MESSAGES = {
    400: ("This request is not complete", "Go back, reload the page, and try once more."),
    403: (
        "You may not see this",
        "Your role does not allow it. Someone who manages your organization can change that.",
    ),
    404: (
        "There is nothing here",
        "The address may be mistyped, or what stood here belongs to someone else.",
    ),
    405: ("This page does not take that", "Go back and use the buttons on the page."),
    429: ("Too many tries", "Wait a minute, then try again. Nothing was lost."),
    500: (
        "Something went wrong on our side",
        "It has been noted. Try again in a moment; nothing is done twice.",
    ),
    503: ("We will be right back", "The server is busy or restarting. Try again in a moment."),
}
_EXPIRED = (
    "This page was open for too long",
    "Go back, reload, and send it again.",
)


def page(request, status: int, message: tuple[str, str] | None = None) -> HttpResponse:
    """Return an error page. `message` is a title and a text, by default those of the status."""
    title, text = message or MESSAGES[status]
    # Without the request argument no context processor runs, and none can fail.
    html = loader.get_template("error.html").render(
        {
            "request": request,
            "status": status,
            "title": title,
            "text": text,
            "reference": getattr(request, "id", "") if status >= 500 else "",
        }
    )
    response = HttpResponse(html, status=status)
    patch_vary_headers(response, ["Cookie"])  # a cookie has the viewer's theme
    return response


def for_error(request, error) -> HttpResponse:
    """Return the page for a DomainError that no other page can show, with its headers."""
    response = page(request, error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def forbidden(request, exception=None) -> HttpResponse:
    """Return the page for a person without permission."""
    return page(request, 403)


def csrf_failure(request, reason="") -> HttpResponse:
    """Return the page for a form with an expired token, or from another site."""
    log.warning("forged or stale form: %s", reason)
    return page(request, 403, _EXPIRED)


class ErrorPagesMiddleware:
    """Adds a page to the empty responses of decorators, such as for a wrong method."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if response.status_code not in (405, 429) or response.streaming or response.content:
            return response
        error_page = page(request, response.status_code)
        for name in ("Allow", "Retry-After"):
            if name in response.headers:
                error_page.headers[name] = response.headers[name]
        return error_page
