"""Expiry: when a link's time is over by its organization's clock, what it promised is free."""

import logging
import uuid
from collections.abc import Iterable
from functools import partial

from django.db import OperationalError, transaction

from accounts.ledger import holds
from accounts.services import organizations
from links.models import PaymentLink
from wallgent import clock, ids
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import InvalidState
from wallgent.events import facts

log = logging.getLogger("wallgent.links")

SWEEP_BATCH = 100
WORDS = "This payment link has expired. Ask whoever made it for a new one."

_Status = PaymentLink.Status


def refusal(link: PaymentLink) -> InvalidState:
    """The refusal for a link past its expiry. Recording it expires the link, if nobody has yet."""
    error = InvalidState(WORDS, status=_Status.EXPIRED)
    error.aftermath = partial(_expire_late, link)
    return error


def _expire_late(link: PaymentLink, *, actor: Actor) -> None:
    expire([link.id])


def expire_due(limit: int = SWEEP_BATCH) -> int:
    """Expire up to `limit` links whose time is over by their organization's clock; how many."""
    now = clock.real_now()
    found = list(_ids(PaymentLink.objects.due(now), limit))
    if len(found) < limit:
        ahead = _ids(PaymentLink.objects.due_ahead(now).exclude(pk__in=found), limit - len(found))
        found += ahead
    if not found:
        return 0
    try:
        return expire(found)
    except OperationalError:
        raise  # a lock or the connection: the next sweep tries again
    except Exception:
        # One that cannot be expired must not keep the others waiting.
        log.exception("expiring %d payment links at once failed", len(found))
        return sum(map(_expire_alone, found))


def _ids(links, limit: int) -> Iterable[str]:
    return links.order_by("expires_at").values_list("pk", flat=True)[:limit]


def _expire_alone(id: str) -> int:
    try:
        return expire([id])
    except Exception:
        log.exception("payment link %s cannot be expired", id)
        return 0


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
    for environment in Environment.values:
        ours = [link for link in links if link.environment == environment]
        if ours:
            actor = organizations.system_actor(ours[0].organization, environment)
            happened = [(link, [link.organization]) for link in ours]
            facts.record_all("payment_link.expired", happened, actor=actor)
    holds.release_set(
        [
            holds.Release(hold_id=link.hold_id, operation=end_of(link), ahead=clock.offset(link))
            for link in links
            if link.hold_id
        ]
    )
    return len(links)


def end_of(link: PaymentLink) -> uuid.UUID:
    """The operation that ends a link's hold: the same one however often it is tried."""
    return uuid.uuid5(ids.to_uuid(link.hold_id), "end")
