"""Two sandbox organizations to try things with, described in WALLGENT_HOME/demo.json."""

import dataclasses
import json
import os
import secrets

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db import transaction

from accounts.organizations import permissions
from accounts.organizations.models import Organization, User
from accounts.organizations.services import api_keys, organizations

EMAIL = "demo@example.com"
_UNLIMITED = 1_000_000_000


class Command(BaseCommand):
    help = "Make the demo organizations, unless they are there, and write demo.json."

    def handle(self, **options):
        if not settings.DEVELOPMENT:
            raise CommandError("Demo data is for development. This server runs with DEBUG=0.")
        path = settings.WALLGENT_HOME / "demo.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        if not Organization.objects.filter(pk=known.get("organizationId")).exists():
            known = _make()
            self.stdout.write("Made two demo organizations.")
        origin = settings.PUBLIC_ORIGIN  # another port, maybe, than last time
        _write(path, known | {"apiUrl": f"{origin}/v1", "dashboardUrl": f"{origin}/"})


@transaction.atomic
def _make() -> dict:
    """New organizations, and a new password if the person is there from before."""
    password = secrets.token_urlsafe(12)
    person = User.objects.filter(email=EMAIL).first() or User(email=EMAIL, name="Demo")
    person.set_password(password)
    person.save()
    first, first_key = _organization("Demo Robotics", owner=person)
    second, second_key = _organization("Demo Supplies", owner=person)
    return {
        "email": EMAIL,
        "password": password,
        "organizationId": first.id,
        "apiKey": first_key,
        "secondOrgId": second.id,
        "secondOrgApiKey": second_key,
    }


def _organization(name: str, *, owner: User) -> tuple[Organization, str]:
    organization = organizations.create(name=name, email=EMAIL, owner=owner)
    system = organizations.system_actor(organization)
    organizations.set_limits(
        organization,
        actor=system,
        reads_per_minute=_UNLIMITED,
        writes_per_minute=_UNLIMITED,
        wallets=_UNLIMITED,
    )
    everything = dataclasses.replace(system, permissions=frozenset(permissions.ALL))
    _, secret = api_keys.create(actor=everything, name="Demo key")
    return organization, secret


def _write(path, demo: dict) -> None:
    draft = path.with_name("demo.json.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(demo, file, indent=2)
    draft.replace(path)
