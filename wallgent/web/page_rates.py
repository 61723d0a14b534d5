"""Rate limits of pages: per user, per network and per organization.

The limits are higher than people need and stop programs. If Redis is down, nothing is refused.
"""

from django.contrib.auth import SESSION_KEY
from django.http import HttpResponse

from wallgent.api import throttling
from wallgent.errors import RateLimitExceeded
from wallgent.http import error_pages
from wallgent.http.client_ip import client_network
from wallgent.http.middleware import for_pages

# Per minute. A network is counted only for visitors who are not signed in: an office may share it.
READS, WRITES = 600, 120
ORGANIZATION_READS, ORGANIZATION_WRITES = 1_200, 300


def refuse_organization(request) -> HttpResponse | None:
    """Count a page of the actor's organization. Return the refusal if the limit is exceeded."""
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
    """Return a page that needs no database, or text for a script that shows it as a toast."""
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
    """Counts each page by the signed-in user, else by the network."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        if getattr(view, "has_own_limits", False):
            return None
        user_id = request.session.get(SESSION_KEY)
        subject = f"person:{user_id}" if user_id else f"address:{client_network(request)}"
        return _refuse(request, subject, READS, WRITES)


PageRates = for_pages(PageRatesMiddleware)
