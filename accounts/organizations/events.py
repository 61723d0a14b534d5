"""The event types of organizations, users and API keys, and their names (contract 4.2)."""

from datetime import timedelta
from typing import Annotated, Any

from django.db.models import Exists, OuterRef
from pydantic import Field, PlainSerializer

from accounts.organizations.models import ApiKey, Membership, Plan, User
from wallgent.actors import Actor
from wallgent.api.schemas import From, one_of
from wallgent.events.catalogue import announce, event
from wallgent.events.descriptions import Name, Names, register_names, register_page
from wallgent.events.schemas import Payload


def _user_names(user_ids: set[str], actor: Actor) -> dict[str, Name]:
    members = Membership.objects.filter(user=OuterRef("pk"), organization=actor.organization)
    users = User.objects.filter(pk__in=user_ids).annotate(is_member=Exists(members))
    return {user.id: Name(_user_name(user), user.is_member) for user in users}


def _user_name(user: User) -> str:
    if user.is_staff and not user.is_member:
        return "Wallgent support"
    return user.name or user.email


def _key_names(key_ids: set[str], actor: Actor) -> dict[str, Name]:
    own = ApiKey.objects.filter(pk__in=key_ids, organization=actor.organization)
    return {id: Name(f"API key {name}", True) for id, name in own.values_list("pk", "name")}


register_page("key", "api-key")
register_names("key", _key_names)
register_names("usr", _user_names)

_Seconds = Annotated[
    timedelta, PlainSerializer(lambda value: int(value.total_seconds()), return_type=int)
]


def _clock_advanced(data: dict, names: Names) -> str:
    days, seconds = divmod(data["bySeconds"], 24 * 3600)
    hours, minutes = divmod(seconds // 60, 60)
    parts = ((days, "days"), (hours, "hours"), (minutes, "minutes"), (seconds % 60, "seconds"))
    by = ", ".join(f"{count} {unit}" for count, unit in parts if count)
    return f"Sandbox clock moved forward by {by}"


@event("sandbox.clock_advanced", _clock_advanced, icon="clock")
class ClockAdvanced(Payload):
    organization_id: Annotated[str, From("id")]
    by: _Seconds = Field(alias="bySeconds")
    sandbox_offset: _Seconds = Field(alias="aheadSeconds")


@event("organization.created", "Organization {name} opened", icon="building-2")
@event("organization.activated", "Organization {name} activated for production", icon="badge-check")
class OrganizationEvent(Payload):
    organization_id: Annotated[str, From("id")]
    name: str
    plan: one_of(Plan)


@event("organization.updated", "Organization {name} changed", icon="building-2")
class OrganizationUpdated(OrganizationEvent):
    changes: dict[str, Any]


@event("api_key.created", "API key {name} made", icon="key-round")
@event("api_key.revoked", "API key {name} revoked", icon="ban")
class ApiKeyEvent(Payload):
    api_key_id: Annotated[str, From("id")]
    name: str
    key_prefix: str
    permissions: list[str]


@event("api_key.updated", "API key {name} changed", icon="key-round")
class ApiKeyUpdated(ApiKeyEvent):
    changed: list[str]


def _with_role(sentence: str):
    return lambda data, names: f"{sentence} as {data['role'].lower()}"


@event("member.invited", _with_role("Member invited"), icon="mail")
@event("invitation.revoked", "Invitation revoked", icon="ban")
class InvitationEvent(Payload):
    # Without the email address: events cannot be erased.
    invitation_id: Annotated[str, From("id")]
    role: one_of(Membership.Role)


@event("member.joined", _with_role("New member"), icon="user-plus")
@event("member.removed", "Member removed", icon="user-minus")
class MemberEvent(Payload):
    member_id: Annotated[str, From("id")]
    user_id: str
    role: one_of(Membership.Role)


@event("member.role_changed", _with_role("A member goes on"), icon="user")
class MemberRoleChanged(MemberEvent):
    before: one_of(Membership.Role)


@event("user.signed_in")
@event("user.locked_out")
@event("user.password_changed")
@event("user.email_changed")
@event("user.recovery_codes_renewed")
class UserEvent(Payload):
    user_id: Annotated[str, From("id")]


@event("user.mfa_added")
@event("user.mfa_removed")
class UserFactorEvent(UserEvent):
    factor: str


announce(
    *("risk_event.created", "risk_event.resolved", "kyb.approved", "kyb.rejected"),
    permission="organizations:read",
)
