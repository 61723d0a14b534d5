"""Approvals: money that leaves a wallet only once a person has agreed.

What is decided about belongs to whoever asked for the decision: an app registers, for each kind of
subject, what to do when it is approved and when it is not. An approval holds no money.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db import OperationalError, transaction

from accounts.controls.models import Approval
from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from wallgent import clock, events, ids
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidState,
    NotAvailable,
    NotFound,
    PermissionDenied,
)

log = logging.getLogger("wallgent.approvals")

LIFETIME = timedelta(hours=24)
SWEEP_LIMIT = 1_000  # then the next sweep goes on

_Status = Approval.Status
_OVER = {
    _Status.APPROVED: "This was approved already.",
    _Status.REJECTED: "This was rejected already.",
    _Status.EXPIRED: "The time to decide is over. Whoever wants to be paid can ask again.",
}

# (approval, *, actor) -> what was paid. Runs in the transaction of the decision.
Executor = Callable[..., Payment | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of approval is about, and what its app does."""

    execute: Executor
    lock: Callable[[Approval], None]
    ended: Callable[..., None]


def _cannot(approval: Approval, *, actor: Actor) -> None:
    raise NotAvailable("What was asked for is not available on this server.")


def _nothing(*_, **__) -> None:
    """What a kind does that registered nothing for it."""


_kinds: dict[str, Kind] = {}
# Of an app that is no longer installed: it can be rejected, and it expires.
_UNKNOWN = Kind(_cannot, _nothing, _nothing)


def register(
    kind: str,
    executor: Executor,
    *,
    lock: Callable[[Approval], None] = _nothing,
    ended: Callable[..., None] = _nothing,
) -> None:
    """Make a kind of approval known. Called once for each, at start.

    `executor(approval, actor=…)` does what was approved, in the same transaction, and answers the
    payment; what it refuses leaves the approval PENDING. `ended(approval, actor=…)` is told, in
    the same transaction, of one that was rejected or has expired. `lock(approval)` locks what
    those two will lock before the approval itself is: the subject first, as everywhere.
    """
    assert kind not in _kinds, f"{kind} is registered twice"
    _kinds[kind] = Kind(executor, lock, ended)


def access(id: str, *, actor: Actor) -> Approval:
    """An approval the actor may see. Raises NotFound, EnvironmentMismatch, PermissionDenied."""
    uuid = ids.parse(id, *Approval.PREFIXES)
    approval = uuid and Approval.objects.with_parties().filter(pk=uuid).first()
    if not approval or approval.organization_id != actor.organization.id:
        raise NotFound("There is no such approval.")
    if approval.environment != actor.environment:
        raise EnvironmentMismatch()
    if not actor.covers(approval.wallet_id):
        raise PermissionDenied("This key's wallet scope does not cover the wallet that would pay.")
    return approval


def visible_to(actor: Actor):
    """The approvals the actor may list."""
    return Approval.objects.visible_to(actor).with_parties()


def waiting(actor: Actor):
    """Those of them that still wait for a decision."""
    return Approval.objects.visible_to(actor).open_at(clock.now(actor))


def check_decider(actor: Actor) -> None:
    """Raises PermissionDenied for whoever may not decide: a key with a wallet scope spends.

    An agent that could approve its own payments would need no approval.
    """
    actor.require_every_wallet("decide about approvals")


def organization_accepts_pay_requests(organization: Organization, environment: str) -> bool:
    """Whether strangers' payment links may ask it to pay."""
    if environment == Environment.PRODUCTION:
        return organization.accepts_pay_requests_production
    return organization.accepts_pay_requests_sandbox


@transaction.atomic(savepoint=False)
def request(
    *,
    actor: Actor,
    kind: str,
    subject_id: str,
    wallet: Wallet,
    amount: Decimal,
    currency: str,
    recipient: Wallet,
    description: str,
    rule: str = "",
    expires_at: datetime | None = None,
) -> Approval:
    """Ask the organization of `wallet` whether it pays `recipient`; it has 24 hours by its clock.

    At most one approval is pending for a kind, subject and wallet: asking again answers that one.
    `actor` may belong to another organization; then only that organization is kept of it.
    """
    assert kind in _kinds, f"nobody executes approvals of the kind {kind}"
    now = clock.now(wallet)
    approval = Approval(
        organization=wallet.organization,
        environment=wallet.environment,
        wallet=wallet,
        recipient=recipient,
        recipient_organization=recipient.organization,
        kind=kind,
        subject_id=subject_id,
        rule=rule,
        amount=amount,
        currency=currency,
        description=description,
        asked_by_organization=actor.organization,
        asked_by_type=actor.type,
        asked_by=actor.id if actor.organization.id == wallet.organization_id else "",
        created_at=now,
        expires_at=expires_at or now + LIFETIME,
    )
    while pending := _taken_by(approval):
        if not pending.is_past_expiry:
            return pending
        _run_out(pending)
    events.record("approval.created", approval, actor=actor, organizations=[wallet.organization])
    return approval


