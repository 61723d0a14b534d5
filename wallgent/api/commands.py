"""Runs an operation: form, objects, idempotency key and handler, a write in one transaction."""

from functools import partial
from http import HTTPStatus

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse

from wallgent.api import idempotency, json
from wallgent.api.idempotency import IdempotencyKey
from wallgent.api.operations import Operation
from wallgent.api.schemas import Schema
from wallgent.errors import (
    DomainError,
    EnvironmentMismatch,
    PermissionDenied,
    RateLimitExceeded,
    SandboxOnly,
    ServiceUnavailable,
    Unauthorized,
)

# Errors that are not stored under an idempotency key: another API key of the organization, or the
# same one later, may succeed.
_NOT_STORED = (Unauthorized, PermissionDenied, EnvironmentMismatch, SandboxOnly, RateLimitExceeded)


class Empty(Schema):
    """A body without fields."""


def read(view, operation: Operation, request, path: dict[str, str]) -> HttpResponse:
    """Run an operation that changes nothing."""
    query = operation.query.read(request.GET.dict()) if operation.query else None
    arguments = _load(operation, request, query, path)
    if query is not None:
        arguments["query"] = query
    return view.respond(operation, operation.handler(view, request, **arguments))


def write(view, operation: Operation, request, path: dict[str, str]) -> HttpResponse:
    """Run an operation that changes something: once for each idempotency key."""
    body = json.read_object(request, settings.BODY_LIMIT_BYTES)
    key = idempotency.key_of(request.META.get("HTTP_IDEMPOTENCY_KEY"), body)
    form = view.read(operation.body or Empty, request, body)
    idempotency_key = None
    if key is not None and operation.takes_key:
        idempotency_key = IdempotencyKey(
            actor=request.actor,
            key=key,
            method=operation.method,
            path=request.path_info,
            content=form.model_dump_json(),
        )
    request.idempotency_key = key if idempotency_key else ""
    return _Execution(view, operation, request, path, form, idempotency_key).run()


def _load(operation: Operation, request, form, path: dict[str, str]) -> dict:
    return {name: load(request, form, path) for name, load in operation.loads.items()}


class _Execution:
    """One execution of a write.

    An error before the key is claimed leaves the key unused; a refusal after it is the answer that
    every repetition gets. A key that is bound to a reserved object is answered only with what the
    provider's result is recorded as.
    """

    def __init__(self, view, operation, request, path, form, key: IdempotencyKey | None):
        self.view, self.operation, self.request = view, operation, request
        self.path, self.form, self.key = path, form, key

    def run(self) -> HttpResponse:
        refusal = self._prepare()
        is_claimed = False
        try:
            with transaction.atomic():
                arguments = {} if refusal else self._load()
                if earlier := self.key and self.key.claim():
                    if refusal:
                        self._load()  # access is checked before a replay is shown
                    result = earlier.answer or self._reserved_before(earlier)
                else:
                    is_claimed = True
                    if refusal:
                        raise refusal
                    result = self._handle(arguments)
        except DomainError as error:
            if not is_claimed:
                raise
            return self._refuse(error)
        if isinstance(result, HttpResponse):
            return self._restored(result)
        return self._call_provider(result)

    def _prepare(self) -> DomainError | None:
        try:
            if self.operation.prepare:
                self.operation.prepare(self.view, self.request, self.form)
        except RateLimitExceeded:
            raise
        except DomainError as refusal:
            return refusal
        return None

    def _load(self) -> dict:
        arguments = _load(self.operation, self.request, self.form, self.path)
        return arguments | ({"data": self.form} if self.operation.body else {})

    def _handle(self, arguments: dict):
        """Return the stored response; or the object that is reserved for the call to a provider."""
        result = self.operation.handler(self.view, self.request, **arguments)
        if not self.operation.provider:
            return self._finish(result)
        if self.key:
            self.key.reserve(result.id)
        return result

    def _reserved_before(self, earlier: idempotency.Earlier):
        return self.operation.provider.load(earlier.reserved_id, actor=self.request.actor)

    def _call_provider(self, reserved) -> HttpResponse:
        provider = self.operation.provider
        result = provider.call(reserved)
        with transaction.atomic():
            earlier = self.key and self.key.claim()  # which locks it
            if earlier and earlier.answer:  # of a concurrent request
                return self._restored(earlier.answer)
            return self._finish(provider.record(reserved, result, actor=self.request.actor))

    def _finish(self, result) -> HttpResponse:
        """Return the response, stored under the key."""
        is_refusal = isinstance(result, DomainError)
        respond = self.view.refuse if is_refusal else partial(self.view.respond, self.operation)
        response = respond(result)
        if self.key:
            self.key.store(response, without=() if is_refusal else self.operation.secrets)
        return response

    def _refuse(self, refusal: DomainError) -> HttpResponse:
        """Return the response to a refusal by the handler, whose work is rolled back."""
        if refusal.status >= 500 or isinstance(refusal, _NOT_STORED):
            raise refusal
        if not self.key and not refusal.has_record:
            return self.view.refuse(refusal)
        with transaction.atomic():
            # The rollback released the key. If a concurrent request has claimed it since, what that
            # one does counts.
            earlier = self.key and self.key.claim()
            if not earlier:
                refusal.record(actor=self.request.actor)
                return self._finish(refusal)
        if earlier.answer:
            return self._restored(earlier.answer)
        raise ServiceUnavailable()  # it waits for its provider

    def _restored(self, response: HttpResponse) -> HttpResponse:
        """Return a response; a replayed one with the secrets that were not stored."""
        restore, is_replay = self.operation.restore, "Idempotent-Replayed" in response.headers
        if restore and is_replay and response.status_code < HTTPStatus.BAD_REQUEST:
            stored = json.parse_object(response.content)
            response.content = json.write(stored | restore(stored, actor=self.request.actor))
        return response
