"""Who belongs to an organization, in which role; and who is invited to."""

from datetime import timedelta

from django.core import exceptions
from django.core.mail import EmailMessage
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
from wallgent.mail import emails

Role = Membership.Role

INVITATION_LIFETIME = timedelta(days=7)
INVITATIONS_PER_HOUR = 30  # each sends a letter to somebody who did not ask for one


def acting_for(
    organization: Organization, user: User, origin: dict[str, str] | None = None
) -> Actor:
    """The person, acting in an organization on what belongs to neither environment.

    `origin` is where the request came from, as an actor holds it.
    """
    return Actor(
        organization=organization,
        environment=Environment.SANDBOX,
        type=ActorType.USER,
        id=user.id,
        **(origin or {}),
    )


def manageable_by(role: str) -> list[str]:
    """The roles that somebody in `role` may give, take and change, the highest first."""
    if role == Role.OWNER:
        return list(Role)
    return [Role.ADMIN, Role.MEMBER, Role.VIEWER] if role == Role.ADMIN else []


def access(id: str, *, actor: Actor) -> Membership:
    """A membership in the actor's organization. Raises NotFound."""
    uuid = ids.parse(id, "mem")
    member = uuid and Membership.objects.visible_to(actor).filter(pk=uuid).first()
    if not member:
        raise NotFound("There is no such member.")
    return member


def access_invitation(id: str, *, actor: Actor) -> Invitation:
    """An invitation of the actor's organization, in whatever state. Raises NotFound."""
    uuid = ids.parse(id, "ivt")
    found = uuid and Invitation.objects.filter(pk=uuid, organization=actor.organization).first()
    if not found:
        raise NotFound("There is no such invitation.")
    return found


@transaction.atomic(savepoint=False)
def invite(
    *, actor: Actor, membership: Membership, email: str, role: str
) -> tuple[Invitation, str]:
    """Invite an address, in place of any earlier invitation; the address of the page to accept it.

    That address is mailed and never to be had again. `membership` is that of who invites.
    Raises ValidationError, PermissionDenied, Conflict, RateLimitExceeded.
    """
    email = _address(email)
    acting = _acting(membership)
    _check_may_manage(acting, _role(role))
    organization = acting.organization
    if organization.memberships.filter(user__email=email).exists():
        raise Conflict(f"{email} is a member already.", fields={"email": "is a member already"})
    an_hour_ago = clock.real_now() - timedelta(hours=1)
    # Of the person, too: whoever wants to write to strangers could found ever more organizations.
    # The organization is locked; what the person does in another one at the same time is not.
    turns.take("invitations", acting.user.id)
    lately = Invitation.objects.filter(
        Q(organization=organization) | Q(invited_by=acting.user), created_at__gt=an_hour_ago
    )
    if lately.count() >= INVITATIONS_PER_HOUR:
        raise RateLimitExceeded("Many people were invited within an hour. Go on a little later.")
    # Also one that has expired, which still stands in the way of another.
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
    emails.send(_letter(invitation, url))
    return invitation, url


@transaction.atomic(savepoint=False)
def revoke(invitation: Invitation, *, actor: Actor, membership: Membership) -> None:
    """Take an invitation back. Again, it changes nothing.

    Raises PermissionDenied, and InvalidState when it was accepted.
    """
    acting = _acting(membership)
    _check_may_manage(acting, invitation.role)
    invitation.refresh_from_db()
    if invitation.accepted_at:
        raise InvalidState("The invitation was accepted. Remove the member instead.")
    _revoke_all(acting.organization.invitations.filter(pk=invitation.pk), actor=actor)


def find_invitation(token: str) -> Invitation:
    """The invitation behind a token, in whatever state. Raises NotFound."""
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
    """Join the organization that invited this person.

    Whoever is a member already stays what they are. Raises NotFound, InvalidState when it is no
    longer open, PermissionDenied when it is for another address.
    """
    invitation = find_invitation(token)
    organization = _locked(invitation.organization_id)
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
        events.record("member.joined", member, actor=acting_for(organization, user, origin))
    return member


@transaction.atomic(savepoint=False)
def change_role(
    member: Membership, *, actor: Actor, membership: Membership, role: str
) -> Membership:
    """Give a member another role; `membership` is that of who does it.

    Raises PermissionDenied, ValidationError, and InvalidState for the last owner.
    """
    acting = _acting(membership)
    member = _again(member, acting)
    _check_may_manage(acting, member.role)
    _check_may_manage(acting, _role(role))
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
    """End a membership; `membership` is that of who does it. Open sessions lose access at once.

    Raises PermissionDenied, and InvalidState for the last owner.
    """
    acting = _acting(membership)
    member = _again(member, acting)
    if member.pk != acting.pk:
        _check_may_manage(acting, member.role)
    _check_not_last_owner(member)
    events.record("member.removed", member, actor=actor)
    _revoke_beyond(member, [], actor=actor)
    member.delete()


def leave(*, actor: Actor, membership: Membership) -> None:
    """End one's own membership. Raises InvalidState for the last owner."""
    remove(membership, actor=actor, membership=membership)


def _locked(organization_id: str) -> Organization:
    # Whoever changes who belongs to it waits here, so that no two last owners leave together.
    return Organization.objects.select_for_update(no_key=True).get(pk=organization_id)


def _acting(membership: Membership) -> Membership:
    """The membership of who acts, as it stands now that nobody else changes any."""
    organization = _locked(membership.organization_id)
    acting = organization.memberships.select_related("user").filter(pk=membership.pk).first()
    if not acting:
        raise PermissionDenied("You do not belong to this organization any more.")
    acting.organization = organization
    return acting


def _again(member: Membership, acting: Membership) -> Membership:
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


def _role(role: str) -> str:
    if role not in Role.values:
        raise ValidationError(f"There is no role {role}.", fields={"role": "is unknown"})
    return role


def _address(text: str) -> str:
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
    """Take back what this member has invited to and no longer could: they know the tokens."""
    sent = Invitation.objects.filter(
        organization=member.organization, invited_by=member.user, accepted_at=None
    )
    _revoke_all(sent.exclude(role__in=roles), actor=actor)


def _revoke_all(invitations, *, actor: Actor) -> None:
    for invitation in invitations.filter(revoked_at=None):
        invitation.revoked_at = clock.real_now()
        invitation.save(update_fields=["revoked_at"])
        events.record("invitation.revoked", invitation, actor=actor)


def _letter(invitation: Invitation, url: str) -> EmailMessage:
    # A name may hold what ends a line, and so a header; or paragraphs and links in our name.
    context = {
        "invitation": invitation,
        "organization": emails.without_links(invitation.organization.name),
        "inviter": emails.without_links(invitation.invited_by.name),
        "url": url,
    }
    subject = render_to_string(
        "accounts/organizations/invitation_email_subject.txt", context
    ).strip()
    text = render_to_string("accounts/organizations/invitation_email.txt", context)
    return EmailMessage(subject, text, to=[invitation.email])
