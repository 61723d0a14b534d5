"""`manage.py demo`: something to try things with, never in production."""

import json

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from accounts.organizations.models import Organization, User
from accounts.organizations.permissions import ALL

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings, tmp_path):
    settings.WALLGENT_HOME = tmp_path

    def make():
        call_command("demo", verbosity=0)
        return json.loads((tmp_path / "demo.json").read_text())

    return make


def test_says_how_to_use_what_it_made(demo, settings, tmp_path):
    made = demo()

    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600
    assert made["apiUrl"] == f"{settings.PUBLIC_ORIGIN}/v1"
    assert User.objects.get(email=made["email"]).check_password(made["password"])
    for organization, key in (("organizationId", "apiKey"), ("secondOrgId", "secondOrgApiKey")):
        client = APIClient(headers={"Authorization": f"Bearer {made[key]}"})
        wallets = client.get("/v1/wallets").json()["data"]
        assert [wallet["organizationId"] for wallet in wallets] == [made[organization]]


def test_the_key_may_do_everything_in_the_sandbox(demo):
    organization = Organization.objects.get(pk=demo()["organizationId"])

    key = organization.api_keys.get()
    assert (key.environment, set(key.permissions)) == ("SANDBOX", set(ALL))


def test_a_second_time_changes_nothing_but_the_address(demo, settings):
    made = demo()
    settings.PUBLIC_ORIGIN = "http://127.0.0.1:9000"
    again = demo()

    assert again == made | {
        "apiUrl": "http://127.0.0.1:9000/v1",
        "dashboardUrl": "http://127.0.0.1:9000/",
    }


def test_a_lost_file_is_made_anew(demo, tmp_path):
    made = demo()
    (tmp_path / "demo.json").unlink()
    again = demo()

    assert again["organizationId"] != made["organizationId"]
    assert User.objects.get(email=again["email"]).check_password(again["password"])


def test_production_refuses(demo, settings, tmp_path):
    settings.DEVELOPMENT = False

    with pytest.raises(CommandError, match="development"):
        demo()

    assert not Organization.objects.exists()
