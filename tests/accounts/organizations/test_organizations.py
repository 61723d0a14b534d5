import pytest
from django.db import transaction

from accounts.organizations.models import Membership, Organization, User
from accounts.organizations.services import organizations
from tests.world import A_TIME, activate_production, actor_for, error_of, events_of
from wallgent.errors import InvalidState

PATH = "/v1/organizations/me"


class TestMyOrganization:
    def test_returns_every_field(self, api, acme):
        owner = User.objects.create_user("ada@acme.example", name="Ada")
        Membership.objects.create(organization=acme, user=owner, role="OWNER")

        response = api.get(PATH)

        assert response.status_code == 200
        assert response.json() == {
            "id": acme.id,
            "name": "Acme",
            "email": "owner@acme.example",
            "plan": "ENTERPRISE",
            "orgType": "STANDARD",
            "members": [
                {"id": owner.id, "email": "ada@acme.example", "name": "Ada", "role": "OWNER"}
            ],
            "capabilities": ["sandbox"],
            "kybStatus": "NOT_STARTED",
            "productionActivated": False,
            "activatedAt": None,
            "createdAt": A_TIME,
        }

    def test_activation_is_shown_to_keys_of_both_environments(self, api, live_api):
        for client in (api, live_api):
            organization = client.get(PATH).json()

            assert organization["productionActivated"] is True
            assert organization["activatedAt"] == A_TIME
            assert organization["capabilities"] == ["sandbox", "production"]

    def test_members_of_other_organizations_are_not_shown(self, api, globex):
        owner = User.objects.create_user("eve@globex.example")
        Membership.objects.create(organization=globex, user=owner, role="OWNER")

        assert api.get(PATH).json()["members"] == []


class TestRename:
    def test_changes_the_name(self, api, acme, globex):
        response = api.patch(PATH, {"name": "Acme Robotics"})

        assert response.status_code == 200
        assert response.json() == {"ok": True, "id": acme.id, "name": "Acme Robotics"}
        assert api.get(PATH).json()["name"] == "Acme Robotics"
        assert Organization.objects.get(pk=globex.pk).name == "Globex"
        (event,) = events_of(acme, "organization.updated")
        assert event.data["changes"] == {"name": "Acme Robotics"}
        assert not event.is_public

    @pytest.mark.parametrize("raw", [b"", b"{}", b'{"email": "new@acme.example"}'])
    def test_empty_body_changes_nothing(self, api, acme, raw):
        response = api.request("PATCH", PATH, raw=raw)

        assert (response.status_code, response.json()["name"]) == (200, "Acme")
        assert Organization.objects.get(pk=acme.pk).email == "owner@acme.example"
        assert events_of(acme, "organization.updated") == []

    @pytest.mark.parametrize("name", ["", " ", "x" * 257, 5, []])
    def test_malformed_name_is_refused(self, api, acme, name):
        response = api.patch(PATH, {"name": name})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert Organization.objects.get(pk=acme.pk).name == "Acme"


class TestActivation:
    def test_plan_without_production_is_not_activated(self, acme):
        organizations.set_plan(acme, actor=actor_for(acme), plan="FREE")

        with transaction.atomic(), pytest.raises(InvalidState):
            organizations.activate_production(acme, actor=actor_for(acme))

    def test_is_recorded_once(self, acme):
        for _ in range(2):
            organizations.activate_production(acme, actor=actor_for(acme))

        assert len(events_of(acme, "organization.activated")) == 1


class TestCreate:
    def test_creates_a_main_wallet_in_each_environment(self, acme):
        main = acme.wallets.filter(is_default=True)

        assert sorted(w.environment for w in main) == ["PRODUCTION", "SANDBOX"]
        assert len(events_of(acme, "organization.created")) == 1
        for environment in ("SANDBOX", "PRODUCTION"):
            assert len(events_of(acme, "wallet.created", environment)) == 1

    def test_strangers_do_not_see_its_events(self, acme, globex):
        activate_production(acme)

        subjects = {e.subject for e in events_of(globex, "organization.created")}
        assert subjects == {globex.id}
