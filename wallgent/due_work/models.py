import uuid
from datetime import datetime

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint, Value
from django.db.models.functions import Coalesce

from wallgent import clock
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField

NO_ORGANIZATION = uuid.UUID(int=0)


class DueWork(models.Model):
    """Work on a subject that waits for its time, or for a worker."""

    class Clock(models.TextChoices):
        REAL = "REAL", "Real time"
        SANDBOX = "SANDBOX", "Sandbox clock of the organization"

    id = PrefixedIdField("due")
    kind = models.CharField(max_length=40)
    subject = models.UUIDField()
    organization = models.ForeignKey(
        "accounts.Organization",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    environment = EnvironmentField(blank=True, default="")  # "" without an organization
    clock = models.CharField(max_length=7, choices=Clock)
    due_at = models.DateTimeField()  # by that clock
    created_at = models.DateTimeField()  # real time, as for the lease
    leased_until = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0)  # +1 each time it is scheduled again
    failures = models.PositiveIntegerField(default=0)  # since the last success
    error = models.CharField(max_length=120, blank=True, default="")  # of the last failure
    # Workers take rows from each lane in turn. As a column because an index finds no NULL by "=".
    lane = models.GeneratedField(
        expression=Coalesce("organization", Value(NO_ORGANIZATION)),
        output_field=models.UUIDField(),
        db_persist=True,
    )

    class Meta:
        verbose_name_plural = "due work"
        constraints = [
            UniqueConstraint(fields=["kind", "subject"], name="due_work_once"),
            CheckConstraint(
                condition=Q(clock="REAL") | Q(environment="SANDBOX", organization__isnull=False),
                name="due_work_clock_of_a_sandbox",
            ),
        ]
        indexes = [models.Index(fields=["lane", "clock", "due_at"], name="due_work_by_lane")]

    def __str__(self):
        return self.id

    @property
    def now(self) -> datetime:
        """The time on the clock that the row follows."""
        return clock.real_now() if self.clock == self.Clock.REAL else clock.now(self)
