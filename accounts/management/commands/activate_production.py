from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.organizations.services import organizations
from wallgent.errors import DomainError


class Command(BaseCommand):
    help = "Let an organization use production, with real money."

    def add_arguments(self, parser):
        parser.add_argument("organization", help="its id, such as org_01J…")

    @transaction.atomic
    def handle(self, *, organization, **options):
        try:
            found = organizations.find(organization)
            organizations.activate_production(found, actor=organizations.system_actor(found))
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{found.name} may use production.")
