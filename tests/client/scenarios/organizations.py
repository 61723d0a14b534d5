"""client.organizations."""

from stage import TIMESTAMP, models, refused

from wallgent import PermissionDeniedError, ValidationError


def retrieve_returns_the_organization_of_the_key(stage):
    response = stage.client.organizations.retrieve()
    organization = models.Organization.model_validate(response)
    assert (organization.id, organization.name) == (stage.organization, "Acme")
    assert organization.email == "owner@acme.example"
    assert (organization.plan, organization.org_type) == ("ENTERPRISE", "STANDARD")
    [member] = organization.members
    assert (member.id, member.email, member.role) == (
        stage.member["id"],
        stage.member["email"],
        "OWNER",
    )
    assert TIMESTAMP.fullmatch(organization.created_at)
    assert (response["productionActivated"], response["kybStatus"]) == (True, "APPROVED")
    assert stage.client_of("live").organizations.retrieve()["id"] == stage.organization


def update_changes_the_name(stage):
    response = stage.client.organizations.update(name="Acme & Söhne")
    assert (response["ok"], response["name"]) == (True, "Acme & Söhne")
    assert stage.client.organizations.update()["name"] == "Acme & Söhne"
    assert stage.client.organizations.retrieve()["name"] == "Acme & Söhne"


def invalid_calls_are_refused(stage):
    for name in ("", " ", "x" * 257):
        with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
            stage.client.organizations.update(name=name)
    reader = stage.client_of("reader")
    for call in (reader.organizations.retrieve, reader.organizations.update):
        with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
            call()
