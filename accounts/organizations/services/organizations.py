"""Organizations: the tenants."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.errors import SandboxOnly
from accounts.organizations.models import LinkDirection, Membership, Organization, Plan, User
from accounts.wallets import services as wallets
from wallgent import clock, events, ids
from wallgent.actors import Actor, ActorType
from wallgent.environments import Environment
from wallgent.errors import InvalidState, NotFound, ValidationError

CLOCK_LIMIT = timedelta(days=3_650)  # ten years ahead of real time, in all


def system_actor(organization: Organization, environment: str = Environment.SANDBOX) -> Actor:
    """Ourselves, acting for an organization: in tasks, commands and the admin."""
    return Actor(organization=organization, environment=environment, type=ActorType.SYSTEM)


def find(id: str) -> Organization:
    """Any organization, by its id or its plain uuid. For ourselves only. Raises NotFound."""
    uuid = ids.read(id)
    organization = uuid and Organization.objects.filter(pk=uuid).first()
    if not organization:
        raise NotFound("There is no such organization.")
    return organization


@transaction.atomic(savepoint=False)
def create(*, name: str, email: str, owner: User | None = None, plan: str = "") -> Organization:
    """A new organization with one ORG wallet in each environment, and its owner if given."""
    organization = Organization.objects.create(
        name=name, email=email, plan=plan or settings.DEFAULT_PLAN
    )
    if owner:
        Membership.objects.create(organization=organization, user=owner, role=Membership.Role.OWNER)
    events.record("organization.created", organization, actor=system_actor(organization))
    for environment in Environment.values:
        wallets.create_default(actor=system_actor(organization, environment))
    return organization


@transaction.atomic(savepoint=False)
def update(organization: Organization, *, actor: Actor, name: str | None = None) -> Organization:
    """Change the name; with nothing given, nothing happens.

    Raises PermissionDenied (a key with a wallet scope), as every change of a setting does.
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
    """Move to another plan at once. Support only."""
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
    """Agree on figures in place of the plan's; None goes back to the plan's. Support only."""
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
    """Say which way new payment links go that do not say themselves."""
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
    """Let the organization's sandbox live `by` further ahead, or from `to` on.

    What falls due follows at once. Clocks only go forward.
    Raises SandboxOnly, PermissionDenied (a scoped key), ValidationError.
    """
    if actor.environment != Environment.SANDBOX:
        raise SandboxOnly("Only the clock of a sandbox can be moved: use a sandbox key.")
    actor.require_every_wallet("advance the sandbox clock")
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if to is not None:  # reckoned under the lock: of two who mean the same time, one moves it
        by = to - (clock.real_now() + organization.sandbox_offset)
    if by <= timedelta(0) or organization.sandbox_offset + by > CLOCK_LIMIT:
        ahead = (clock.real_now() + organization.sandbox_offset).isoformat(timespec="seconds")
        raise ValidationError(
            f"The sandbox's clock stands at {ahead}. It only goes forward, and at most"
            f" {CLOCK_LIMIT.days} days ahead of real time."
        )
    organization.sandbox_offset += by
    organization.save(update_fields=["sandbox_offset", "updated_at"])
    told = {"actor": actor, "organizations": [organization]}  # dated by the clock as it is now
    events.record("sandbox.clock_advanced", organization, by=by, **told)
    return organization


@transaction.atomic(savepoint=False)
def accept_pay_requests(
    organization: Organization, *, actor: Actor, sandbox: bool, production: bool
) -> Organization:
    """Say where strangers' payment links may ask it to pay. Its approvals decide each time."""
    actor.require_every_wallet("change the organization")
    chosen = {
        "accepts_pay_requests_sandbox": sandbox,
        "accepts_pay_requests_production": production,
    }
    changed = {name for name, value in chosen.items() if getattr(organization, name) != value}
    if not changed:
        return organization
    for name in changed:
        setattr(organization, name, chosen[name])
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
    """Let it make production keys. Support only. Raises InvalidState when its plan has none."""
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if not organization.limits.production:
        raise InvalidState(f"The plan {organization.plan} does not include production.")
    if organization.production_activated_at is None:
        organization.production_activated_at = clock.real_now()
        organization.save(update_fields=["production_activated_at", "updated_at"])
        events.record("organization.activated", organization, actor=actor)
    return organization
