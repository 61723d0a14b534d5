"""Members of an organization, their roles, and invitations."""

from datetime import timedelta

from django.core import exceptions
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string

from accounts.organizations.models import Invitation, Membership, Organization, User
from wallgent import clock, credentials, events, ids, public_origin, turns
from wallgent.actors import Actor, ActorType
from wallgent.environments import Environment
from wallgent.errors import (
    Conflict,
    InvalidState,
    NotFound,
    PermissionDenied,
    RateLimitExceeded,
    ValidationError,
)
from wallgent.mail import emails, plain_text
from wallgent.mail.models import Email

Role = Membership.Role

INVITATION_LIFETIME = timedelta(days=7)
INVITATIONS_PER_HOUR = 30  # each sends an email to a person who did not ask for it


def user_actor(
    organization: Organization, user: User, origin: dict[str, str] | None = None
) -> Actor:
    """Return a user as the actor in an organization, for data outside either environment.

    `origin` holds the actor's ip, user_agent and request_id.
    """
    return Actor(
        organization=organization,
        environment=Environment.SANDBOX,
        type=ActorType.USER,
        id=user.id,
        **(origin or {}),
    )


def manageable_by(role: str) -> list[str]:
    """Return the roles that a member with `role` may grant, change and remove, highest first."""
    if role == Role.OWNER:
        return list(Role)
    return [Role.ADMIN, Role.MEMBER, Role.VIEWER] if role == Role.ADMIN else []


def access(id: str, *, actor: Actor) -> Membership:
    """Return a membership in the actor's organization. Raises NotFound."""
    uuid = ids.parse(id, "mem")
    member = uuid and Membership.objects.visible_to(actor).filter(pk=uuid).first()
    if not member:
        raise NotFound("There is no such member.")
    return member


def access_invitation(id: str, *, actor: Actor) -> Invitation:
    """Return an invitation of the actor's organization, in any state. Raises NotFound."""
    uuid = ids.parse(id, "ivt")
    found = uuid and Invitation.objects.filter(pk=uuid, organization=actor.organization).first()
    if not found:
        raise NotFound("There is no such invitation.")
    return found


@transaction.atomic(savepoint=False)
def invite(
    *, actor: Actor, membership: Membership, email: str, role: str
) -> tuple[Invitation, str]:
    """Invite an email address; return the invitation and the URL to accept it.

    The URL is emailed and cannot be read again. If the address had too many emails today, the
    invitation is created without one. An earlier invitation of the address is revoked.
    `membership` is the inviting member's.
    Raises ValidationError, PermissionDenied, Conflict, RateLimitExceeded.
    """
    email = _clean_email(email)
    acting = _lock_acting(membership)
    _check_may_manage(acting, _check_role(role))
    organization = acting.organization
    if organization.memberships.filter(user__email=email).exists():
        raise Conflict(f"{email} is a member already.", fields={"email": "is a member already"})
    an_hour_ago = clock.real_now() - timedelta(hours=1)
    # Counted per user, too: otherwise a user could create more organizations to send more emails.
    # The organization row is locked, but not what the user does in another one at the same time.
    turns.acquire("invitations", acting.user.id)
    recent = Invitation.objects.filter(
        Q(organization=organization) | Q(invited_by=acting.user), created_at__gt=an_hour_ago
    )
    if recent.count() >= INVITATIONS_PER_HOUR:
        raise RateLimitExceeded("Many people were invited within an hour. Go on a little later.")
    # Includes expired ones: the unique constraint still counts them as open.
    _revoke_all(organization.invitations.filter(email=email, accepted_at=None), actor=actor)
    token = credentials.new_secret("")
    invitation = Invitation.objects.create(
        organization=organization,
        email=email,
        role=role,
        token_hash=credentials.fingerprint(token),
        invited_by=acting.user,
        expires_at=clock.real_now() + INVITATION_LIFETIME,
    )
    events.record("member.invited", invitation, actor=actor)
    url = public_origin.url(f"/invitations/{token}")
    _queue_email(invitation, url)
    return invitation, url


@transaction.atomic(savepoint=False)
def revoke(invitation: Invitation, *, actor: Actor, membership: Membership) -> None:
    """Revoke an invitation. Revoking it again changes nothing.

    Raises PermissionDenied, and InvalidState if it was accepted.
    """
    acting = _lock_acting(membership)
    _check_may_manage(acting, invitation.role)
    invitation.refresh_from_db()
    if invitation.accepted_at:
        raise InvalidState("The invitation was accepted. Remove the member instead.")
    _revoke_all(acting.organization.invitations.filter(pk=invitation.pk), actor=actor)


def find_invitation(token: str) -> Invitation:
    """Return the invitation with a token, in any state. Raises NotFound."""
    found = (
        Invitation.objects.filter(token_hash=credentials.fingerprint(token))
        .select_related("organization", "invited_by")
        .first()
    )
    if not found:
        raise NotFound("There is no such invitation. Ask for a new one.")
    return found


@transaction.atomic(savepoint=False)
def accept(token: str, *, user: User, origin: dict[str, str] | None = None) -> Membership:
    """Make the invited user a member of the organization.

    An existing member keeps their role. Raises NotFound, InvalidState if the invitation is no
    longer open, and PermissionDenied if it is for another email address.
    """
    invitation = find_invitation(token)
    organization = _lock_organization(invitation.organization_id)
    invitation.refresh_from_db()
    if not invitation.is_open:
        raise InvalidState("This invitation is no longer open. Ask for a new one.")
    if invitation.email != user.email:
        raise PermissionDenied(
            f"This invitation is for {invitation.email}. Sign in with that address to accept it."
        )
    member, is_new = Membership.objects.get_or_create(
        organization=organization, user=user, defaults={"role": invitation.role}
    )
    invitation.accepted_by, invitation.accepted_at = user, clock.real_now()
    invitation.save(update_fields=["accepted_by", "accepted_at"])
    if is_new:
        events.record("member.joined", member, actor=user_actor(organization, user, origin))
    return member


