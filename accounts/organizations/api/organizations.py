"""API endpoints of the caller's organization (contract 3.18)."""

from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from wallgent.api.commands import command
from wallgent.api.schemas import Name, Schema, TimeText
from wallgent.api.views import ApiView, answer


class OrganizationChanges(Schema):
    name: Name | None = None


class MemberOutput(Schema):
    id: str
    email: str
    name: str | None
    role: str


class OrganizationOutput(Schema):
    id: str
    name: str
    email: str
    plan: str
    org_type: str
    members: list[MemberOutput]
    capabilities: list[str]
    kyb_status: str
    production_activated: bool
    activated_at: TimeText | None
    created_at: TimeText

    @classmethod
    def of(cls, organization: Organization) -> "OrganizationOutput":
        activated_at = organization.production_activated_at
        members = organization.memberships.select_related("user").order_by("pk")
        return cls.model_construct(
            id=organization.id,
            name=organization.name,
            email=organization.email,
            plan=organization.plan,
            org_type=organization.type,
            members=[
                MemberOutput.model_construct(
                    id=member.user.id,
                    email=member.user.email,
                    name=member.user.name or None,
                    role=member.role,
                )
                for member in members
            ],
            capabilities=["sandbox", *(["production"] if activated_at else [])],
            kyb_status="APPROVED" if activated_at else "NOT_STARTED",
            production_activated=activated_at is not None,
            activated_at=activated_at,
            created_at=organization.created_at,
        )


class MyOrganizationView(ApiView):
    permissions = {"GET": "organizations:read", "PATCH": "organizations:write"}

    def get(self, request):
        return answer(OrganizationOutput.of(request.actor.organization))

    @command(OrganizationChanges)
    def patch(self, request, data):
        request.run.start()
        organization = organizations.update(
            request.actor.organization, actor=request.actor, name=data.name
        )
        return answer({"ok": True, "id": organization.id, "name": organization.name})
