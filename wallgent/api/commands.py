"""Runs a write: parses the body, then works in one transaction, once per idempotency key."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse

from wallgent.api import errors, idempotency, json
from wallgent.api.idempotency import IdempotencyKey
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


class Run:
    """One execution of a write, which handlers find as `request.run`.

    A handler first looks up its objects and checks access; then it calls `start()`. What follows
    is done once per idempotency key. An error before `start()` leaves the key unused; an error
    after it is the answer that every repetition gets.
    """

    def __init__(self, actor, idempotency_key: IdempotencyKey | None):
        self.actor = actor
        self.idempotency_key = idempotency_key
        self.complete: Callable[[dict], dict] | None = None
        self.started = False

    @property
    def key(self) -> str:
        """The idempotency key as the caller wrote it, or ""."""
        return self.idempotency_key.key if self.idempotency_key else ""

    def start(self, *, complete: Callable[[dict], dict] | None = None) -> None:
        """Claim the idempotency key. Raises Replayed, IdempotencyKeyReuse.

        `complete(stored)` returns what to add to the stored answer of a success when it is
        replayed: secrets that were not stored and that this caller may see.
        """
        self.complete = complete
        self._claim_key()
        self.started = True

    def _claim_key(self) -> None:
        if not self.idempotency_key:
            return
        try:
            self.idempotency_key.claim()
        except idempotency.Replayed as replayed:
            if self.complete and replayed.answer.status_code < HTTPStatus.BAD_REQUEST:
                stored = json.parse_object(replayed.answer.content)
                replayed.answer.content = json.write(stored | self.complete(stored))
            raise

    def perform(self, work) -> HttpResponse:
        """Do `work()` in one transaction. A DomainError rolls it back and is then recorded."""
        try:
            with transaction.atomic():
                answer = work()
                assert self.started, "a command calls request.run.start() before its service"
                if self.idempotency_key:
                    self.idempotency_key.store(answer)
            return answer
        except idempotency.Replayed as replayed:
            return replayed.answer
        except DomainError as refusal:
            if not self.started or refusal.status >= 500 or isinstance(refusal, _NOT_STORED):
                raise
            return self._refuse(refusal)

    def _refuse(self, refusal: DomainError) -> HttpResponse:
        answer = errors.render(refusal)
        if not self.idempotency_key and not refusal.has_record:
            return answer
        try:
            with transaction.atomic():
                # The rollback released the key. If a concurrent request has claimed it since, the
                # answer of that request is replayed.
                self._claim_key()
                refusal.record(actor=self.actor)
                if self.idempotency_key:
                    self.idempotency_key.store(answer)
        except idempotency.Replayed as replayed:
            return replayed.answer
        return answer


def command(schema: type[Schema]):
    """Make `handler(self, request, data, …)` a write; `data` is the body, read as `schema`."""

    def decorate(handler):
        @wraps(handler)
        def run(self, request, **path):
            body = json.read_object(request, settings.BODY_LIMIT_BYTES)
            key = idempotency.key_of(request.META.get("HTTP_IDEMPOTENCY_KEY"), body)
            data = schema.read(body)
            idempotency_key = None
            if key is not None and request.method == "POST":
                idempotency_key = IdempotencyKey(
                    actor=request.actor,
                    key=key,
                    method=request.method,
                    path=request.path_info,
                    content=data.model_dump_json(),
                )
            request.run = Run(request.actor, idempotency_key)
            return request.run.perform(lambda: handler(self, request, data, **path))

        return run

    return decorate
