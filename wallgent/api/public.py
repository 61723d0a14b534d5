"""Endpoints without an API key, for callers who know the secret in the path, from any website.

All people behind one office network share the limits. So the limits are high: they stop floods
and do not affect people.
"""

import hashlib

from django.http import HttpResponse

from wallgent.actors import Actor
from wallgent.api import throttling
from wallgent.api.views import ApiView
from wallgent.http.client_ip import client_network

PER_MINUTE = 1_200  # of one network; reads and writes have separate limits
PER_MINUTE_AND_PATH = 300

_EXPOSED_HEADERS = (
    "Idempotent-Replayed, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining,"
    " X-RateLimit-Reset, X-Request-Id"
)


class PublicView(ApiView):
    """One public path, which needs no API key."""

    is_public = True

    def dispatch(self, request, **path):
        if request.method == "OPTIONS":
            response = self._preflight()
        else:
            response = super().dispatch(request, **path)
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def _preflight(self) -> HttpResponse:
        """What a browser asks before it lets a page call: may it?"""
        response = HttpResponse(status=204)
        del response.headers["Content-Type"]  # there is no content
        response.headers["Access-Control-Allow-Methods"] = ", ".join(self.operations)
        response.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, Idempotency-Key"
        )
        response.headers["Access-Control-Max-Age"] = "86400"
        return response

    def initial(self, request, **path):
        kind = "r" if request.method in ("GET", "HEAD") else "w"
        subject = f"public:{kind}:{client_network(request)}"
        throttling.check(subject=subject, limit=PER_MINUTE)
        # Hashed, because the path is a secret of any length.
        digest = hashlib.sha256(request.path_info.encode()).hexdigest()[:32]
        request.rate_headers = throttling.check(
            subject=f"{subject}:{digest}", limit=PER_MINUTE_AND_PATH
        )
        request.actor = self.actor(request, **path)

    def actor(self, request, **path) -> Actor | None:
        """Return the public actor in the organization of the path's object. Raises NotFound."""
        return None
