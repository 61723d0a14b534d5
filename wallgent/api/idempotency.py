"""Idempotency keys: a request's key, hash and answer are committed together with its effect."""

import hashlib
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.http import HttpResponse

from wallgent import clock, credentials, ids
from wallgent.actors import Actor
from wallgent.api import json
from wallgent.api.models import IdempotencyRecord
from wallgent.errors import IdempotencyKeyReuse, ValidationError

LIFETIME = timedelta(hours=24)
_MAX_KEY_LENGTH = 255

# A concurrent request with the same key waits on the unique index until the first one commits. A
# key without an answer is bound to a reserved object until the provider's result is recorded.
_CLAIM = """
    INSERT INTO wallgent_idempotencyrecord
        (id, organization_id, key, method, path, body_hash, reserved_id, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, '', %s)
    ON CONFLICT (id) DO UPDATE
        SET body_hash = EXCLUDED.body_hash, status = NULL, answer = NULL, reserved_id = '',
            created_at = EXCLUDED.created_at
        WHERE wallgent_idempotencyrecord.created_at < %s
          AND wallgent_idempotencyrecord.status IS NOT NULL
    RETURNING true
"""
_STORE = "UPDATE wallgent_idempotencyrecord SET status = %s, answer = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier request with the key left: its answer, or the object that it reserved."""

    answer: HttpResponse | None
    reserved_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A key in its scope: organization, environment, principal, method and path."""

    actor: Actor
    key: str
    method: str
    path: str
    content: str  # of the request; only its keyed digest is stored

    @property
    def id(self) -> uuid.UUID:
        actor = self.actor
        scope = [actor.organization.id, actor.environment, actor.principal, self.method, self.path]
        digest = hashlib.sha256("\n".join([*scope, self.key]).encode()).digest()
        return uuid.UUID(bytes=digest[:16])

    @property
    def body_hash(self) -> bytes:
        return credentials.digest(self.content)

    def claim(self) -> Earlier | None:
        """Claim the key in the caller's transaction, and lock it.

        Returns what an earlier request left, if there was one. Raises IdempotencyKeyReuse.
        """
        now = clock.real_now()
        with connection.cursor() as cursor:
            cursor.execute(
                _CLAIM,
                [
                    self.id,
                    ids.to_uuid(self.actor.organization.id),
                    self.key,
                    self.method,
                    self.path[:255],
                    self.body_hash,
                    now,
                    now - LIFETIME,
                ],
            )
            if cursor.fetchone():
                return None
        record = IdempotencyRecord.objects.get(pk=self.id)
        if bytes(record.body_hash) != self.body_hash:
            raise IdempotencyKeyReuse()
        if record.status is None:
            return Earlier(None, record.reserved_id)
        answer = HttpResponse(record.answer, status=record.status, content_type="application/json")
        answer.headers["Idempotent-Replayed"] = "true"
        return Earlier(answer, record.reserved_id)

    def reserve(self, id: str) -> None:
        """Bind the key to an object before a call to a provider, in the same transaction."""
        IdempotencyRecord.objects.filter(pk=self.id).update(reserved_id=id)

    def store(self, response: HttpResponse, *, without: Collection[str] = ()) -> None:
        """Store the answer in the transaction of its effect, without its secret fields."""
        content = response.content.decode()
        if without:
            content = json.write({k: v for k, v in response.body.items() if k not in without})
        with connection.cursor() as cursor:
            cursor.execute(_STORE, [response.status_code, content, self.id])


def key_of(header: str | None, body: dict) -> str | None:
    """Return the idempotency key from the header or the body, or None. Raises ValidationError."""
    in_body = body.get("idempotencyKey", body.get("idempotency_key"))
    header = header and _decode(header)
    if header is not None and in_body is not None and header != in_body:
        raise ValidationError(
            "The header and the body name different idempotency keys.",
            fields={"idempotencyKey": "differs from the header Idempotency-Key"},
        )
    key = header if in_body is None else in_body
    if key is None:
        return None
    if not isinstance(key, str) or not 1 <= len(key) <= _MAX_KEY_LENGTH or not key.isprintable():
        raise ValidationError(
            "An idempotency key is 1 to 255 printable characters.",
            fields={"idempotencyKey": "must be 1 to 255 printable characters"},
        )
    return key


def _decode(header: str) -> str:
    # WSGI decodes the bytes of a header as Latin-1, but clients send UTF-8.
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