@transaction.atomic(savepoint=False)
def change_role(
    member: Membership, *, actor: Actor, membership: Membership, role: str
) -> Membership:
    """Change a member's role. `membership` is that of the acting member.

    Raises PermissionDenied, ValidationError, and InvalidState for the last owner.
    """
    acting = _lock_acting(membership)
    member = _reload(member, acting)
    _check_may_manage(acting, member.role)
    _check_may_manage(acting, _check_role(role))
    if member.role == role:
        return member
    _check_not_last_owner(member)
    before, member.role = member.role, role
    member.save(update_fields=["role"])
    events.record("member.role_changed", member, actor=actor, before=before)
    _revoke_beyond(member, manageable_by(role), actor=actor)
    return member


@transaction.atomic(savepoint=False)
def remove(member: Membership, *, actor: Actor, membership: Membership) -> None:
    """Remove a member, whose open sessions lose access at once.

    `membership` is that of the acting member.

    Raises PermissionDenied, and InvalidState for the last owner.
    """
    acting = _lock_acting(membership)
    member = _reload(member, acting)
    if member.pk != acting.pk:
        _check_may_manage(acting, member.role)
    _check_not_last_owner(member)
    events.record("member.removed", member, actor=actor)
    _revoke_beyond(member, [], actor=actor)
    member.delete()


def leave(*, actor: Actor, membership: Membership) -> None:
    """Remove the acting member's own membership. Raises InvalidState for the last owner."""
    remove(membership, actor=actor, membership=membership)


def _lock_organization(organization_id: str) -> Organization:
    # Every change of members waits for this lock, so the last two owners cannot leave at once.
    return Organization.objects.select_for_update(no_key=True).get(pk=organization_id)


def _lock_acting(membership: Membership) -> Membership:
    """Lock the organization and return the acting membership as it is now."""
    organization = _lock_organization(membership.organization_id)
    acting = organization.memberships.select_related("user").filter(pk=membership.pk).first()
    if not acting:
        raise PermissionDenied("You do not belong to this organization any more.")
    acting.organization = organization
    return acting


def _reload(member: Membership, acting: Membership) -> Membership:
    found = (
        acting.organization.memberships.select_related("user", "organization")
        .filter(pk=member.pk)
        .first()
    )
    if not found:
        raise NotFound("There is no such member.")
    return found


def _check_may_manage(acting: Membership, role: str) -> None:
    if role not in manageable_by(acting.role):
        raise PermissionDenied(f"Your role does not let you decide about the role {role}.")


def _check_not_last_owner(member: Membership) -> None:
    others = member.organization.memberships.filter(role=Role.OWNER).exclude(pk=member.pk)
    if member.role == Role.OWNER and not others.exists():
        raise InvalidState("An organization needs an owner. Make somebody else an owner first.")


def _check_role(role: str) -> str:
    if role not in Role.values:
        raise ValidationError(f"There is no role {role}.", fields={"role": "is unknown"})
    return role


def _clean_email(text: str) -> str:
    email = text.strip().lower()
    try:
        validate_email(email)
        if len(email) > Invitation._meta.get_field("email").max_length:
            raise exceptions.ValidationError("too long")
    except exceptions.ValidationError:
        raise ValidationError(
            "Write an e-mail address, such as ada@example.com.", fields={"email": "is not one"}
        ) from None
    return email


def _revoke_beyond(member: Membership, roles: list[str], *, actor: Actor) -> None:
    """Revoke this member's invitations to roles outside `roles`: they know the tokens."""
    sent = Invitation.objects.filter(
        organization=member.organization, invited_by=member.user, accepted_at=None
    )
    _revoke_all(sent.exclude(role__in=roles), actor=actor)


def _revoke_all(invitations, *, actor: Actor) -> None:
    for invitation in invitations.filter(revoked_at=None):
        invitation.revoked_at = clock.real_now()
        invitation.save(update_fields=["revoked_at"])
        events.record("invitation.revoked", invitation, actor=actor)


def _queue_email(invitation: Invitation, url: str) -> None:
    # A name may contain line breaks, which would add headers or paragraphs, and links.
    context = {
        "invitation": invitation,
        "organization": plain_text.without_links(invitation.organization.name),
        "inviter": plain_text.without_links(invitation.invited_by.name),
        "url": url,
    }
    subject = render_to_string(
        "accounts/organizations/invitation_email_subject.txt", context
    ).strip()
    text = render_to_string("accounts/organizations/invitation_email.txt", context)
    emails.queue(
        Email.Kind.INVITATION,
        to=invitation.email,
        subject=subject,
        text=text,
        about=invitation.id,
        organization=invitation.organization,
        valid_until=invitation.expires_at,
        drops_excess=True,
    )


def memberships_of(user: User) -> list[Membership]:
    """Return a user's memberships, sorted by organization name. Every page reads them."""
    found = user.memberships.select_related("organization")
    return list(found.order_by("organization__name", "pk"))


def permissions_of(user_id: str, organization: Organization) -> frozenset[str]:
    """What a person may do in an organization now: nothing once they left or were deactivated."""
    member = Membership.objects.filter(
        organization=organization, user=ids.read(user_id), user__is_active=True
    ).first()
    return member.permissions if member else frozenset()
