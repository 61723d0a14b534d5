"""Expires payment links by their organization's clock, and releases their holds."""

import uuid
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from django.db import transaction

from accounts.ledger import holds
from accounts.organizations.services import organizations
from links.payment_links.models import PaymentLink
from links.payment_links.services import pay_requests
from wallgent import clock, due_work, events, ids
from wallgent.actors import Actor
from wallgent.due_work.models import DueWork
from wallgent.environments import Environment
from wallgent.errors import InvalidState

DUE_WORK = "expire_link"
SET_SIZE = 100
LOCKED_DELAY = timedelta(seconds=1)
EXPIRED_MESSAGE = "This payment link has expired. Ask whoever made it for a new one."

_Status = PaymentLink.Status


def refusal(link: PaymentLink) -> InvalidState:
    """The error for a link past its expiry. After the rollback, it expires the link."""
    error = InvalidState(EXPIRED_MESSAGE, status=_Status.EXPIRED)
    error.after_rollback = partial(_expire_after_rollback, link)
    return error


def _expire_after_rollback(link: PaymentLink, *, actor: Actor) -> None:
    due = [link for link in _locked([link.id]) if link.status == _Status.ACTIVE]
    _expire([link for link in due if link.is_past_expiry])


def schedule(link: PaymentLink) -> None:
    """Let an ACTIVE link expire at its time, if it has one."""
    if link.expires_at:
        due_work.schedule(DUE_WORK, link, at=link.expires_at)


@transaction.atomic
def expire_due(rows: list[DueWork]) -> None:
    """Expire a set of links. Those that are locked are tried again later."""
    links = {ids.to_uuid(link.id): link for link in _locked(row.subject for row in rows)}
    ended, due = [], []
    for row in rows:
        link = links.get(row.subject)
        if link is None:  # locked by a claim, or gone
            due_work.reschedule(row, row.now + LOCKED_DELAY)
        elif link.is_open:
            due_work.reschedule(row, link.expires_at)
        else:
            ended.append(row)
            due += [link] if link.status == _Status.ACTIVE else []
    _expire(due)
    if ended:
        due_work.finish(*ended)


def _locked(link_ids: Iterable) -> list[PaymentLink]:
    links = PaymentLink.objects.filter(pk__in=link_ids).select_related("organization")
    locked = links.select_for_update(no_key=True, of=("self",), skip_locked=True)
    return list(locked.order_by("pk"))


def _expire(links: list[PaymentLink]) -> None:
    """Expire locked links with as many statements as one link needs."""
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


def release_operation(link: PaymentLink) -> uuid.UUID:
    """The ledger operation that releases a link's hold. Retries use the same one."""
    return uuid.uuid5(ids.to_uuid(link.hold_id), "end")
