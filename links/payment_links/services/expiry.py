"""Expiry: when a link's time is over by its organization's clock, what it promised is free."""

import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice

from django.db import OperationalError, transaction

from accounts.ledger import holds
from accounts.organizations.services import organizations
from links.payment_links.models import PaymentLink
from links.payment_links.services import pay_requests
from wallgent import clock, events, ids
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import InvalidState

log = logging.getLogger("wallgent.links")

SWEEP_BATCH = 100
BATCHES_AT_MOST = 100  # then the next sweep goes on
WORDS = "This payment link has expired. Ask whoever made it for a new one."

_Status = PaymentLink.Status

_EVER = (datetime.min.replace(tzinfo=UTC), ids.to_text("lnk", uuid.UUID(int=0)))
_LAST = ids.to_text("lnk", uuid.UUID(int=2**128 - 1))

# Open past their expiry, as real time has it.
_DUE = """
SELECT id, expires_at FROM links_paymentlink
 WHERE status = 'ACTIVE' AND expires_at >= %(at)s AND (expires_at, id) > (%(at)s, %(id)s)
   AND expires_at <= %(now)s
 ORDER BY expires_at, id LIMIT %(limit)s
"""
# Only as their sandbox has it, which lives ahead. Each such organization is asked for its own, by
# pairs that the index of all who are due does not serve: else every open link there is would be
# read, in the order of their expiry.
_DUE_AHEAD = """
SELECT due.id, due.expires_at
  FROM accounts_organization o
 CROSS JOIN LATERAL (
       SELECT l.id, l.expires_at FROM links_paymentlink l
        WHERE l.organization_id = o.id AND l.status = 'ACTIVE' AND l.environment = 'SANDBOX'
          AND l.expires_at IS NOT NULL
          AND (l.organization_id, l.expires_at) >= (o.id, %(at)s)
          AND (l.organization_id, l.expires_at) <= (o.id, %(now)s + o.sandbox_offset)
          AND (l.expires_at, l.id) > (%(at)s, %(id)s)
        ORDER BY l.expires_at, l.id LIMIT %(limit)s
       ) due
 WHERE o.sandbox_offset > interval '0'
 ORDER BY due.expires_at, due.id LIMIT %(limit)s
"""


def refusal(link: PaymentLink) -> InvalidState:
    """The refusal for a link past its expiry. Recording it expires the link, if nobody has yet."""
    error = InvalidState(WORDS, status=_Status.EXPIRED)
    error.after_rollback = partial(_expire_late, link)
    return error


def _expire_late(link: PaymentLink, *, actor: Actor) -> None:
    expire([link.id])


def expire_due() -> int:
    """Expire the links whose time is over by their organization's clock; how many.

    Each is tried once, so that those that cannot be expired keep no other waiting.
    """
    now, expired = clock.real_now(), 0
    batches = chain(_batches(_DUE, now, after=_EVER), _batches(_DUE_AHEAD, now, after=(now, _LAST)))
    for batch in islice(batches, BATCHES_AT_MOST):
        expired_now, failed = _expire_batch(batch)
        if not expired_now and not failed:
            break  # another sweep is at work on all of them, and goes on
        expired += expired_now
    return expired


def _batches(sql: str, now: datetime, *, after: tuple[datetime, str]) -> Iterator[list[str]]:
    """The ids of links behind `after`, the longest due first."""
    batch = None
    while batch is None or len(batch) == SWEEP_BATCH:
        at, id = after
        said = {"now": now, "at": at, "id": ids.to_uuid(id), "limit": SWEEP_BATCH}
        batch = [(link.expires_at, link.id) for link in PaymentLink.objects.raw(sql, said)]
        if batch:
            yield [id for _, id in batch]
            after = batch[-1]


def _expire_batch(link_ids: list[str]) -> tuple[int, int]:
    """How many were expired, and how many could not be."""
    try:
        return expire(link_ids), 0
    except OperationalError as error:
        # A lock that somebody keeps: trying each alone would wait for it again and again.
        log.warning("expiring payment links: %s", type(error.__cause__ or error).__name__)
        return 0, len(link_ids)
    except Exception:
        log.exception("expiring %d payment links at once failed", len(link_ids))
    tried = [_expire_alone(id) for id in link_ids]
    return tried.count(1), tried.count(None)


def _expire_alone(id: str) -> int | None:
    try:
        return expire([id])
    except Exception:
        log.exception("payment link %s cannot be expired", id)
        return None


@transaction.atomic
def expire(link_ids: list[str]) -> int:
    """Expire those of the links that are still due and that nobody is at work on; how many."""
    links = list(
        PaymentLink.objects.filter(pk__in=link_ids, status=_Status.ACTIVE)
        .select_related("organization")
        .order_by("pk")
        .select_for_update(no_key=True, of=("self",), skip_locked=True)
    )
    links = [link for link in links if link.is_past_expiry]
    for link in links:
        link.advance(_Status.EXPIRED, at=clock.now(link))
    PaymentLink.objects.bulk_update(links, ["status", "expired_at"])
    pay_requests.withdraw(links, "The payment link has expired.")
    for environment in Environment.values:
        ours = [link for link in links if link.environment == environment]
        if ours:
            actor = organizations.system_actor(ours[0].organization, environment)
            happened = [(link, [link.organization]) for link in ours]
            events.record_all("payment_link.expired", happened, actor=actor)
    holds.release_set(
        [
            holds.Release(
                hold_id=link.hold_id,
                operation=end_of(link),
                amount=link.unclaimed,
                ahead=clock.offset(link),
            )
            for link in links
            if link.hold_id
        ]
    )
    return len(links)


def end_of(link: PaymentLink) -> uuid.UUID:
    """The operation that ends a link's hold: the same one however often it is tried."""
    return uuid.uuid5(ids.to_uuid(link.hold_id), "end")
