"""Runs an operation: form, objects, idempotency key and handler, a write in one transaction."""

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
    Unauthorized,
)

# Errors that are not stored under an idempotency key: another API key of the organization, or the
# same one later, may succeed.
_NOT_STORED = (Unauthorized, PermissionDenied, EnvironmentMismatch, RateLimitExceeded)


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

    An error before the key is claimed leaves the key unused; an error after it is the answer that
    every repetition gets.
    """

    def __init__(self, view, operation, request, path, form, key: IdempotencyKey | None):
        self.view, self.operation, self.request = view, operation, request
        self.path, self.form, self.key = path, form, key
        self.is_started = False
        self.refusal: DomainError | None = None  # of the step before the transaction

    def run(self) -> HttpResponse:
        provider = self.operation.provider
        if self.operation.prepare:
            try:
                self.operation.prepare(self.view, self.request, self.form)
            except DomainError as error:
                self.refusal = error
        if not provider:
            return self._attempt(lambda: self._finish(self._start()))
        reserved = self._attempt(self._reserve)
        if isinstance(reserved, HttpResponse):
            return reserved
        result = provider.call(reserved)
        return self._attempt(lambda: self._record(reserved, result))

    def _start(self):
        """Load the objects, claim the key and call the handler."""
        arguments = {}
        if not self.refusal:
            arguments = _load(self.operation, self.request, self.form, self.path)
            if self.operation.body:
                arguments["data"] = self.form
        reserved_id = self._claim_key()
        if self.refusal:
            raise self.refusal
        if reserved_id:
            return self.operation.provider.load(reserved_id, actor=self.request.actor)
        return self.operation.handler(self.view, self.request, **arguments)

    def _reserve(self):
        reserved = self._start()
        if self.key:
            self.key.reserve(reserved.id)
        return reserved

    def _record(self, reserved, result) -> HttpResponse:
        self._claim_key()  # locks it; an answer stored by a concurrent request is replayed
        provider = self.operation.provider
        return self._finish(provider.record(reserved, result, actor=self.request.actor))

    def _finish(self, result) -> HttpResponse:
        response = self.view.respond(self.operation, result)
        if self.key:
            self.key.store(response, without=self.operation.secrets)
        return response

    def _claim_key(self) -> str:
        self.is_started = True
        return self.key.claim() if self.key else ""

    def _attempt(self, work):
        """Return `work()`, done in one transaction, or the response to a replay or refusal."""
        try:
            with transaction.atomic():
                return work()
        except idempotency.Replayed as replayed:
            return self._replay(replayed.answer)
        except DomainError as refusal:
            if not self.is_started or refusal.status >= 500 or isinstance(refusal, _NOT_STORED):
                raise
            return self._refuse(refusal)

    def _refuse(self, refusal: DomainError) -> HttpResponse:
        response = self.view.refuse(refusal)
        if not self.key and not refusal.has_record:
            return response
        try:
            with transaction.atomic():
                # The rollback released the key. If a concurrent request has claimed it since, the
                # answer of that request is replayed.
                self._claim_key()
                refusal.record(actor=self.request.actor)
                if self.key:
                    self.key.store(response)
        except idempotency.Replayed as replayed:
            return self._replay(replayed.answer)
        return response

    def _replay(self, answer: HttpResponse) -> HttpResponse:
        restore = self.operation.restore
        if restore and answer.status_code < HTTPStatus.BAD_REQUEST:
            stored = json.parse_object(answer.content)
            answer.content = json.write(stored | restore(stored, actor=self.request.actor))
        return answer
