"""How a service says what happened: in its own database transaction, in one statement.

Nothing is notified here. PostgreSQL commits transactions that NOTIFY one after the other, and
Redis may be down while money moves; the relay looks for itself.
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
    **extra: Any,
) -> None:
    """Write down that `type` happened to `subject`, once for each organization that may see it.

    Each gets the payload rendered for it; without `organizations` only the actor's own does.
    Who acted, and from where, is for the actor's own organization to see.
    The event exists if and only if the caller's transaction commits.
    """
    seen_by = (actor.organization,) if organizations is None else organizations
    record_all(type, [(subject, seen_by)], actor=actor, **extra)


def record_all(
    type: str, happened: Iterable[tuple[Any, Iterable[Any]]], *, actor: Actor, **extra: Any
) -> None:
    """As `record`, in one statement for several subjects, each with those who may see it."""
    assert connection.in_atomic_block, "a fact belongs to the transaction that made it true"
    declared = catalogue.get(type)
    events, origins = [], []
    for subject, organizations in happened:
        subject_id = subject if isinstance(subject, str) else subject.id
        for party in _distinct(organizations):
            id = uuid7()
            owner = (ids.to_uuid(party.id), actor.environment)
            who, digest = "", None
            if party.id == actor.organization.id:
                who = actor.id
                if actor.ip:
                    salt, user_agent = os.urandom(SALT_BYTES), actor.user_agent[:USER_AGENT_LENGTH]
                    digest = origin_digest(salt, actor.ip, user_agent)
                    origins.append((id, actor.ip, user_agent, salt))
            data = declared.render(subject, organization=party, **extra)
            text = _json({**data, "environment": actor.environment})
            now = clock.now(_Owner(party, actor.environment))
            by = (actor.type, who, actor.request_id)
            what = (text, declared.is_public, now, digest)
            events.append((id, type, subject_id, *owner, *by, *what))
    if not events:
        return
    with connection.cursor() as cursor:
        values = [value for row in origins + events for value in row]
        cursor.execute(_statement(len(events), len(origins)), values)


def origin_digest(salt: bytes, ip: str, user_agent: str) -> bytes:
    """What the chain keeps of an origin. Without the salt it tells nothing."""
    return hashlib.sha256(salt + f"{ip}\n{user_agent}".encode()).digest()


def _distinct(organizations: Iterable[Any]) -> list[Any]:
    return list({organization.id: organization for organization in organizations}.values())


@cache
def _statement(events: int, origins: int) -> str:
    """Inserts so many origins and events, and an outbox row for each event."""
    # VALUES, not arrays to unnest: binding arrays costs 70 µs more. No input becomes SQL text.
    origin = f"""origin AS (
        INSERT INTO events_eventorigin (event_id, ip, user_agent, salt)
        VALUES {_rows(origins, 4)}
    ),"""  # noqa: S608
    return f"""
    WITH {origin if origins else ""} event AS (
        INSERT INTO events_event (id, type, subject, organization_id, environment, actor_type,
            actor_id, request_id, data, is_public, created_at, origin_digest)
        VALUES {_rows(events, 12)}
        RETURNING id
    )
    INSERT INTO events_outboxentry (event_id) SELECT id FROM event"""  # noqa: S608


def _rows(count: int, columns: int) -> str:
    row = ", ".join(["%s"] * columns)
    return ", ".join([f"({row})"] * count)
