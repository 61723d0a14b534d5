"""Letters that a sandbox has sent. Production keeps none."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models

from wallgent import clock
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.ids import PrefixedIdField

LIFETIME = timedelta(days=7)  # of real time: a clock set forward loses no letter


class LetterQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """What the actor's sandbox has sent lately; in production nothing is kept."""
        if actor.environment != Environment.SANDBOX:
            return self.none()
        since = clock.real_now() - LIFETIME
        return self.filter(organization=actor.organization, created_at__gte=since)

    def old(self):
        """Letters past their lifetime."""
        return self.filter(created_at__lt=clock.real_now() - LIFETIME)


class Letter(models.Model):
    """A letter about a sandbox, as it was sent."""

    id = PrefixedIdField("ltr")
    organization = models.ForeignKey("accounts.Organization", models.CASCADE, db_index=False)
    recipients = ArrayField(models.TextField())
    subject = models.TextField()
    text = models.TextField()
    created_at = models.DateTimeField()

    objects = LetterQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-id"], name="letter_by_organization"),
            models.Index(fields=["created_at"], name="letter_by_age"),
        ]

    def __str__(self):
        return self.id
