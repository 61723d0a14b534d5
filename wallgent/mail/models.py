"""Outgoing emails: what waits, what became of the others, and what the limits count."""

import json
from datetime import timedelta

from django.db import models
from django.db.models import CheckConstraint, Q
from django.utils.functional import cached_property

from wallgent import clock, credentials
from wallgent.actors import Actor
from wallgent.environments import Environment, EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.mail import addresses

# Real time: advancing a sandbox clock deletes nothing.
SANDBOX_CONTENT_LIFETIME = timedelta(days=7)
REPLY_LENGTH = 40
LIFETIME = timedelta(days=30)  # longer than any limit counts and any mail server takes to bounce


class EmailQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """The readable emails of the actor's sandbox; none in production."""
        if actor.environment != Environment.SANDBOX:
            return self.none()
        return self.filter(
            organization=actor.organization,
            environment=Environment.SANDBOX,
            created_at__gte=clock.real_now() - SANDBOX_CONTENT_LIFETIME,
            sealed__isnull=False,
        )

    def about(self, *subject_ids: str):
        """The emails about objects, the latest first."""
        return self.filter(subject_id__in=subject_ids).order_by("-pk")

    def ended(self):
        """Emails that no longer wait to be sent."""
        return self.exclude(status=Email.Status.WAITING)


class Email(models.Model):
    """One email to one address. Its recipient, subject and text are erased when it has ended.

    Only a sandbox's are kept for its test inbox. All times are real time.
    """

    class Kind(models.TextChoices):
        LINK = "LINK", "Payment link"
        CODE = "CODE", "Verification code"
        RECEIPT = "RECEIPT", "Receipt"
        INVITATION = "INVITATION", "Invitation"
        HINT = "HINT", "Whether an account exists"
        ACCOUNT = "ACCOUNT", "Account link"  # confirms an address, resets a password
        NOTICE = "NOTICE", "Account notice"  # says what changed in an account

    class Status(models.TextChoices):
        WAITING = "WAITING", "Pending"
        SENT = "SENT", "Sent"  # a mail server accepted it
        FAILED = "FAILED", "Failed"

    class Reason(models.TextChoices):
        UNKNOWN_ADDRESS = "UNKNOWN_ADDRESS", "The address does not exist."
        MAILBOX_FULL = "MAILBOX_FULL", "The mailbox is full."
        REFUSED = "REFUSED", "The recipient's mail server refused it."
        TOO_LATE = "TOO_LATE", "No mail server accepted it in time."
        LIMITED = "LIMITED", "The address received several emails today."

    id = PrefixedIdField("eml")
    kind = models.CharField(max_length=10, choices=Kind)
    organization = models.ForeignKey(
        "accounts.Organization",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    environment = EnvironmentField(blank=True, default="")  # "": of neither
    subject_id = models.CharField(max_length=64, blank=True, default="")  # what it is about
    sender_id = models.CharField(max_length=64, blank=True, default="")  # of a user or API key
    address = models.CharField(max_length=addresses.MAX_LENGTH)  # masked
    address_digest = models.BinaryField(max_length=32)
    sealed = models.BinaryField(null=True)  # encrypted; NULL once erased
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()  # not sent any more from then on
    status = models.CharField(max_length=7, choices=Status, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=15, choices=Reason, blank=True, default="")
    # Of the last attempt, such as "550 5.1.1" or "ConnectionRefusedError".
    reply = models.CharField(max_length=REPLY_LENGTH, blank=True, default="")

    objects = EmailQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(status="WAITING", sealed__isnull=False)
                | ~Q(status="WAITING") & (Q(sealed=None) | Q(environment="SANDBOX")),
                name="email_is_erased_when_it_has_ended",
            ),
            CheckConstraint(
                condition=Q(status="FAILED") & ~Q(reason="") | ~Q(status="FAILED") & Q(reason=""),
                name="email_failed_for_a_reason",
            ),
            CheckConstraint(
                condition=Q(status="WAITING", ended_at=None)
                | ~Q(status="WAITING") & Q(ended_at__isnull=False),
                name="email_ended_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="email_by_organization"),
            models.Index(fields=["sender_id", "created_at"], name="email_by_sender"),
            models.Index(fields=["subject_id", "created_at"], name="email_by_subject"),
            models.Index(fields=["address_digest", "created_at"], name="email_by_address"),
            models.Index(fields=["created_at"], name="email_by_age"),
        ]

    def __str__(self):
        return self.id

    @cached_property
    def _content(self) -> dict[str, str]:
        return json.loads(credentials.decrypt(self.sealed))

    @property
    def recipient(self) -> str:
        return self._content["recipient"]

    @property
    def subject(self) -> str:
        return self._content["subject"]

    @property
    def text(self) -> str:
        return self._content["text"]

    @property
    def status_reason(self) -> str:
        """Why the email waits or failed, or "" if there is nothing to say."""
        if self.status == self.Status.WAITING and self.reply:
            return "The mail server has not accepted it yet. We'll try again."
        if self.status == self.Status.SENT and self.reply:
            return "The mail server did not confirm it."
        return self.get_reason_display()

    def seal(self, *, recipient: str, subject: str, text: str) -> None:
        """Set what the email says, encrypted: it contains links and codes that give access."""
        self._content = {"recipient": recipient, "subject": subject, "text": text}
        self.sealed = credentials.encrypt(json.dumps(self._content))

    def end(self, status: str, *, reason: str = "", reply: str = "") -> None:
        """Record that the email was sent or has failed, and erase what it says. It is locked."""
        self.status, self.reason, self.reply = status, reason, reply
        self.ended_at = clock.real_now()
        if self.environment != Environment.SANDBOX:
            self.sealed = None
        self.save(update_fields=["status", "reason", "reply", "ended_at", "sealed"])
