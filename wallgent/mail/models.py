"""Emails that sandboxes have sent, and the log by which emails are limited."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models

from wallgent import clock
from wallgent.actors import Actor
from wallgent.environments import Environment, EnvironmentField
from wallgent.ids import PrefixedIdField

SANDBOX_EMAIL_LIFETIME = timedelta(days=7)  # real time: advancing a sandbox clock deletes nothing
SEND_LOG_LIFETIME = timedelta(days=1)  # the longest period that a limit covers


class SandboxEmailQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """Emails that the actor's sandbox sent within the lifetime; none in production."""
        if actor.environment != Environment.SANDBOX:
            return self.none()
        since = clock.real_now() - SANDBOX_EMAIL_LIFETIME
        return self.filter(organization=actor.organization, created_at__gte=since)

    def expired(self):
        """Emails older than the lifetime."""
        return self.filter(created_at__lt=clock.real_now() - SANDBOX_EMAIL_LIFETIME)


class SandboxEmail(models.Model):
    """An email about a sandbox, as it was sent. Emails of production are not kept."""

    id = PrefixedIdField("ltr")
    organization = models.ForeignKey("accounts.Organization", models.CASCADE, db_index=False)
    recipients = ArrayField(models.TextField())
    subject = models.TextField()
    text = models.TextField()
    created_at = models.DateTimeField()

    objects = SandboxEmailQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-id"], name="sandbox_email_by_organization"),
            models.Index(fields=["created_at"], name="sandbox_email_by_age"),
        ]

    def __str__(self):
        return self.id


class EmailSendLogQuerySet(models.QuerySet):
    def expired(self):
        """Rows older than any limit counts."""
        return self.filter(created_at__lt=clock.real_now() - SEND_LOG_LIFETIME)


class EmailSendLog(models.Model):
    """One sent email, kept for a day to limit how many are sent.

    Stores a keyed digest in place of the address.
    """

    class Kind(models.TextChoices):
        MESSAGE = "MESSAGE"  # sent by a person or an API key of the organization
        RECEIPT = "RECEIPT"  # requested by a visitor of a public page

    id = PrefixedIdField("snd")
    kind = models.CharField(max_length=7, choices=Kind)
    organization = models.ForeignKey(
        "accounts.Organization", models.PROTECT, related_name="+", db_index=False
    )
    environment = EnvironmentField()
    subject_id = models.CharField(max_length=64)  # the prefixed ID of what the email is about
    sender_id = models.CharField(max_length=64, blank=True)  # of a user or API key; "" of receipts
    address_digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()  # real time: a sandbox cannot advance it

    objects = EmailSendLogQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "created_at"], name="send_log_by_organization"),
            models.Index(fields=["sender_id", "created_at"], name="send_log_by_sender"),
            models.Index(fields=["subject_id", "created_at"], name="send_log_by_subject"),
            models.Index(fields=["address_digest", "created_at"], name="send_log_by_address"),
            models.Index(fields=["created_at"], name="send_log_by_age"),
        ]

    def __str__(self):
        return self.id
