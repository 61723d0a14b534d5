import io

import pytest
from django.core.management import CommandError, call_command

from accounts.organizations.models import Organization
from wallgent import ids
from wallgent.events.models import Event


def run(*arguments):
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


class TestSetPlan:
    def test_changes_the_plan_and_reports_it(self, acme):
        assert run("set_plan", acme.id, "growth") == "Acme is on the plan GROWTH.\n"

        assert Organization.objects.get(pk=acme.pk).plan == "GROWTH"
        event = Event.objects.get(subject=acme.id, type="organization.updated")
        assert (event.actor_type, event.data["changes"]) == ("SYSTEM", {"plan": "GROWTH"})

    def test_accepts_a_plain_uuid(self, acme):
        run("set_plan", str(ids.to_uuid(acme.id)), "FREE")

        assert Organization.objects.get(pk=acme.pk).plan == "FREE"

    @pytest.mark.parametrize("id", ["org_01J00000000000000000000000", "nonsense"])
    def test_unknown_organization_is_refused(self, db, id):
        with pytest.raises(CommandError, match="no such organization"):
            run("set_plan", id, "FREE")

    def test_unknown_plan_is_refused(self, acme):
        with pytest.raises(CommandError, match="invalid choice"):
            run("set_plan", acme.id, "GOLD")


class TestActivateProduction:
    def test_activates_once(self, acme):
        for _ in range(2):
            assert run("activate_production", acme.id) == "Acme may use production.\n"

        assert Organization.objects.get(pk=acme.pk).production_activated_at
        assert Event.objects.filter(type="organization.activated").count() == 1

    def test_plan_without_production_is_refused(self, acme):
        run("set_plan", acme.id, "FREE")

        with pytest.raises(CommandError, match="FREE does not include production"):
            run("activate_production", acme.id)
