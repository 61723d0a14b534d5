from datetime import timedelta

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from accounts.organizations.models import Organization
from links.payment_links.models.payment_links import PaymentLink
from wallgent import clock
from wallgent.actors import Actor
from wallgent.api.json import MetadataDecoder, MetadataEncoder
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField

DRAFT_LIFETIME = timedelta(days=7)  # then a file that nobody confirmed is forgotten
LEASE = timedelta(seconds=15)  # of a worker on a batch, renewed with every few rows


class LinkBatchQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """The batches of the actor's organization and environment."""
        return self.filter(organization=actor.organization, environment=actor.environment)

    def leased(self):
        """Those that a worker has in hand."""
        since = clock.real_now() - LEASE
        return self.filter(tended_at__gt=since, status=LinkBatch.Status.CREATING)

    def available(self):
        """Those under way that no worker has in hand."""
        since = clock.real_now() - LEASE
        free = Q(tended_at__isnull=True) | Q(tended_at__lte=since)
        return self.filter(free, status=LinkBatch.Status.CREATING)

    def forgotten(self):
        """Files that were looked at, and never confirmed."""
        since = clock.real_now() - DRAFT_LIFETIME
        return self.filter(status=LinkBatch.Status.DRAFT, uploaded_at__lt=since)


class LinkBatch(models.Model):
    """A file of links to make: read, looked at, confirmed, then made row by row."""

    class Status(models.TextChoices):
        DRAFT = "DRAFT"  # read; nothing is made before somebody says so
        CREATING = "CREATING"
        DONE = "DONE"
        STOPPED = "STOPPED"  # whoever confirmed it may no longer make links

    TRANSITIONS = {
        Status.DRAFT: {Status.CREATING},
        Status.CREATING: {Status.DONE, Status.STOPPED},
    }

    id = PrefixedIdField("lbt")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+", db_index=False)
    environment = EnvironmentField()
    status = models.CharField(max_length=8, choices=Status, default=Status.DRAFT)
    file_name = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32)  # of the file, to notice when it comes again
    columns = models.JSONField()  # as the file names them
    totals = models.JSONField(default=list)  # of its good rows, for each wallet and direction
    formula_count = models.PositiveIntegerField(default=0)  # cells a spreadsheet would work out
    # Times of ours, not of the sandbox: a clock set forward must not take a worker's lease.
    uploaded_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.CharField(max_length=64, blank=True, default="")
    tended_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = LinkBatchQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(status="DRAFT", confirmed_at__isnull=True)
                | (~Q(status="DRAFT") & Q(confirmed_at__isnull=False)),
                name="link_batch_confirmed_at_with_status",
            ),
            CheckConstraint(
                condition=Q(status__in=["DONE", "STOPPED"], finished_at__isnull=False)
                | Q(status__in=["DRAFT", "CREATING"], finished_at__isnull=True),
                name="link_batch_finished_at_with_status",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "environment", "-id"], name="link_batch_by_organization"
            ),
            models.Index(
                fields=["tended_at"], condition=Q(status="CREATING"), name="link_batch_under_way"
            ),
            models.Index(
                fields=["uploaded_at"], condition=Q(status="DRAFT"), name="link_batch_drafts"
            ),
        ]

    def __str__(self):
        return self.id

    def advance(self, status: str) -> None:
        """Move to another status; the caller notes when and saves. The only way it changes."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)


class BatchRow(models.Model):
    """A row of a file. It becomes one link, or it says why not."""

    class Status(models.TextChoices):
        READY = "READY"
        WRONG = "WRONG", "Has errors"
        CREATED = "CREATED"
        REFUSED = "REFUSED"

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(LinkBatch, models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField()  # as a spreadsheet counts: the heading is 1
    status = models.CharField(max_length=7, choices=Status)
    cells = models.JSONField()  # what the file says, whatever it means
    terms = models.JSONField(null=True, encoder=MetadataEncoder, decoder=MetadataDecoder)
    problems = models.JSONField(default=list)  # pairs of a column and what to do
    link = models.OneToOneField(PaymentLink, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            UniqueConstraint(fields=["batch", "number"], name="link_batch_row_once"),
            CheckConstraint(
                condition=Q(status="CREATED", link__isnull=False)
                | (~Q(status="CREATED") & Q(link__isnull=True)),
                name="link_batch_row_created_with_link",
            ),
        ]
        indexes = [models.Index(fields=["batch", "status", "number"], name="link_batch_row_status")]

    def __str__(self):
        return f"{self.batch_id} row {self.number}"