def _taken_by(approval: Approval) -> Approval | None:
    """The one that is pending in place of this one; None once this one is stored."""
    while True:
        # Waits for a twin that is about to commit; the index lets one of them in.
        Approval.objects.bulk_create([approval], ignore_conflicts=True)
        if Approval.objects.filter(pk=approval.pk).exists():
            return None
        twins = Approval.objects.filter(
            kind=approval.kind,
            subject_id=approval.subject_id,
            wallet=approval.wallet_id,
            status=_Status.PENDING,
        )
        pending = twins.with_parties().select_for_update(no_key=True, of=("self",)).first()
        if pending:
            return pending


@transaction.atomic(savepoint=False)
def approve(approval: Approval, *, actor: Actor) -> Approval:
    """Agree, and do at once what was asked for; funds, freeze and all else are checked anew.

    What refuses it leaves it PENDING. Raises PermissionDenied, InvalidState, and whatever its
    executor raises.
    """
    approval = _decidable(approval, actor)
    approval.payment = _kind_of(approval).execute(approval, actor=actor)
    _decide(approval, _Status.APPROVED, actor)
    events.record("approval.approved", approval, actor=actor)
    return approval


@transaction.atomic(savepoint=False)
def reject(approval: Approval, *, actor: Actor, reason: str = "") -> Approval:
    """Refuse: nothing is paid. Raises PermissionDenied, InvalidState."""
    approval = _decidable(approval, actor)
    _decide(approval, _Status.REJECTED, actor, reason=reason)
    events.record("approval.rejected", approval, actor=actor)
    _kind_of(approval).ended(approval, actor=actor)
    return approval


@transaction.atomic(savepoint=False)
def withdraw(kind: str, subject_id: str, *, reason: str = "", wallet: Wallet | None = None) -> int:
    """End what is pending about a subject that has gone, for one wallet or all; how many.

    For whoever has the subject locked; `ended` is not told of what its own app did.
    """
    pending = Approval.objects.filter(kind=kind, subject_id=subject_id, status=_Status.PENDING)
    if wallet:
        pending = pending.filter(wallet=wallet)
    pending = pending.with_parties().order_by("pk").select_for_update(no_key=True, of=("self",))
    withdrawn = list(pending)
    for approval in withdrawn:
        _expire(approval, reason)
    return len(withdrawn)


def expire_due() -> int:
    """End what nobody decided about in time, by its organization's clock; how many."""
    now, expired = clock.real_now(), 0
    for due in (Approval.objects.due(now), Approval.objects.due_ahead(now)):
        for id in due.order_by("expires_at").values_list("pk", flat=True)[:SWEEP_LIMIT]:
            try:
                expired += expire(id)
            except OperationalError as error:
                # A lock that somebody keeps: the next sweep comes to it.
                log.warning("expiring approval %s: %s", id, type(error.__cause__ or error).__name__)
            except Exception:
                log.exception("approval %s cannot be expired", id)
    return expired


@transaction.atomic
def expire(id: str) -> bool:
    """End one whose time is over; whether it was still pending."""
    approval = _locked(id)
    if approval.status != _Status.PENDING or not approval.is_past_expiry:
        return False
    _run_out(approval)
    return True


def _kind_of(approval: Approval) -> Kind:
    return _kinds.get(approval.kind, _UNKNOWN)


def _decidable(approval: Approval, actor: Actor) -> Approval:
    """The approval, locked with its subject, if the actor may decide and nobody has."""
    check_decider(actor)
    approval = _locked(approval.id)
    if approval.status != _Status.PENDING:
        raise InvalidState(_OVER[approval.status], approvalId=approval.id, status=approval.status)
    if approval.is_past_expiry:
        error = InvalidState(_OVER[_Status.EXPIRED], approvalId=approval.id, status=_Status.EXPIRED)
        error.after_rollback = partial(_expire_late, approval.id)
        raise error
    return approval


def _locked(id: str) -> Approval:
    """The approval as it is now, locked after its subject: whoever decides comes one by one."""
    approvals = Approval.objects.with_parties()
    found = approvals.get(pk=id)
    _kind_of(found).lock(found)
    return approvals.select_for_update(no_key=True, of=("self",)).get(pk=id)


def _decide(approval: Approval, status: str, actor: Actor, *, reason: str = "") -> None:
    approval.advance(status, at=clock.now(approval))
    approval.decided_by_type, approval.decided_by = actor.type, actor.id
    approval.reason = reason
    approval.save(
        update_fields=[
            *("status", "decided_at", "decided_by_type", "decided_by", "reason", "payment"),
        ]
    )


def _run_out(approval: Approval) -> None:
    """End one whose time is over, and tell the app that asked."""
    actor = _expire(approval)
    _kind_of(approval).ended(approval, actor=actor)


def _expire(approval: Approval, reason: str = "") -> Actor:
    actor = organizations.system_actor(approval.organization, approval.environment)
    approval.advance(_Status.EXPIRED, at=clock.now(approval))
    approval.reason = reason
    approval.save(update_fields=["status", "expired_at", "reason"])
    events.record("approval.expired", approval, actor=actor)
    return actor


def _expire_late(id: str, *, actor: Actor) -> None:
    expire(id)
