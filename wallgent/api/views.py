"""The base of API views, which authenticates, limits rates, checks permissions and answers."""

from typing import ClassVar

from django.http import HttpResponse
from rest_framework.views import APIView

from wallgent.api import commands, errors, json, operations, pagination, throttling
from wallgent.api.operations import Answer, Operation
from wallgent.api.schemas import Schema
from wallgent.errors import DomainError, MethodNotAllowed


def json_response(body: dict, status: int) -> HttpResponse:
    """Return a response whose `body` is also at hand as a dictionary."""
    response = HttpResponse(json.write(body), status=status, content_type="application/json")
    response.body = body
    return response


class ApiView(APIView):
    """One path under a prefix. Its methods are operations.

    Another dialect of the API overrides `initial`, `read`, `respond`, `refuse` and `page`.
    """

    prefix = "v1"
    is_public = False  # whether its methods need no API key
    path: ClassVar[str]  # such as "wallets/{wallet_id}"
    loads: ClassVar[dict] = {}  # the loaders of the path's objects, for every method
    operations: ClassVar[dict[str, Operation]] = {}  # by method

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "path" not in cls.__dict__:
            return  # a base of other views
        cls.operations = {}
        for method in operations.METHODS:
            handler = getattr(cls, method.lower(), None)
            if declaration := getattr(handler, "operation", None):
                cls.operations[method] = declaration.of_view(cls, method)
        operations.views.append(cls)

    def dispatch(self, request, **path):
        """Run the steps of REST framework that this API needs.

        The API has one authentication, one format and its own errors. The wrapped request and the
        content negotiation of REST framework would take a fifth of each payment's Python time.
        """
        request.rate_headers = {}
        try:
            response = self._run(request, path)
        except Exception as error:
            refusal = errors.translate(error)
            if isinstance(refusal, MethodNotAllowed):
                refusal.headers = {"Allow": ", ".join(self.operations)}
            response = self.refuse(refusal)
        for name, value in request.rate_headers.items():
            response.headers[name] = value
        response.headers["Content-Length"] = str(len(response.content))
        response.headers["Cache-Control"] = "no-store"  # balances, and secrets shown once
        return response

    def _run(self, request, path: dict[str, str]) -> HttpResponse:
        self.initial(request, **path)
        operation = self.operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            raise MethodNotAllowed()
        if operation.permission:
            request.actor.require(operation.permission)
        run = commands.write if operation.is_write else commands.read
        return run(self, operation, request, path)

    def initial(self, request, **path):
        """Authenticate the caller and limit its rate. Raises Unauthorized, RateLimitExceeded."""
        request.actor = actor = self.get_authenticators()[0].authenticate(request)[0]
        limits = actor.organization.limits
        is_read = request.method in ("GET", "HEAD")
        request.rate_headers = throttling.check(
            subject=f"{actor.organization.id}:{actor.environment}:{'r' if is_read else 'w'}",
            limit=limits.reads_per_minute if is_read else limits.writes_per_minute,
        )

    def read(self, schema: type[Schema], request, body: dict) -> Schema:
        """Read a body. Raises ValidationError, InvalidAmount."""
        return schema.read(body)

    def respond(self, operation: Operation, result: Schema | dict | Answer) -> HttpResponse:
        """Return the response to what a handler returned; secrets are taken out of its `body`."""
        body, status = result if isinstance(result, Answer) else (result, operation.status)
        return json_response(body.to_json() if isinstance(body, Schema) else body, status)

    def refuse(self, error: DomainError) -> HttpResponse:
        """Return the response to an error."""
        return errors.render(error)

    def page(self, queryset, query: pagination.PageQuery, output, *, by: str = "pk") -> Schema:
        """Return one page of a list, newest first."""
        return pagination.page(queryset, query, output, by=by)
