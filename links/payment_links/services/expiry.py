"""Expires payment links by their organization's clock, and releases their holds."""

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
MAX_BATCHES = 100  # the next sweep continues
EXPIRED_MESSAGE = "This payment link has expired. Ask whoever made it for a new one."

_Status = PaymentLink.Status

_START = (datetime.min.replace(tzinfo=UTC), ids.to_text("lnk", uuid.UUID(int=0)))
_LAST_ID = ids.to_text("lnk", uuid.UUID(int=2**128 - 1))

# ACTIVE links past their expiry in real time.
_DUE = """
SELECT id, expires_at FROM links_paymentlink
 WHERE status = 'ACTIVE' AND expires_at >= %(at)s AND (expires_at, id) > (%(at)s, %(id)s)
   AND expires_at <= %(now)s
 ORDER BY expires_at, id LIMIT %(limit)s
"""
# ACTIVE links past their expiry only by the clock of their sandbox, which is ahead. The row
# comparisons fit only the index by organization and expiry. Through the index of all due links,
# the planner would read every open link in the order of expiry.
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
    """The error for a link past its expiry. After the rollback, it expires the link."""
    error = InvalidState(EXPIRED_MESSAGE, status=_Status.EXPIRED)
    error.after_rollback = partial(_expire_after_rollback, link)
    return error


def _expire_after_rollback(link: PaymentLink, *, actor: Actor) -> None:
    expire([link.id])


def expire_due() -> int:
    """Expire the links past their expiry by their organization's clock. Return how many.

    Each is tried once, so that links that cannot be expired do not delay the others.
    """
    now, expired = clock.real_now(), 0
    batches = chain(
        _batches(_DUE, now, after=_START), _batches(_DUE_AHEAD, now, after=(now, _LAST_ID))
    )
    for batch in islice(batches, MAX_BATCHES):
        expired_now, failed = _expire_batch(batch)
        if not expired_now and not failed:
            break  # another sweep has locked all of them, and continues
        expired += expired_now
    return expired


def _batches(sql: str, now: datetime, *, after: tuple[datetime, str]) -> Iterator[list[str]]:
    """Yield the ids of due links after the cursor `after`, in batches, longest due first."""
    batch = None
    while batch is None or len(batch) == SWEEP_BATCH:
        at, id = after
        params = {"now": now, "at": at, "id": ids.to_uuid(id), "limit": SWEEP_BATCH}
        batch = [(link.expires_at, link.id) for link in PaymentLink.objects.raw(sql, params)]
        if batch:
            yield [id for _, id in batch]
            after = batch[-1]


def _expire_batch(link_ids: list[str]) -> tuple[int, int]:
    """Expire a batch. Return how many were expired, and how many could not be."""
    try:
        return expire(link_ids), 0
    except OperationalError as error:
        # A lock timeout: trying each link alone would wait for the same lock again and again.
        log.warning("expiring payment links: %s", type(error.__cause__ or error).__name__)
        return 0, len(link_ids)
    except Exception:
        log.exception("expiring %d payment links at once failed", len(link_ids))
    tried = [_expire_alone(id) for id in link_ids]
    return tried.count(1), tried.count(None)


def _expire_alone(id: str) -> int | None:
    """Expire one link. Return None if that fails."""
    try:
        return expire([id])
    except Exception:
        log.exception("payment link %s cannot be expired", id)
        return None


@transaction.atomic
def expire(link_ids: list[str]) -> int:
    """Expire the given links that are still due and not locked. Return how many."""
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
        in_environment = [link for link in links if link.environment == environment]
        if in_environment:
            actor = organizations.system_actor(in_environment[0].organization, environment)
            subjects = [(link, [link.organization]) for link in in_environment]
            events.record_all("payment_link.expired", subjects, actor=actor)
    holds.release_set(
        [
            holds.Release(
                hold_id=link.hold_id,
                operation=release_operation(link),
                amount=link.unclaimed,
                ahead=clock.offset(link),
            )
            for link in links
            if link.hold_id
        ]
    )
    return len(links)


def release_operation(link: PaymentLink) -> uuid.UUID:
    """The ledger operation that releases a link's hold. Retries use the same one."""
    return uuid.uuid5(ids.to_uuid(link.hold_id), "end")
