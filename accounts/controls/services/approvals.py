"""Approvals: payments that a person must approve before money leaves a wallet.

An app registers a kind of approval with the functions to call when it is approved or ends without
approval. An approval holds no money.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction

from accounts.controls.models import Approval
from accounts.organizations.services import organizations
from accounts.wallets.models import Wallet
from wallgent import clock, due_work, events, ids
from wallgent.actors import Actor
from wallgent.due_work.models import DueWork
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidState,
    NotAvailable,
    NotFound,
    PermissionDenied,
)

LIFETIME = timedelta(hours=24)
DUE_WORK = "expire_approval"

_Status = Approval.Status
_NOT_PENDING_MESSAGES = {
    _Status.APPROVED: "This was approved already.",
    _Status.REJECTED: "This was rejected already.",
    _Status.EXPIRED: "This request expired. Ask for the payment again.",
}


def _not_available(approval: Approval, *, actor: Actor) -> None:
    raise NotAvailable("What was asked for is not available on this server.")


def _do_nothing(*_, **__) -> None:
    """The default of the optional functions of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an app declares about its approvals. The functions run in the decision's transaction.

    `execute(approval, actor=…)` executes an approved request and returns its payment; if it raises,
    the approval stays PENDING. `on_ended(approval, actor=…)` is called after a rejection or expiry.
    `lock(approval)` locks what those two will lock before the approval itself is locked: the
    subject first, as everywhere. `result_json(approval)` renders for the API what approving did.
    """

    label: str  # of what the request was made through
    effect: str = (  # of approving
        "The money is sent immediately. You can't reverse it: only the recipient can refund it."
    )
    execute: Callable[..., Any] = _not_available
    lock: Callable[[Approval], None] = _do_nothing
    on_ended: Callable[..., None] = _do_nothing
    result_json: Callable[[Approval], dict | None] = _do_nothing


_kinds: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Register a kind of approval. Called once for each, at start."""
    assert name not in _kinds, f"{name} is registered twice"
    _kinds[name] = kind


def kind_of(approval: Approval) -> Kind:
    """Return the kind of an approval.

    Approvals of an app that is no longer installed can be rejected, and they expire.
    """
    return _kinds.get(approval.kind) or Kind(label=approval.kind.replace("_", " ").capitalize())


def access(id: str, *, actor: Actor) -> Approval:
    """Return an approval that the actor may see.

    Raises NotFound, EnvironmentMismatch, PermissionDenied.
    """
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
    """Return the approvals that the actor may list."""
    return Approval.objects.visible_to(actor).with_parties()


def open_for(actor: Actor):
    """Return the approvals of the actor that can still be decided."""
    return Approval.objects.visible_to(actor).open_at(clock.now(actor))


def access_to_decide(id: str, *, actor: Actor) -> Approval:
    """Return an approval that the actor may decide. Raises as `access` and `require_decider`."""
    approval = access(id, actor=actor)
    require_decider(actor)
    return approval


def require_decider(actor: Actor) -> None:
    """Raise PermissionDenied for a key with a wallet scope.

    Agents use such keys; an agent that could approve its own payments would need no approval.
    """
    actor.require_every_wallet("decide about approvals")


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
    """Ask the organization of `wallet` to approve a payment to `recipient`.

    It expires after 24 hours by the clock of that organization, unless `expires_at` is given.
    At most one approval is pending for a kind, subject and wallet: asking again returns that one.
    If `actor` belongs to another organization, only the organization is stored.
    """
    assert kind in _kinds, f"no executor is registered for approvals of the kind {kind}"
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
    while pending := _insert_or_find_pending(approval):
        if not pending.is_past_expiry:
            return pending
        _expire_and_notify(pending)
    events.record("approval.created", approval, actor=actor, organizations=[wallet.organization])
    due_work.schedule(DUE_WORK, approval, at=approval.expires_at)
    return approval


def _insert_or_find_pending(approval: Approval) -> Approval | None:
    """Insert the approval and return None, or return the pending one that exists, locked."""
    while True:
        # Waits for a concurrent insert to commit; the unique index accepts only one.
        Approval.objects.bulk_create([approval], ignore_conflicts=True)
        if Approval.objects.filter(pk=approval.pk).exists():
            return None
        duplicates = Approval.objects.filter(
            kind=approval.kind,
            subject_id=approval.subject_id,
            wallet=approval.wallet_id,
            status=_Status.PENDING,
        )
        pending = duplicates.with_parties().select_for_update(no_key=True, of=("self",)).first()
        if pending:
            return pending


