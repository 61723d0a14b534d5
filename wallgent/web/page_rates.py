"""How often pages may be asked for: by person, by address, and by all people of an organization.

More than people need, and fewer than a program would like. Without Redis nothing is refused.
"""

from collections.abc import Callable

from django.contrib.auth import SESSION_KEY
from django.http import HttpResponse

from wallgent.api import throttling
from wallgent.errors import RateLimitExceeded
from wallgent.http import error_pages
from wallgent.http.client_ip import client_network

# A minute. An address counts only while nobody is signed in: an office may share it.
READS, WRITES = 600, 120
ORGANIZATION_READS, ORGANIZATION_WRITES = 1_200, 300


def has_own_limits(view: Callable) -> Callable:
    """Leave a view out of the limits for all pages: it counts by itself, or must always answer."""
    view.has_own_limits = True
    return view


def refuse_organization(request) -> HttpResponse | None:
    """Count a page of the actor's organization; the answer when it is one too many."""
    subject = f"organization:{request.actor.organization.id}"
    return _refuse(request, subject, ORGANIZATION_READS, ORGANIZATION_WRITES)


def _refuse(request, subject: str, reads: int, writes: int) -> HttpResponse | None:
    kind, limit = ("r", reads) if request.method in ("GET", "HEAD") else ("w", writes)
    try:
        throttling.check(subject=f"page:{kind}:{subject}", limit=limit)
    except RateLimitExceeded as error:
        return _refusal(request, int(error.headers["Retry-After"]))
    return None


def _refusal(request, seconds: int) -> HttpResponse:
    """A page that needs no database; a sentence where a script asks, which shows it as a toast."""
    wait = f"Wait {seconds} second{'' if seconds == 1 else 's'}, then try again."
    text = f"{wait} Nothing was lost."
    if request.htmx:
        response = HttpResponse(text, status=429, content_type="text/plain")
    else:
        response = error_pages.page(request, 429, ("Too many requests", text))
    response.headers["Retry-After"] = str(seconds)
    response.headers["Cache-Control"] = "no-store"
    return response


class PageRatesMiddleware:
    """Counts each page by the person who is signed in, or else by the address."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        if getattr(view, "has_own_limits", False):
            return None
        person = request.session.get(SESSION_KEY)
        subject = f"person:{person}" if person else f"address:{client_network(request)}"
        return _refuse(request, subject, READS, WRITES)
