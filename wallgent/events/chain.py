"""The hash chain of the event log: each event's hash covers the event and the previous hash.

Someone who can rewrite the whole table can rewrite the whole chain or cut off its end. To detect
that, keep the head that `check_events` prints in another system.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection, transaction

from wallgent import ids
from wallgent.events import recording

_CHAIN = """
SELECT p.position, p.hash, p.event_id,
       CASE WHEN e.id IS NOT NULL THEN events_canonical(e) END, e.origin_digest,
       o.ip, o.user_agent, o.salt
  FROM wallgent_eventposition p
  LEFT JOIN wallgent_event e ON e.id = p.event_id
  LEFT JOIN wallgent_eventorigin o ON o.event_id = p.event_id
  WHERE p.organization_id = %s ORDER BY p.position
"""

# One statement has one snapshot: the relay cannot move an event from the outbox in between.
_UNPLACED = """
SELECT e.id FROM wallgent_event e
  WHERE e.organization_id = %s
    AND NOT EXISTS (SELECT FROM wallgent_eventposition p WHERE p.event_id = e.id)
    AND NOT EXISTS (SELECT FROM wallgent_outboxentry x WHERE x.event_id = e.id)
  ORDER BY e.id
"""


class ChainLink(NamedTuple):
    """A position in the chain, with its event and, unless it was erased, the event's origin."""

    position: int
    hash: bytes
    event_id: str
    canonical: str | None
    origin_digest: bytes | None
    ip: str | None
    user_agent: str | None
    salt: bytes | None


def verify(organization) -> list[str]:
    """Recompute the organization's chain. Return one sentence for each difference found."""
    differences = []
    last, previous = 0, b""
    with transaction.atomic():
        for link in _links(organization):
            differences += _differences(link, last, previous)
            last, previous = link.position, link.hash
        differences += [
            f"Event {event_id} has no position and does not wait for one."
            for event_id in _unplaced(organization)
        ]
    return differences


def _differences(link: ChainLink, last: int, previous: bytes) -> Iterator[str]:
    where = f"Position {link.position}"
    if link.position == last:
        yield f"{where} is given twice."
    elif link.position != last + 1:
        yield f"Positions {last + 1} to {link.position - 1} are missing."
    if link.canonical is None:
        yield f"{where}: event {link.event_id} is gone."
        return
    # After a gap or a repeated position there is no previous hash to compute with.
    computed = hashlib.sha256(previous + link.canonical.encode()).digest()
    if link.position == last + 1 and link.hash != computed:
        yield f"{where}: event {link.event_id} or its hash was changed."
    if link.ip is not None and not _origin_matches(link):
        yield f"{where}: the origin of event {link.event_id} was changed."


def _origin_matches(link: ChainLink) -> bool:
    return link.origin_digest == recording.origin_digest(link.salt, link.ip, link.user_agent)


def _links(organization) -> Iterator[ChainLink]:
    with connection.chunked_cursor() as cursor:  # a chain may be longer than memory
        cursor.execute(_CHAIN, [ids.to_uuid(organization.id)])
        for position, hash, event_id, *rest in cursor:
            yield ChainLink(position, hash, ids.to_text("evt", event_id), *rest)


def _unplaced(organization) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_UNPLACED, [ids.to_uuid(organization.id)])
        return [ids.to_text("evt", event_id) for (event_id,) in cursor]
