"""Dashboard pages of members: list, invitation, role, removal and leaving."""

from functools import partial

from django.urls import reverse

from accounts.organizations.forms.members import (
    ROLE_DESCRIPTIONS,
    ConfirmForm,
    InviteForm,
    RoleForm,
)
from accounts.organizations.models import Invitation, Membership
from accounts.organizations.services import members
from wallgent.mail.models import Email
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_MAX_INVITATIONS = 100

_COLUMNS = {
    "name": Column(label="Person", sort="user__email"),
    "role": Column(label="Role", sort="role"),
    "joined": Column(label="Joined", sort="created_at"),
}


@dashboard("members", GET="organizations:read")
def index(request):
    """List the members and the open invitations."""
    actor, membership = request.actor, request.membership
    listing = Listing(
        request, Membership.objects.visible_to(actor), columns=_COLUMNS, default="joined"
    )
    manageable = members.manageable_by(membership.role)
    context = {
        "listing": listing,
        "rows": [
            {
                "member": member,
                "is_self": member.pk == membership.pk,
                "may_manage": member.role in manageable and member.pk != membership.pk,
                "role_description": ROLE_DESCRIPTIONS[member.role],
            }
            for member in listing.rows
        ],
        "may_invite": bool(manageable),
        "invitations": _invitations(actor, manageable),
    }
    return pages.render(request, "accounts/organizations/members.html", context)


def _invitations(actor, manageable: list[str]) -> list[dict]:
    """Return the open invitations, for members who may invite."""
    if not manageable:
        return []
    invitations = Invitation.objects.visible_to(actor)[:_MAX_INVITATIONS]
    sent = Email.objects.about(*(invitation.id for invitation in invitations))
    emails = {email.subject_id: email for email in sent}
    return [
        {
            "invitation": invitation,
            "email": emails.get(invitation.id),
            "may_revoke": invitation.role in manageable,
        }
        for invitation in invitations
    ]


def _to_members(request, _=None) -> str:
    return pages.to(request, "members")


@dashboard("members", GET="organizations:write", POST="organizations:write")
def invite(request):
    """Invite a person by email, and show the link of that email once."""
    form = InviteForm(
        request.POST if request.method == "POST" else None,
        roles=members.manageable_by(request.membership.role),
        initial={"role": Membership.Role.MEMBER},
    )
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: members.invite(
                actor=request.actor,
                membership=request.membership,
                email=form.cleaned_data["email"],
                role=form.cleaned_data["role"],
            ),
            done=partial(_to_members, request),
            show=lambda created: _invited(request, *created),
        )
        if answer:
            return answer
    return _form_page(request, "accounts/organizations/member_invite.html", form)


def _invited(request, invitation: Invitation, url: str):
    email = Email.objects.about(invitation.id).first()
    context = {"invitation": invitation, "url": url, "email": email}
    return pages.render(request, "accounts/organizations/member_invited.html", context)


def _form_page(request, template: str, form, **context):
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, template, {"form": form, **context}, status=status)


@dashboard("members", GET="organizations:write", POST="organizations:write")
def role(request, id):
    """Change a member's role."""
    member = members.access(id, actor=request.actor)
    form = RoleForm(
        request.POST if request.method == "POST" else None,
        roles=members.manageable_by(request.membership.role),
        initial={"role": member.role},
    )
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: members.change_role(
                member,
                actor=request.actor,
                membership=request.membership,
                role=form.cleaned_data["role"],
            ),
            done=partial(_to_members, request),
            say="The role is changed. It holds from the next click.",
        )
        if answer:
            return answer
    return _form_page(request, "accounts/organizations/member_role.html", form, member=member)


@dashboard("members", GET="organizations:write", POST="organizations:write")
def remove(request, id):
    """Remove a member, after confirmation."""
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        # Looked up inside: after a double click the member is gone, which is not an error.
        answer = pages.submit(
            request,
            form,
            lambda: members.remove(
                members.access(id, actor=request.actor),
                actor=request.actor,
                membership=request.membership,
            ),
            done=partial(_to_members, request),
            say="The member is removed.",
        )
        if answer:
            return answer
    member = members.access(id, actor=request.actor)
    return _form_page(request, "accounts/organizations/member_remove.html", form, member=member)


@dashboard("members", GET="organizations:read", POST="organizations:read")
def leave(request):
    """End the user's own membership, after confirmation."""
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: members.leave(actor=request.actor, membership=request.membership),
            done=lambda _: reverse("home"),
            say=f"You left {request.actor.organization.name}.",
        )
        if answer:
            return answer
    return _form_page(request, "accounts/organizations/member_leave.html", form)


@dashboard("members", GET="organizations:write", POST="organizations:write")
def revoke_invitation(request, id):
    """Revoke an invitation, after confirmation."""
    invitation = members.access_invitation(id, actor=request.actor)
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: members.revoke(invitation, actor=request.actor, membership=request.membership),
            done=partial(_to_members, request),
            say="The invitation is taken back. Its link no longer works.",
        )
        if answer:
            return answer
    template = "accounts/organizations/member_invitation_revoke.html"
    return _form_page(request, template, form, invitation=invitation)
