from datetime import timedelta

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from links.payment_links.models.imports import LEASE, LinkBatch
from wallgent import clock
from wallgent.actors import Actor, ActorType
from wallgent.ids import PrefixedIdField


def may_know_addresses(actor: Actor) -> bool:
    """Whether an actor may know the addresses of all links of a batch, whichever wallet pays."""
    return actor.may("payments:write") and actor.wallet_scope is None


class BatchExportQuerySet(models.QuerySet):
    def readable_by(self, actor: Actor):
        """Those that show the addresses of links as far as the actor may know them."""
        return self.filter(shows_addresses=may_know_addresses(actor))

    def of(self, organization):
        """The files of an organization, of both environments."""
        return self.filter(batch__organization=organization)

    def pending(self):
        """Those that a worker prepares, or will."""
        return self.filter(status=BatchExport.Status.PENDING)

    def leased(self):
        """Those that a worker is preparing."""
        return self.pending().filter(leased_at__gt=clock.real_now() - LEASE)

    def available(self):
        """Those that wait for a worker, or were left by one."""
        since = clock.real_now() - LEASE
        return self.pending().filter(Q(leased_at__isnull=True) | Q(leased_at__lte=since))

    def expired(self):
        """Those past their lifetime."""
        return self.filter(requested_at__lt=clock.real_now() - BatchExport.LIFETIME)


class BatchExport(models.Model):
    """A batch as a CSV file: prepared by a worker, kept for a day, served from the database."""

    LIFETIME = timedelta(days=1)

    class Status(models.TextChoices):
        PENDING = "PENDING"
        READY = "READY"
        FAILED = "FAILED"

    class Variant(models.TextChoices):
        """Which rows and columns the file has, as the page's address spells it."""

        ALL = "csv"
        LEFT_OUT = "left-out"

    TRANSITIONS = {Status.PENDING: {Status.READY, Status.FAILED}}

    id = PrefixedIdField("lbx")
    batch = models.ForeignKey(LinkBatch, models.CASCADE, related_name="exports", db_index=False)
    variant = models.CharField(max_length=16, choices=Variant)
    # Whether it is for readers who may know the addresses of SEND links.
    shows_addresses = models.BooleanField()
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    row_count = models.PositiveIntegerField()  # to prepare
    rows_done = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Real time, as for batches.
    requested_at = models.DateTimeField()
    leased_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)  # from then on the rows were read
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = BatchExportQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["batch", "variant", "shows_addresses"],
                condition=Q(status="PENDING"),
                name="link_batch_export_pending_once",
            ),
            CheckConstraint(
                condition=Q(status="PENDING", finished_at__isnull=True)
                | (~Q(status="PENDING") & Q(finished_at__isnull=False)),
                name="link_batch_export_finished_at_with_status",
            ),
        ]
        indexes = [
            models.Index(fields=["batch", "variant", "-id"], name="link_batch_export_by_batch"),
            models.Index(
                fields=["requested_at"],
                condition=Q(status="PENDING"),
                name="link_batch_export_pending",
            ),
        ]

    def __str__(self):
        return self.id

    @property
    def reader(self) -> Actor:
        """Whoever the file is for: it shows what they may know."""
        return Actor(
            organization=self.batch.organization,
            environment=self.batch.environment,
            type=ActorType.SYSTEM,
            permissions=frozenset(["payments:write"] if self.shows_addresses else []),
        )

    def advance(self, status: str) -> None:
        """Move to another status; the caller notes when and saves. The only way it changes."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)


class BatchExportPart(models.Model):
    """A part of the file's bytes, compressed: all parts in order are one gzip stream."""

    id = models.BigAutoField(primary_key=True)
    export = models.ForeignKey(BatchExport, models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["export", "number"], name="link_batch_export_part_once")
        ]

    def __str__(self):
        return f"{self.export_id} part {self.number}"
