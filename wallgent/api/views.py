"""The door of the API: who calls, how often, with what right; then the handler."""

from django.http import HttpResponse
from rest_framework.views import APIView

from wallgent.api import errors, json, pagination, throttling
from wallgent.api.schemas import Schema
from wallgent.errors import MethodNotAllowed


class Empty(Schema):
    """A body from which nothing is read."""


def answer(body: Schema | dict, *, status: int = 200, secret: dict | None = None) -> HttpResponse:
    """A JSON answer. `secret` is shown with it and left out of whatever is stored of it."""
    content = body.to_json() if isinstance(body, Schema) else body
    response = HttpResponse(
        json.write(content | (secret or {})), status=status, content_type="application/json"
    )
    if secret:
        response.content_without_secret = json.write(content)
    return response


class ApiView(APIView):
    """One path. `permissions` names, for each method, what a key needs to call it."""

    permissions: dict[str, str] = {}

    def dispatch(self, request, **path):
        """REST framework's own steps, as far as this API needs them.

        With one way in, one format and our own errors, its wrapped request and its negotiation
        would cost each payment a fifth of its Python.
        """
        self.rate_headers = {}
        try:
            self.initial(request, **path)
            response = self._handler(request.method)(request, **path)
        except Exception as error:
            response = errors.handle(error, {"view": self})
        for name, value in self.rate_headers.items():
            response.headers[name] = value
        response.headers["Content-Length"] = str(len(response.content))
        response.headers["Cache-Control"] = "no-store"  # balances, and secrets shown once
        return response

    def initial(self, request, **path):
        request.actor = actor = self.get_authenticators()[0].authenticate(request)[0]
        is_read = request.method in ("GET", "HEAD")
        limits = actor.organization.limits
        self.rate_headers = throttling.check(
            subject=f"{actor.organization.id}:{actor.environment}:{'r' if is_read else 'w'}",
            limit=limits.reads_per_minute if is_read else limits.writes_per_minute,
        )
        needed = self.permissions.get("GET" if request.method == "HEAD" else request.method)
        if needed:
            actor.require(needed)

    def _handler(self, method: str):
        name = method.lower()
        # `options` is REST framework's, and describes what this API does not have.
        if name not in self.http_method_names or name == "options" or not hasattr(self, name):
            raise MethodNotAllowed()
        return getattr(self, name)

    def query(self, shape: type[Schema]) -> Schema:
        """The query string, read as `shape`. Raises ValidationError."""
        return shape.read(self.request.GET.dict())

    def page(self, queryset, query: pagination.PageQuery, render, *, by: str = "pk"):
        """Answer one page of a list, newest first."""
        return answer(pagination.page(queryset, query, render, by=by))
