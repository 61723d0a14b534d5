"""client.organizations."""

from stage import TIMESTAMP, models, refused

from wallgent import PermissionDeniedError, ValidationError


def retrieve_tells_who_one_is(stage):
    answer = stage.client.organizations.retrieve()
    organization = models.Organization.model_validate(answer)
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
    assert (answer["productionActivated"], answer["kybStatus"]) == (True, "APPROVED")
    assert stage.client_of("live").organizations.retrieve()["id"] == stage.organization


def update_renames(stage):
    answer = stage.client.organizations.update(name="Acme & Söhne")
    assert (answer["ok"], answer["name"]) == (True, "Acme & Söhne")
    assert stage.client.organizations.update()["name"] == "Acme & Söhne"
    assert stage.client.organizations.retrieve()["name"] == "Acme & Söhne"


def both_refuse(stage):
    for name in ("", " ", "x" * 257):
        with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
            stage.client.organizations.update(name=name)
    reader = stage.client_of("reader")
    for call in (reader.organizations.retrieve, reader.organizations.update):
        with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
            call()
