"""Uploaded CSV files with their rows, and the CSV files that are prepared to download."""

from datetime import timedelta

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from wallgent import clock
from wallgent.actors import Actor
from wallgent.api.json import MetadataDecoder, MetadataEncoder
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField

DRAFT_LIFETIME = timedelta(days=7)  # then a file that was not confirmed is deleted
EXPORT_LIFETIME = timedelta(days=1)


class ImportFileQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """The files of the actor's organization and environment."""
        return self.filter(organization=actor.organization, environment=actor.environment)

    def expired_drafts(self):
        """Files that were uploaded long ago and not confirmed."""
        since = clock.real_now() - DRAFT_LIFETIME
        return self.filter(status=ImportFile.Status.DRAFT, uploaded_at__lt=since)


class ImportFile(models.Model):
    """An uploaded CSV file: previewed, confirmed, then processed row by row."""

    class Status(models.TextChoices):
        DRAFT = "DRAFT", "Draft"  # nothing is created before it is confirmed
        CREATING = "CREATING", "Processing"
        DONE = "DONE", "Done"
        STOPPED = "STOPPED", "Stopped"  # the member who confirmed it lost the permission

    TRANSITIONS = {
        Status.DRAFT: {Status.CREATING},
        Status.CREATING: {Status.DONE, Status.STOPPED},
    }

    id = PrefixedIdField("imp")
    organization = models.ForeignKey(
        "accounts.Organization", models.PROTECT, related_name="+", db_index=False
    )
    environment = EnvironmentField()
    kind = models.CharField(max_length=32)
    status = models.CharField(max_length=8, choices=Status, default=Status.DRAFT)
    file_name = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32)  # keyed, to recognize the same file
    columns = models.JSONField()  # as the file spells them
    summary = models.JSONField(default=list)  # of its good rows, by its kind
    formula_count = models.PositiveIntegerField(default=0)  # cells a spreadsheet would calculate
    # Real time: creating objects waits for a worker, not for a time of the sandbox.
    uploaded_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.CharField(max_length=64, blank=True, default="")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ImportFileQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(status="DRAFT", confirmed_at__isnull=True)
                | (~Q(status="DRAFT") & Q(confirmed_at__isnull=False)),
                name="import_file_confirmed_at_with_status",
            ),
            CheckConstraint(
                condition=Q(status__in=["DONE", "STOPPED"], finished_at__isnull=False)
                | Q(status__in=["DRAFT", "CREATING"], finished_at__isnull=True),
                name="import_file_finished_at_with_status",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "environment", "kind", "-id"],
                name="import_file_by_organization",
            ),
            models.Index(
                fields=["uploaded_at"], condition=Q(status="DRAFT"), name="import_file_drafts"
            ),
        ]

    def __str__(self):
        return self.id

    def advance(self, status: str) -> None:
        """Move to another status; the caller sets the time and saves. The only way it changes."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)


class ImportRow(models.Model):
    """A row of a file: it creates one object, or says why it did not."""

    class Status(models.TextChoices):
        READY = "READY", "Ready"
        WRONG = "WRONG", "Has errors"
        CREATED = "CREATED", "Created"
        REFUSED = "REFUSED", "Failed"

    id = models.BigAutoField(primary_key=True)
    file = models.ForeignKey(ImportFile, models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField()  # as a spreadsheet counts: the heading is 1
    status = models.CharField(max_length=7, choices=Status)
    cells = models.JSONField()  # as the file has them
    terms = models.JSONField(null=True, encoder=MetadataEncoder, decoder=MetadataDecoder)
    problems = models.JSONField(default=list)  # pairs of a column and what to do
    # Of the created object. Null without one, so that the unique index holds created ones only.
    object_id = models.CharField(max_length=64, null=True)  # noqa: DJ001

    class Meta:
        constraints = [
            UniqueConstraint(fields=["file", "number"], name="import_row_once"),
            UniqueConstraint(fields=["object_id"], name="import_row_object_once"),
            CheckConstraint(
                condition=Q(status="CREATED", object_id__isnull=False)
                | (~Q(status="CREATED") & Q(object_id__isnull=True)),
                name="import_row_created_with_object",
            ),
        ]
        indexes = [models.Index(fields=["file", "status", "number"], name="import_row_status")]

    def __str__(self):
        return f"{self.file_id} row {self.number}"


class ImportExportQuerySet(models.QuerySet):
    def of(self, organization):
        """The exports of an organization, in both environments."""
        return self.filter(file__organization=organization)

    def pending(self):
        """Those a worker is preparing or has yet to prepare."""
        return self.filter(status=ImportExport.Status.PENDING)

    def expired(self):
        """Those past their lifetime."""
        return self.filter(requested_at__lt=clock.real_now() - EXPORT_LIFETIME)


class ImportExport(models.Model):
    """A file with its results as CSV: prepared by a worker, kept for a day in the database."""

    class Status(models.TextChoices):
        PENDING = "PENDING", "Processing"
        READY = "READY", "Ready"
        FAILED = "FAILED", "Failed"

    class Variant(models.TextChoices):
        """Which rows and columns the CSV file has, as the page's URL spells it."""

        ALL = "csv"
        LEFT_OUT = "left-out"

    TRANSITIONS = {Status.PENDING: {Status.READY, Status.FAILED}}

    id = PrefixedIdField("imx")
    file = models.ForeignKey(ImportFile, models.CASCADE, related_name="exports", db_index=False)
    variant = models.CharField(max_length=16, choices=Variant)
    shows_secrets = models.BooleanField()  # for readers who may see all results
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    row_count = models.PositiveIntegerField()  # to prepare
    rows_done = models.PositiveIntegerField(default=0)
    # Of the parts so far: what the end of a gzip stream repeats.
    checksum = models.PositiveBigIntegerField(default=0)
    byte_count = models.PositiveIntegerField(default=0)
    # Real time, as for files.
    requested_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)  # when the first row was read
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ImportExportQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["file", "variant", "shows_secrets"],
                condition=Q(status="PENDING"),
                name="import_export_pending_once",
            ),
            CheckConstraint(
                condition=Q(status="PENDING", finished_at__isnull=True)
                | (~Q(status="PENDING") & Q(finished_at__isnull=False)),
                name="import_export_finished_at_with_status",
            ),
        ]
        indexes = [models.Index(fields=["file", "variant", "-id"], name="import_export_by_file")]

    def __str__(self):
        return self.id

    @property
    def organization_id(self) -> str:
        return self.file.organization_id

    @property
    def environment(self) -> str:
        return self.file.environment

    def advance(self, status: str) -> None:
        """Move to another status; the caller sets the time and saves. The only way it changes."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)


class ImportExportPart(models.Model):
    """A part of the CSV file, compressed: all parts in order are one gzip stream.

    Its number is that of its last row; the end of the stream has the next number.
    """

    id = models.BigAutoField(primary_key=True)
    export = models.ForeignKey(ImportExport, models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["export", "number"], name="import_export_part_once")
        ]

    def __str__(self):
        return f"{self.export_id} part {self.number}"
