"""The base of API views, which authenticates, limits rates and checks permissions."""

from django.http import HttpResponse
from rest_framework.views import APIView

from wallgent.api import errors, json, pagination, throttling
from wallgent.api.schemas import Schema
from wallgent.errors import MethodNotAllowed


class Empty(Schema):
    """A body without fields."""


def answer(body: Schema | dict, *, status: int = 200, secret: dict | None = None) -> HttpResponse:
    """Return a JSON response. `secret` is part of it but not of the stored answer."""
    content = body.to_json() if isinstance(body, Schema) else body
    response = HttpResponse(
        json.write(content | (secret or {})), status=status, content_type="application/json"
    )
    if secret:
        response.content_without_secret = json.write(content)
    return response


class ApiView(APIView):
    """One path. `permissions` names the permission that each method needs."""

    permissions: dict[str, str] = {}

    def dispatch(self, request, **path):
        """Run the steps of REST framework that this API needs.

        The API has one authentication, one format and its own errors. The wrapped request and the
        content negotiation of REST framework would take a fifth of each payment's Python time.
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
        # REST framework's own `options` describes features that this API does not have.
        if name not in self.http_method_names or name == "options" or not hasattr(self, name):
            raise MethodNotAllowed()
        return getattr(self, name)

    def query(self, schema: type[Schema]) -> Schema:
        """Read the query string. Raises ValidationError."""
        return schema.read(self.request.GET.dict())

    def page(self, queryset, query: pagination.PageQuery, render, *, by: str = "pk"):
        """Return the response with one page of a list, newest first."""
        return answer(pagination.page(queryset, query, render, by=by))