@transaction.atomic(savepoint=False)
def approve(approval: Approval, *, actor: Actor) -> Approval:
    """Approve and execute the request at once. The executor checks funds and all else again.

    An error leaves the approval PENDING. Raises PermissionDenied, InvalidState, and what its
    executor raises.
    """
    approval = _lock_for_decision(approval, actor)
    approval.payment = kind_of(approval).execute(approval, actor=actor)
    _decide(approval, _Status.APPROVED, actor)
    events.record("approval.approved", approval, actor=actor)
    return approval


@transaction.atomic(savepoint=False)
def reject(approval: Approval, *, actor: Actor, reason: str = "") -> Approval:
    """Reject the request; nothing is paid. Raises PermissionDenied, InvalidState."""
    approval = _lock_for_decision(approval, actor)
    _decide(approval, _Status.REJECTED, actor, reason=reason)
    events.record("approval.rejected", approval, actor=actor)
    kind_of(approval).on_ended(approval, actor=actor)
    return approval


@transaction.atomic(savepoint=False)
def withdraw(kind: str, subject_id: str, *, reason: str = "", wallet: Wallet | None = None) -> int:
    """Expire the pending approvals of a subject, of one wallet or all. Returns how many.

    The caller has locked the subject. `on_ended` is not called: its own app is the caller.
    """
    pending = Approval.objects.filter(kind=kind, subject_id=subject_id, status=_Status.PENDING)
    if wallet:
        pending = pending.filter(wallet=wallet)
    pending = pending.with_parties().order_by("pk").select_for_update(no_key=True, of=("self",))
    withdrawn = list(pending)
    for approval in withdrawn:
        _expire(approval, reason)
    return len(withdrawn)


@transaction.atomic
def expire_due(rows: list[DueWork]) -> None:
    """Expire an approval whose time is over by the clock of its organization."""
    [row] = rows
    approval = _locked(row.subject)
    if approval.status != _Status.PENDING:
        due_work.finish(row)
    elif not approval.is_past_expiry:
        due_work.reschedule(row, approval.expires_at)
    else:
        _expire_and_notify(approval)


def _lock_for_decision(approval: Approval, actor: Actor) -> Approval:
    """Return the approval, locked after its subject, if the actor can decide it now.

    Raises PermissionDenied, InvalidState.
    """
    require_decider(actor)
    approval = _locked(approval.id)
    if approval.status != _Status.PENDING:
        raise _not_pending(approval, approval.status)
    if approval.is_past_expiry:
        error = _not_pending(approval, _Status.EXPIRED)
        error.after_rollback = partial(_expire_after_rollback, approval.id)
        raise error
    return approval


def _not_pending(approval: Approval, status: str) -> InvalidState:
    return InvalidState(_NOT_PENDING_MESSAGES[status], approvalId=approval.id, status=status)


def _locked(id: str) -> Approval:
    """Return the approval as stored, locked after its subject, so that decisions are serialized."""
    approvals = Approval.objects.with_parties()
    found = approvals.get(pk=id)
    kind_of(found).lock(found)
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
    due_work.cancel(DUE_WORK, approval)


def _expire_and_notify(approval: Approval) -> None:
    """Expire an approval and call `on_ended` of its kind."""
    actor = _expire(approval)
    kind_of(approval).on_ended(approval, actor=actor)


def _expire(approval: Approval, reason: str = "") -> Actor:
    """Store the approval as EXPIRED with its event. Returns the actor of that event."""
    actor = organizations.system_actor(approval.organization, approval.environment)
    approval.advance(_Status.EXPIRED, at=clock.now(approval))
    approval.reason = reason
    approval.save(update_fields=["status", "expired_at", "reason"])
    due_work.cancel(DUE_WORK, approval)
    events.record("approval.expired", approval, actor=actor)
    return actor


def _expire_after_rollback(id: str, *, actor: Actor) -> None:
    approval = _locked(id)
    if approval.status == _Status.PENDING:
        _expire_and_notify(approval)
