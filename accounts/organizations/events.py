"""The events of organizations: their payloads and how they are described (contract 4.2)."""

from django.db.models import Exists, OuterRef

from accounts.organizations.models import ApiKey, Invitation, Membership, Organization, User
from wallgent.actors import Actor
from wallgent.events.catalogue import declare
from wallgent.events.descriptions import (
    Description,
    Name,
    Names,
    isolate,
    register_names,
    register_page,
)


def _clock(subject: Organization, *, organization: Organization, by) -> dict:
    return {
        "organizationId": subject.id,
        "bySeconds": int(by.total_seconds()),
        "aheadSeconds": int(subject.sandbox_offset.total_seconds()),
    }


def _api_key(key: ApiKey, *, organization: Organization, **extra) -> dict:
    return {
        "apiKeyId": key.id,
        "name": key.name,
        "keyPrefix": key.key_prefix,
        "permissions": key.permissions,
        **extra,
    }


def _organization(subject: Organization, *, organization: Organization, **extra) -> dict:
    return {"organizationId": subject.id, "name": subject.name, "plan": subject.plan, **extra}


def _user(user: User, *, organization: Organization, **extra) -> dict:
    return {"userId": user.id, **extra}


def _member(member: Membership, *, organization: Organization, **extra) -> dict:
    return {"memberId": member.id, "userId": member.user_id, "role": member.role, **extra}


def _invitation(invitation: Invitation, *, organization: Organization) -> dict:
    # Without the email address: events cannot be erased.
    return {"invitationId": invitation.id, "role": invitation.role}


def _clock_advanced(data: dict, names: Names) -> str:
    days, seconds = divmod(data["bySeconds"], 24 * 3600)
    hours, minutes = divmod(seconds // 60, 60)
    parts = ((days, "days"), (hours, "hours"), (minutes, "minutes"), (seconds % 60, "seconds"))
    by = ", ".join(f"{count} {unit}" for count, unit in parts if count)
    return f"Sandbox clock moved forward by {by}"


def _key_changed(change: str):
    return lambda data, names: f"API key {isolate(data['name'])} {change}"


def _organization_changed(change: str):
    return lambda data, names: f"Organization {isolate(data['name'])} {change}"


def _with_role(sentence: str):
    return lambda data, names: f"{sentence} as {data['role'].lower()}"


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


NOT_BUILT_YET = (
    "risk_event.created",
    "risk_event.resolved",
    "kyb.approved",
    "kyb.rejected",
)


def declare_all() -> None:
    """Declare the events of organizations, users and API keys. Called once, at startup."""
    register_page("key", "api-key")
    register_names("key", _key_names)
    register_names("usr", _user_names)
    for type, render, sentence, icon in (
        ("sandbox.clock_advanced", _clock, _clock_advanced, "clock"),
        ("api_key.created", _api_key, _key_changed("made"), "key-round"),
        ("api_key.updated", _api_key, _key_changed("changed"), "key-round"),
        ("api_key.revoked", _api_key, _key_changed("revoked"), "ban"),
        ("organization.created", _organization, _organization_changed("opened"), "building-2"),
        ("organization.updated", _organization, _organization_changed("changed"), "building-2"),
        (
            "organization.activated",
            _organization,
            _organization_changed("activated for production"),
            "badge-check",
        ),
        ("member.invited", _invitation, _with_role("Somebody invited"), "mail"),
        ("member.joined", _member, _with_role("New member"), "user-plus"),
        ("member.role_changed", _member, _with_role("A member goes on"), "user"),
        ("member.removed", _member, lambda data, names: "Member removed", "user-minus"),
        ("invitation.revoked", _invitation, lambda data, names: "Invitation revoked", "ban"),
    ):
        declare(type, render, Description(sentence, icon), public=False)
    for type in (
        "user.signed_in",
        "user.locked_out",
        "user.password_changed",
        "user.email_changed",
        "user.mfa_added",
        "user.mfa_removed",
        "user.recovery_codes_renewed",
    ):
        declare(type, _user, public=False)
    for type in NOT_BUILT_YET:
        declare(type)
