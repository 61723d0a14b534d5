"""Creates two sandbox organizations for demos and writes WALLGENT_HOME/demo.json."""

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
        demo = json.loads(path.read_text()) if path.exists() else {}
        if not Organization.objects.filter(pk=demo.get("organizationId")).exists():
            demo = _create()
            self.stdout.write("Made two demo organizations.")
        origin = settings.PUBLIC_ORIGIN  # the port may have changed
        _write(path, demo | {"apiUrl": f"{origin}/v1", "dashboardUrl": f"{origin}/"})


@transaction.atomic
def _create() -> dict:
    """Create the organizations, and set a new password for the demo user."""
    password = secrets.token_urlsafe(12)
    user = User.objects.filter(email=EMAIL).first() or User(email=EMAIL, name="Demo")
    user.set_password(password)
    user.save()
    first, first_key = _create_organization("Demo Robotics", owner=user)
    second, second_key = _create_organization("Demo Supplies", owner=user)
    return {
        "email": EMAIL,
        "password": password,
        "organizationId": first.id,
        "apiKey": first_key,
        "secondOrgId": second.id,
        "secondOrgApiKey": second_key,
    }


def _create_organization(name: str, *, owner: User) -> tuple[Organization, str]:
    organization = organizations.create(name=name, email=EMAIL, owner=owner)
    system = organizations.system_actor(organization)
    organizations.set_limits(
        organization,
        actor=system,
        reads_per_minute=_UNLIMITED,
        writes_per_minute=_UNLIMITED,
        wallets=_UNLIMITED,
    )
    admin = dataclasses.replace(system, permissions=frozenset(permissions.ALL))
    _, secret = api_keys.create(actor=admin, name="Demo key")
    return organization, secret


def _write(path, demo: dict) -> None:
    new = path.with_name("demo.json.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(demo, file, indent=2)
    new.replace(path)
