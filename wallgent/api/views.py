"""The door of the API: who calls, how often, with what right; then the handler."""

from django.http import HttpResponse
from rest_framework.views import APIView

from wallgent.api import json, pagination, throttling
from wallgent.api.shapes import Shape


class Empty(Shape):
    """A body from which nothing is read."""


def answer(body: Shape | dict, *, status: int = 200, secret: dict | None = None) -> HttpResponse:
    """A JSON answer. `secret` is shown with it and left out of whatever is stored of it."""
    content = body.wire() if isinstance(body, Shape) else body
    response = HttpResponse(
        json.write(content | (secret or {})), status=status, content_type="application/json"
    )
    if secret:
        response.content_without_secret = json.write(content)
    return response


class ApiView(APIView):
    """One path. `permissions` names, for each method, what a key needs to call it."""

    permissions: dict[str, str] = {}
    metadata_class = None
    default_response_headers = {}

    def initial(self, request, **path):
        actor = request.user  # authenticates, or raises
        request.actor = request._request.actor = actor
        is_read = request.method in ("GET", "HEAD")
        limits = actor.organization.limits
        self.rate_headers = throttling.check(
            subject=f"{actor.organization.id}:{actor.environment}:{'r' if is_read else 'w'}",
            limit=limits.reads_per_minute if is_read else limits.writes_per_minute,
        )
        needed = self.permissions.get("GET" if request.method == "HEAD" else request.method)
        if needed:
            actor.require(needed)

    def finalize_response(self, request, response, **path):
        for name, value in getattr(self, "rate_headers", {}).items():
            response.headers[name] = value
        return super().finalize_response(request, response, **path)

    def query(self, shape: type[Shape]) -> Shape:
        """The query string, read as `shape`. Raises ValidationError."""
        return shape.read(self.request._request.GET.dict())

    def page(self, queryset, query: pagination.PageQuery, render, *, by: str = "pk"):
        """Answer one page of a list, newest first."""
        return answer(pagination.page(queryset, query, render, by=by))
