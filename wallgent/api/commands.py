"""Running a write: parse, one transaction, at most once for its idempotency key."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse

from wallgent.api import errors, idempotency, json
from wallgent.api.schemas import Schema
from wallgent.errors import (
    DomainError,
    EnvironmentMismatch,
    PermissionDenied,
    RateLimitExceeded,
    Unauthorized,
)

# Never the answer to a key: another key of the same organization may do it, or the same one later.
_UNBOUND = (Unauthorized, PermissionDenied, EnvironmentMismatch, RateLimitExceeded)


class Run:
    """One execution of a write. Handlers see it as `request.run`.

    A handler first finds what it works on, and who may; then it calls `start()`, and from there
    the work is done once for each idempotency key. What is refused before leaves the key free;
    what is refused after is the answer that every repetition gets.
    """

    def __init__(self, actor, claim: idempotency.Claim | None):
        self.actor = actor
        self.claim = claim
        self.complete: Callable[[dict], dict] | None = None
        self.started = False

    @property
    def key(self) -> str:
        return self.claim.key if self.claim else ""

    def start(self, *, complete: Callable[[dict], dict] | None = None) -> None:
        """Claim the key. Raises Replayed, IdempotencyKeyReuse.

        `complete(stored)` answers what a success that is repeated shows and was not stored with:
        secrets that this caller may know.
        """
        self.complete = complete
        self._claim_key()
        self.started = True

    def _claim_key(self) -> None:
        if not self.claim:
            return
        try:
            self.claim.take()
        except idempotency.Replayed as replayed:
            if self.complete and replayed.answer.status_code < HTTPStatus.BAD_REQUEST:
                stored = json.parse_object(replayed.answer.content)
                replayed.answer.content = json.write(stored | self.complete(stored))
            raise

    def perform(self, work) -> HttpResponse:
        """Do `work()` in one transaction; a refusal rolls all of it back and is then recorded."""
        try:
            with transaction.atomic():
                answer = work()
                assert self.started, "a command calls request.run.start() before its service"
                if self.claim:
                    self.claim.keep(answer)
            return answer
        except idempotency.Replayed as replayed:
            return replayed.answer
        except DomainError as refusal:
            if not self.started or refusal.status >= 500 or isinstance(refusal, _UNBOUND):
                raise
            return self._refuse(refusal)

    def _refuse(self, refusal: DomainError) -> HttpResponse:
        answer = errors.render(refusal)
        if not self.claim and not refusal.has_record:
            return answer
        try:
            with transaction.atomic():
                # The rollback let the key go: a twin may have taken it, and its answer stands.
                self._claim_key()
                refusal.record(actor=self.actor)
                if self.claim:
                    self.claim.keep(answer)
        except idempotency.Replayed as replayed:
            return replayed.answer
        return answer


def command(shape: type[Schema]):
    """Make `handler(self, request, data, …)` a write: `data` is the body, read as `shape`."""

    def decorate(handler):
        @wraps(handler)
        def run(self, request, **path):
            body = json.read_object(request, settings.BODY_LIMIT_BYTES)
            key = idempotency.key_of(request.META.get("HTTP_IDEMPOTENCY_KEY"), body)
            data = shape.read(body)
            claim = None
            if key is not None and request.method == "POST":
                claim = idempotency.Claim(
                    actor=request.actor,
                    key=key,
                    method=request.method,
                    path=request.path_info,
                    content=data.model_dump_json(),
                )
            request.run = Run(request.actor, claim)
            return request.run.perform(lambda: handler(self, request, data, **path))

        return run

    return decorate
