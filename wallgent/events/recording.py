"""Recording of events: in the caller's transaction, in one statement.

It sends no notification. PostgreSQL serializes the commits of transactions that NOTIFY, and Redis
may be down while money moves; the relay polls instead.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from django.db import connection
from uuid_utils.compat import uuid7

from wallgent import clock, ids
from wallgent.actors import Actor
from wallgent.events import catalogue

SALT_BYTES = 16
USER_AGENT_LENGTH = 500

_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class _Owner(NamedTuple):
    organization: Any
    environment: str


def record(
    type: str,
    subject: Any,
    *,
    actor: Actor,
    organizations: Iterable[Any] | None = None,
    **values: Any,
) -> None:
    """Record an event about `subject`, once for each organization that may see it.

    By default that is only the actor's own organization, and only that one sees the actor and the
    origin of the request. `values` are fields of the event's payload that are no attributes of the
    subject. The event exists if and only if the caller's transaction commits.
    """
    viewers = (actor.organization,) if organizations is None else organizations
    record_all(type, [(subject, viewers)], actor=actor, **values)


def record_all(
    type: str, subjects: Iterable[tuple[Any, Iterable[Any]]], *, actor: Actor, **values: Any
) -> None:
    """Record events about several subjects, each with the organizations that may see it.

    Takes one statement for all of them. See `record`.
    """
    assert connection.in_atomic_block, "an event is recorded in the transaction of its change"
    declared = catalogue.get(type)
    values["environment"] = actor.environment
    events, origins = [], []
    for subject, organizations in subjects:
        subject_id = subject if isinstance(subject, str) else subject.id
        for organization, data in declared.render(subject, _distinct(organizations), **values):
            id = uuid7()
            owner = (ids.to_uuid(organization.id), actor.environment)
            actor_id, digest = "", None
            if organization.id == actor.organization.id:
                actor_id = actor.id
                if actor.ip:
                    salt, user_agent = os.urandom(SALT_BYTES), actor.user_agent[:USER_AGENT_LENGTH]
                    digest = origin_digest(salt, actor.ip, user_agent)
                    origins.append((id, actor.ip, user_agent, salt))
            now = clock.now(_Owner(organization, actor.environment))
            request = (actor.type, actor_id, actor.request_id)
            content = (_json(data), declared.is_public, now, digest)
            events.append((id, type, subject_id, *owner, *request, *content))
    if not events:
        return
    with connection.cursor() as cursor:
        columns = [value for row in origins + events for value in row]
        cursor.execute(_statement(len(events), len(origins)), columns)


def origin_digest(salt: bytes, ip: str, user_agent: str) -> bytes:
    """Return the digest of an origin that the chain keeps. Without the salt it reveals nothing."""
    return hashlib.sha256(salt + f"{ip}\n{user_agent}".encode()).digest()


def _distinct(organizations: Iterable[Any]) -> list[Any]:
    return list({organization.id: organization for organization in organizations}.values())


@cache
def _statement(events: int, origins: int) -> str:
    """Return the statement that inserts this many origins and events, and their outbox entries."""
    # VALUES, not arrays to unnest: binding arrays costs 70 µs more. No input becomes SQL text.
    origin = f"""origin AS (
        INSERT INTO wallgent_eventorigin (event_id, ip, user_agent, salt)
        VALUES {_rows(origins, 4)}
    ),"""  # noqa: S608
    return f"""
    WITH {origin if origins else ""} event AS (
        INSERT INTO wallgent_event (id, type, subject, organization_id, environment, actor_type,
            actor_id, request_id, data, is_public, created_at, origin_digest)
        VALUES {_rows(events, 12)}
        RETURNING id
    )
    INSERT INTO wallgent_outboxentry (event_id) SELECT id FROM event"""  # noqa: S608


def _rows(count: int, columns: int) -> str:
    row = ", ".join(["%s"] * columns)
    return ", ".join([f"({row})"] * count)
