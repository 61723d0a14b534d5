from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.organizations.models import Plan
from accounts.organizations.services import organizations
from wallgent.errors import DomainError


class Command(BaseCommand):
    help = "Move an organization to another plan, at once."

    def add_arguments(self, parser):
        parser.add_argument("organization", help="its id, such as org_01J…")
        parser.add_argument("plan", type=str.upper, choices=Plan.values)

    @transaction.atomic
    def handle(self, *, organization, plan, **options):
        try:
            found = organizations.find(organization)
            organizations.set_plan(found, actor=organizations.system_actor(found), plan=plan)
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{found.name} is on the plan {plan}.")
