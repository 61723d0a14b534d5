"""`manage.py demo` creates demo organizations, except in production."""

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

    def run():
        call_command("demo", verbosity=0)
        return json.loads((tmp_path / "demo.json").read_text())

    return run


def test_file_describes_the_organizations_it_created(demo, settings, tmp_path):
    created = demo()

    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600
    assert created["apiUrl"] == f"{settings.PUBLIC_ORIGIN}/v1"
    assert User.objects.get(email=created["email"]).check_password(created["password"])
    for organization, key in (("organizationId", "apiKey"), ("secondOrgId", "secondOrgApiKey")):
        client = APIClient(headers={"Authorization": f"Bearer {created[key]}"})
        wallets = client.get("/v1/wallets").json()["data"]
        assert [wallet["organizationId"] for wallet in wallets] == [created[organization]]


def test_key_has_every_permission_in_the_sandbox(demo):
    organization = Organization.objects.get(pk=demo()["organizationId"])

    key = organization.api_keys.get()
    assert (key.environment, set(key.permissions)) == ("SANDBOX", set(ALL))


def test_second_run_changes_only_the_urls(demo, settings):
    created = demo()
    settings.PUBLIC_ORIGIN = "http://127.0.0.1:9000"
    again = demo()

    assert again == created | {
        "apiUrl": "http://127.0.0.1:9000/v1",
        "dashboardUrl": "http://127.0.0.1:9000/",
    }


def test_deleted_file_is_created_again(demo, tmp_path):
    created = demo()
    (tmp_path / "demo.json").unlink()
    again = demo()

    assert again["organizationId"] != created["organizationId"]
    assert User.objects.get(email=again["email"]).check_password(again["password"])


def test_is_refused_in_production(demo, settings, tmp_path):
    settings.DEVELOPMENT = False

    with pytest.raises(CommandError, match="development"):
        demo()

    assert not Organization.objects.exists()
