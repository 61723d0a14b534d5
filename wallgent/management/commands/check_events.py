from django.core.management.base import BaseCommand, CommandError

from wallgent.events import chain
from wallgent.events.models import Event, EventPosition


class Command(BaseCommand):
    help = "Prove each organization's chain of events; print its head, or what is wrong with it."

    def add_arguments(self, parser):
        parser.add_argument("organizations", nargs="*", help="ids; all of them when none is given")

    def handle(self, *, organizations, **options):
        owners = Event._meta.get_field("organization").related_model.objects.order_by("id")
        if organizations:
            owners = owners.filter(id__in=organizations)
        broken = [owner.id for owner in owners.iterator() if not self._check(owner)]
        if broken:
            raise CommandError(f"The events of {', '.join(broken)} are not what they were.")

    def _check(self, organization) -> bool:
        differences = chain.verify(organization)
        for difference in differences:
            self.stdout.write(f"{organization.id}: {difference}")
        if not differences:
            positions = EventPosition.objects.filter(organization=organization)
            head = positions.order_by("-position").first()
            self.stdout.write(
                f"{organization.id}: {head.position} events, head {bytes(head.hash).hex()}"
                if head
                else f"{organization.id}: no events"
            )
        return not differences
