"""Proof that the log is what it was: each event's hash covers the event and the hash before it.

Whoever can rewrite the whole table can rewrite the whole chain, and can cut off its end. Against
that, keep the head that `check_events` prints somewhere else.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection, transaction

from wallgent import events, ids

_LINKS = """
SELECT p.position, p.hash, p.event_id,
       CASE WHEN e.id IS NOT NULL THEN events_canonical(e) END, e.origin_digest,
       o.ip, o.user_agent, o.salt
  FROM events_eventposition p
  LEFT JOIN events_event e ON e.id = p.event_id
  LEFT JOIN events_eventorigin o ON o.event_id = p.event_id
  WHERE p.organization_id = %s ORDER BY p.position
"""

# One statement, one snapshot: the relay cannot move an event out of sight in between.
_FORGOTTEN = """
SELECT e.id FROM events_event e
  WHERE e.organization_id = %s
    AND NOT EXISTS (SELECT FROM events_eventposition p WHERE p.event_id = e.id)
    AND NOT EXISTS (SELECT FROM events_outboxentry x WHERE x.event_id = e.id)
  ORDER BY e.id
"""


class Link(NamedTuple):
    """A place in the chain, with the event found there and its origin unless it was erased."""

    position: int
    hash: bytes
    event_id: str
    canonical: str | None
    origin_digest: bytes | None
    ip: str | None
    user_agent: str | None
    salt: bytes | None


def verify(organization) -> list[str]:
    """Recompute the organization's chain; each difference is a sentence, and none means intact."""
    differences = []
    last, previous = 0, b""
    with transaction.atomic():
        for link in _links(organization):
            differences += _differences(link, last, previous)
            last, previous = link.position, link.hash
        differences += [
            f"Event {event_id} has no position and does not wait for one."
            for event_id in _forgotten(organization)
        ]
    return differences


def _differences(link: Link, last: int, previous: bytes) -> Iterator[str]:
    where = f"Position {link.position}"
    if link.position == last:
        yield f"{where} is given twice."
    elif link.position != last + 1:
        yield f"Positions {last + 1} to {link.position - 1} are missing."
    if link.canonical is None:
        yield f"{where}: event {link.event_id} is gone."
        return
    # Beside a gap or a repeat there is no hash before it to compute with.
    computed = hashlib.sha256(previous + link.canonical.encode()).digest()
    if link.position == last + 1 and link.hash != computed:
        yield f"{where}: event {link.event_id} or its hash was changed."
    if link.ip is not None and not _origin_is_true(link):
        yield f"{where}: the origin of event {link.event_id} was changed."


def _origin_is_true(link: Link) -> bool:
    return link.origin_digest == events.origin_digest(link.salt, link.ip, link.user_agent)


def _links(organization) -> Iterator[Link]:
    with connection.chunked_cursor() as cursor:  # a chain may be longer than memory
        cursor.execute(_LINKS, [ids.to_uuid(organization.id)])
        for position, hash, event_id, *rest in cursor:
            yield Link(position, hash, ids.to_text("evt", event_id), *rest)


def _forgotten(organization) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_FORGOTTEN, [ids.to_uuid(organization.id)])
        return [ids.to_text("evt", event_id) for (event_id,) in cursor]
