"""Operations: what an endpoint takes, needs and answers, declared once.

A view has a path, and each of its methods is an operation, declared with `@operation`. URL
patterns, checks, the OpenAPI document and the table that tests walk through are made from that.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, path

from wallgent.api.schemas import Schema
from wallgent.errors import DomainError, NotFound

PUBLIC = ""  # instead of a permission: no API key is needed
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Answer(NamedTuple):
    """What a handler returns for another status than the first one of its operation."""

    body: Schema | dict
    status: int


@dataclass(frozen=True, slots=True)
class Loader:
    """How an operation fetches the object that a path parameter or a field names by id."""

    source: str  # the path parameter, or the field, whose null value loads None
    access: Callable[..., Any]  # (id, *, actor) -> an object that the actor may use
    missing: type[NotFound] = NotFound

    def __call__(self, request, form: Any, path: dict[str, str]) -> Any:
        id = path[self.source] if self.source in path else getattr(form, self.source)
        return None if id is None else self.access(id, actor=request.actor)


class FormLoader(Loader):
    """Fetches from the whole form: `access(request, form)`. `source` is only documentation."""

    __slots__ = ()

    def __call__(self, request, form: Any, path: dict[str, str]) -> Any:
        return self.access(request, form)


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """A call to a provider between two transactions: reserve, call, record.

    The handler is the first transaction and returns the object that it reserved. The idempotency
    key stays bound to that object: when the provider does not answer, a repeated request calls it
    again for the outcome. For requests that are not repeated, the handler also schedules due work.
    """

    load: Callable[..., Any]  # (id, *, actor) -> the object that an earlier request reserved
    call: Callable[[Any], Any]  # (object) -> the provider's result; idempotent by the object's id
    # (object, result, *, actor) -> the answer; a DomainError that it returns is stored as the
    # answer, one that it raises leaves the outcome open. May run twice.
    record: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The declaration of one method of a path. See `operation`."""

    summary: str
    permission: str
    answers: dict[int, Any]
    query: type[Schema] | None = None
    body: type[Schema] | None = None
    body_schema: Any = None
    loads: dict[str, Callable[..., Any]] = field(default_factory=dict)
    errors: tuple[type[DomainError], ...] = ()
    secrets: Collection[str] = ()
    restore: Callable[..., dict] | None = None
    prepare: Callable[..., None] | None = None
    provider: ProviderCall | None = None
    example: dict[str, Any] = field(default_factory=dict)
    handler: Callable[..., Any]
    view: type | None = None  # sets itself, the method and the path
    method: str = ""
    path: str = ""
    takes_key: bool = True

    def __str__(self):
        return f"{self.method} /{self.path}"

    @property
    def is_public(self) -> bool:
        return not self.permission

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    @property
    def status(self) -> int:
        """The status of the usual success."""
        return next(iter(self.answers))

    def of_view(self, view: type, method: str) -> "Operation":
        """Return the operation of a view's method. Raises ImproperlyConfigured."""
        path = f"{view.prefix}/{view.path}"
        bound = replace(
            self,
            view=view,
            method=method,
            path=path,
            loads=view.loads | self.loads,
            takes_key=self.takes_key and method == "POST",
        )
        if bound.is_public != view.is_public:
            raise ImproperlyConfigured(f"{bound}: a permission or a PublicView, one of both")
        form = bound.body or bound.query
        fields = {*re.findall("{(.*?)}", path), *(form.model_fields if form else ())}
        if unknown := {loader.source for loader in bound.loaders} - fields:
            raise ImproperlyConfigured(f"{bound}: nothing is named {', '.join(unknown)}")
        return bound

    @property
    def loaders(self) -> list[Loader]:
        return [loader for loader in self.loads.values() if isinstance(loader, Loader)]


def operation(permission: str, *, answers: Any, **declared) -> Callable:
    """Declare a method of an ApiView. Its docstring says what it does.

    `permission`: what the API key needs, or PUBLIC.
    `answers`: the schema answered with 200; or status -> schema, the usual success first.
    `query`, `body`: the schemas of the query and of the body, passed on as `query` and `data`;
    `body_schema` describes a body whose schema reads several forms.
    `loads`: argument of the handler -> its Loader, or a function (request, form, path).
    `errors`: the errors that it can raise, besides those of every endpoint and of its loaders.
    `secrets`: fields of the answer that are not stored with the idempotency key;
    `restore(stored, actor=…)` returns those of a replayed answer.
    `prepare(view, request, form)`: runs before the transaction and commits on its own; an error
    that it raises is the answer.
    `provider`: the call to a provider between two transactions.
    `takes_key`: whether a POST takes an idempotency key.
    `example`: a body; `{wallet_id}` and the like stand for an id.
    """

    def decorate(handler):
        handler.operation = Operation(
            summary=handler.__doc__.partition("\n")[0].rstrip("."),
            permission=permission,
            answers=answers if isinstance(answers, dict) else {200: answers},
            handler=handler,
            **declared,
        )
        return handler

    return decorate


# The views of every package, added by their declaration.
views: list[type] = []


def declared(prefix: str = "v1") -> list[Operation]:
    """Return the operations under a prefix, by path: literal paths before parameters."""
    return [operation for view in _views(prefix) for operation in view.operations.values()]


def urlpatterns(prefix: str, *modules: str) -> list[URLPattern]:
    """Import the modules that declare operations; return the patterns of the paths under a prefix.

    Literal paths come before parameters.
    """
    for module in modules:
        import_module(module)
    found = _views(prefix)
    if len({_shape(view) for view in found}) < len(found):
        raise ImproperlyConfigured("two views have the same path")
    routes = (view.path.replace("{", "<str:").replace("}", ">") for view in found)
    return [path(route, view.as_view()) for route, view in zip(routes, found, strict=True)]


def _views(prefix: str) -> list[type]:
    return sorted((view for view in views if view.prefix == prefix), key=_shape)


def _shape(view: type) -> tuple[tuple[bool, str], ...]:
    parts = view.path.split("/")
    return tuple((True, "") if part.startswith("{") else (False, part) for part in parts)
