"""Pages for what went wrong, in calm words. They need no database and no context processor."""

import logging

from django.http import HttpResponse
from django.template import loader
from django.utils.cache import patch_vary_headers

log = logging.getLogger("wallgent.http.error_pages")

WORDS = {
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


def page(request, status: int, words: tuple[str, str] | None = None) -> HttpResponse:
    """A whole page that says what happened and what to do next."""
    title, text = words or WORDS[status]
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
    patch_vary_headers(response, ["Cookie"])  # where the viewer's theme stands
    return response


def refused(request, refusal) -> HttpResponse:
    """The page for a refusal that no other page can show, with the headers it sends."""
    response = page(request, refusal.status)
    for name, value in refusal.headers.items():
        response.headers[name] = value
    return response


def forbidden(request, exception=None) -> HttpResponse:
    """The answer to a person who may not do that."""
    return page(request, 403)


def csrf_failure(request, reason="") -> HttpResponse:
    """The answer to a form whose token has expired, or that another site sent."""
    log.warning("forged or stale form: %s", reason)
    return page(request, 403, _EXPIRED)


class FaultsMiddleware:
    """Fills the bare answers of decorators, such as of a wrong method, with a page."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if response.status_code not in (405, 429) or response.streaming or response.content:
            return response
        filled = page(request, response.status_code)
        for name in ("Allow", "Retry-After"):
            if name in response.headers:
                filled.headers[name] = response.headers[name]
        return filled
