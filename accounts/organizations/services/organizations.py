"""Organizations: creation, settings, limits, the sandbox clock and activation."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.organizations.models import (
    LinkDirection,
    Membership,
    Organization,
    Plan,
    User,
)
from wallgent import clock, due_work, events, ids
from wallgent.actors import Actor, ActorType
from wallgent.environments import Environment
from wallgent.errors import InvalidState, NotFound, SandboxOnly, ValidationError

CLOCK_LIMIT = timedelta(days=3_650)  # the sandbox clock is at most ten years ahead of real time

# Called with (*, actor) for each environment of a new organization. Registered by packages above.
_set_up: list[Callable[..., object]] = []


def on_created(set_up: Callable[..., object]) -> None:
    """Register `set_up(actor=…)` for each environment of a new organization. Called at startup."""
    _set_up.append(set_up)


def system_actor(organization: Organization, environment: str = Environment.SANDBOX) -> Actor:
    """Return the actor for system work in an organization: tasks, commands and the admin."""
    return Actor(organization=organization, environment=environment, type=ActorType.SYSTEM)


def find(id: str) -> Organization:
    """Return any organization, by its id or plain UUID. Internal use only. Raises NotFound."""
    uuid = ids.read(id)
    organization = uuid and Organization.objects.filter(pk=uuid).first()
    if not organization:
        raise NotFound("There is no such organization.")
    return organization


@transaction.atomic(savepoint=False)
def create(*, name: str, email: str, owner: User | None = None, plan: str = "") -> Organization:
    """Create an organization with a USD wallet in each environment, and its owner if given."""
    organization = Organization.objects.create(
        name=name, email=email, plan=plan or settings.DEFAULT_PLAN
    )
    if owner:
        Membership.objects.create(organization=organization, user=owner, role=Membership.Role.OWNER)
    events.record("organization.created", organization, actor=system_actor(organization))
    for environment in Environment.values:
        for set_up in _set_up:
            set_up(actor=system_actor(organization, environment))
    return organization


@transaction.atomic(savepoint=False)
def update(organization: Organization, *, actor: Actor, name: str | None = None) -> Organization:
    """Change the name, if given.

    Raises PermissionDenied for a key with a wallet scope, as every change of a setting does.
    """
    actor.require_every_wallet("change the organization")
    if name is not None and name != organization.name:
        organization.name = name
        organization.save(update_fields=["name", "updated_at"])
        changes = {"name": name}
        events.record("organization.updated", organization, actor=actor, changes=changes)
    return organization


@transaction.atomic(savepoint=False)
def set_plan(organization: Organization, *, actor: Actor, plan: str) -> Organization:
    """Change the plan at once. Support only."""
    if organization.plan == plan:
        return organization
    organization.plan = Plan(plan)
    organization.save(update_fields=["plan", "updated_at"])
    events.record("organization.updated", organization, actor=actor, changes={"plan": plan})
    return organization


@transaction.atomic(savepoint=False)
def set_limits(
    organization: Organization,
    *,
    actor: Actor,
    reads_per_minute: int | None,
    writes_per_minute: int | None,
    wallets: int | None,
) -> Organization:
    """Set limits that replace the plan's. None restores the plan's limit. Support only."""
    organization.custom_reads_per_minute = reads_per_minute
    organization.custom_writes_per_minute = writes_per_minute
    organization.custom_wallets = wallets
    organization.save(
        update_fields=[
            *("custom_reads_per_minute", "custom_writes_per_minute", "custom_wallets"),
            "updated_at",
        ]
    )
    limits = {
        "readsPerMinute": reads_per_minute,
        "writesPerMinute": writes_per_minute,
        "wallets": wallets,
    }
    events.record("organization.updated", organization, actor=actor, changes={"limits": limits})
    return organization


@transaction.atomic(savepoint=False)
def set_link_direction(organization: Organization, *, actor: Actor, direction: str) -> Organization:
    """Set the direction of new payment links that are created without one."""
    actor.require_every_wallet("change the organization")
    if organization.default_link_direction == direction:
        return organization
    organization.default_link_direction = LinkDirection(direction)
    organization.save(update_fields=["default_link_direction", "updated_at"])
    changes = {"defaultLinkDirection": direction}
    events.record("organization.updated", organization, actor=actor, changes=changes)
    return organization


@transaction.atomic(savepoint=False)
def advance_clock(
    organization: Organization,
    *,
    actor: Actor,
    by: timedelta | None = None,
    to: datetime | None = None,
) -> Organization:
    """Move the organization's sandbox clock forward `by` a duration, or `to` a time.

    Work that falls due is then done at once. Clocks only go forward.
    Raises SandboxOnly, PermissionDenied (a key with a wallet scope), ValidationError.
    """
    if actor.environment != Environment.SANDBOX:
        raise SandboxOnly("Only the clock of a sandbox can be moved: use a sandbox key.")
    actor.require_every_wallet("advance the sandbox clock")
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if to is not None:  # computed under the lock, so two calls with one time move it once
        by = to - (clock.real_now() + organization.sandbox_offset)
    if by <= timedelta(0) or organization.sandbox_offset + by > CLOCK_LIMIT:
        ahead = (clock.real_now() + organization.sandbox_offset).isoformat(timespec="seconds")
        raise ValidationError(
            f"The sandbox's clock stands at {ahead}. It only goes forward, and at most"
            f" {CLOCK_LIMIT.days} days ahead of real time."
        )
    organization.sandbox_offset += by
    organization.save(update_fields=["sandbox_offset", "updated_at"])
    due_work.wake()
    # Given explicitly, so that the event is dated by the new clock.
    recorded = {"actor": actor, "organizations": [organization]}
    events.record("sandbox.clock_advanced", organization, by=by, **recorded)
    return organization


@transaction.atomic(savepoint=False)
def accept_pay_requests(
    organization: Organization, *, actor: Actor, sandbox: bool, production: bool
) -> Organization:
    """Set in which environments payment links of others may send pay requests.

    Each request waits for approval.
    """
    actor.require_every_wallet("change the organization")
    accepted = {
        "accepts_pay_requests_sandbox": sandbox,
        "accepts_pay_requests_production": production,
    }
    changed = {name for name, value in accepted.items() if getattr(organization, name) != value}
    if not changed:
        return organization
    for name in changed:
        setattr(organization, name, accepted[name])
    organization.save(update_fields=[*changed, "updated_at"])
    changes = {
        "acceptsPayRequests": {
            "sandbox": organization.accepts_pay_requests_sandbox,
            "production": organization.accepts_pay_requests_production,
        }
    }
    events.record("organization.updated", organization, actor=actor, changes=changes)
    return organization


@transaction.atomic(savepoint=False)
def activate_production(organization: Organization, *, actor: Actor) -> Organization:
    """Allow production keys. Support only. Raises InvalidState if the plan has no production."""
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if not organization.limits.production:
        raise InvalidState(f"The plan {organization.plan} does not include production.")
    if organization.production_activated_at is None:
        organization.production_activated_at = clock.real_now()
        organization.save(update_fields=["production_activated_at", "updated_at"])
        events.record("organization.activated", organization, actor=actor)
    return organization


def accepts_pay_requests(organization: Organization, environment: str) -> bool:
    """Return whether payment links of other organizations may send pay requests."""
    if environment == Environment.PRODUCTION:
        return organization.accepts_pay_requests_production
    return organization.accepts_pay_requests_sandbox
