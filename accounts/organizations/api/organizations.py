"""API endpoints of the caller's organization (contract 3.18)."""

from typing import Annotated

from accounts.organizations.models import Membership, Organization, Plan
from accounts.organizations.services import organizations
from wallgent.api.operations import operation
from wallgent.api.schemas import From, Name, Schema, TimeText, one_of
from wallgent.api.views import ApiView


class OrganizationChanges(Schema):
    name: Name | None = None


class MemberOutput(Schema):
    id: Annotated[str, From("user.id")]
    email: Annotated[str, From("user.email")]
    name: Annotated[str | None, From("user.name")]
    role: one_of(Membership.Role)


class OrganizationOutput(Schema):
    id: str
    name: str
    email: str
    plan: one_of(Plan)
    org_type: Annotated[one_of(Organization.Type), From("type")]
    members: list[MemberOutput]
    capabilities: list[str]
    kyb_status: str
    production_activated: bool
    activated_at: Annotated[TimeText | None, From("production_activated_at")]
    created_at: TimeText

    @classmethod
    def of(cls, organization: Organization) -> "OrganizationOutput":
        is_activated = organization.production_activated_at is not None
        members = organization.memberships.select_related("user").order_by("pk")
        return super().of(
            organization,
            members=[MemberOutput.of(member) for member in members],
            capabilities=["sandbox", *(["production"] if is_activated else [])],
            kyb_status="APPROVED" if is_activated else "NOT_STARTED",
            production_activated=is_activated,
        )


class ChangedOutput(Schema):
    ok: bool = True
    id: str
    name: str


class MyOrganizationView(ApiView):
    path = "organizations/me"

    @operation("organizations:read", answers=OrganizationOutput)
    def get(self, request):
        """Get the organization."""
        return OrganizationOutput.of(request.actor.organization)

    @operation(
        "organizations:write",
        body=OrganizationChanges,
        answers=ChangedOutput,
        example={"name": "Acme"},
    )
    def patch(self, request, data):
        """Change the organization."""
        organization = request.actor.organization
        return ChangedOutput.of(
            organizations.update(organization, actor=request.actor, name=data.name)
        )
