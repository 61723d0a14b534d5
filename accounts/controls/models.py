from datetime import datetime

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from wallgent import clock
from wallgent.actors import Actor, ActorType
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.money import CurrencyField, MoneyField

_KEYED = {"on_delete": models.PROTECT, "db_index": False, "db_constraint": False}
_BY = {"max_length": 64, "blank": True, "default": ""}


class ApprovalQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """Approvals of the actor's organization and environment, for wallets in its scope."""
        approvals = self.filter(organization=actor.organization, environment=actor.environment)
        if actor.wallet_scope is not None:
            approvals = approvals.filter(wallet__in=actor.wallet_scope)
        return approvals

    def with_parties(self):
        """Fetch the paying, the receiving and the asking side in the same query."""
        return self.select_related(
            *("organization", "wallet__account", "wallet__organization"),
            *("recipient__account", "recipient__organization"),
            *("recipient_organization", "asked_by_organization", "payment"),
        )

    def open_at(self, now: datetime):
        """Approvals that can still be decided at `now`, by the clock of their organization."""
        return self.filter(status=Approval.Status.PENDING, expires_at__gt=now)


class Approval(models.Model):
    """A decision that a person must make before money leaves a wallet."""

    class Status(models.TextChoices):
        PENDING = "PENDING", "Needs approval"
        APPROVED = "APPROVED", "Approved"  # and the request has been executed
        REJECTED = "REJECTED", "Declined"
        EXPIRED = "EXPIRED", "Expired"  # not decided in time, or withdrawn

    TRANSITIONS = {Status.PENDING: {Status.APPROVED, Status.REJECTED, Status.EXPIRED}}

    PREFIXES = ("apr", "del")  # that its id is found by (contract C7)

    id = PrefixedIdField("apr")
    # The database's own foreign keys are (wallet, organization, environment) to the wallet.
    organization = models.ForeignKey("Organization", **_KEYED, related_name="+")
    environment = EnvironmentField()
    wallet = models.ForeignKey("Wallet", **_KEYED, related_name="approvals")  # the payer
    recipient = models.ForeignKey("Wallet", **_KEYED, related_name="+")
    recipient_organization = models.ForeignKey("Organization", **_KEYED, related_name="+")
    kind = models.CharField(max_length=40)  # the name of its registered executor
    subject_id = models.CharField(max_length=64)  # the id of the object that the decision is about
    rule = models.CharField(max_length=64, blank=True, default="")  # that requires the decision
    amount = MoneyField()
    currency = CurrencyField()
    description = models.CharField(max_length=1024, blank=True, default="")
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    # For a request from another organization, only the organization is stored.
    asked_by_organization = models.ForeignKey(
        "Organization", models.PROTECT, related_name="+", db_index=False
    )
    asked_by_type = models.CharField(max_length=7, choices=ActorType)
    asked_by = models.CharField(**_BY)
    decided_by_type = models.CharField(max_length=7, choices=ActorType, blank=True, default="")
    decided_by = models.CharField(**_BY)
    reason = models.CharField(max_length=1024, blank=True, default="")  # for its end
    payment = models.OneToOneField(
        "Payment", models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="approval_amount_positive"),
            CheckConstraint(
                condition=~Q(wallet=F("recipient")), name="approval_between_two_wallets"
            ),
            CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="approval_expires_after_creation"
            ),
            CheckConstraint(
                condition=Q(status__in=["APPROVED", "REJECTED"], decided_at__isnull=False)
                | (~Q(status__in=["APPROVED", "REJECTED"]) & Q(decided_at__isnull=True)),
                name="approval_decided_at_with_status",
            ),
            CheckConstraint(
                condition=Q(status="EXPIRED", expired_at__isnull=False)
                | (~Q(status="EXPIRED") & Q(expired_at__isnull=True)),
                name="approval_expired_at_with_status",
            ),
            CheckConstraint(
                condition=Q(status="APPROVED") | Q(payment__isnull=True),
                name="approval_paid_only_when_approved",
            ),
            # Its index also finds the pending approvals of a subject.
            UniqueConstraint(
                fields=["subject_id", "wallet", "kind"],
                condition=Q(status="PENDING"),
                name="approval_pending_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "environment", "-id"], name="approval_by_organization"
            ),
            models.Index(fields=["wallet", "-id"], name="approval_by_wallet"),
            models.Index(
                fields=["organization", "environment", "expires_at"],
                condition=Q(status="PENDING"),
                name="approval_pending",
            ),
        ]

    def __str__(self):
        return self.id

    @property
    def is_past_expiry(self) -> bool:
        """Whether its time is over by the clock of its organization, marked EXPIRED or not."""
        return self.expires_at <= clock.now(self)

    @property
    def is_open(self) -> bool:
        """Whether it can still be decided."""
        return self.status == self.Status.PENDING and not self.is_past_expiry

    @property
    def status_now(self) -> Status:
        """Its status, or EXPIRED if that has not been saved yet."""
        is_lapsed = self.status == self.Status.PENDING and self.is_past_expiry
        return self.Status.EXPIRED if is_lapsed else self.Status(self.status)

    @property
    def is_asked_by_stranger(self) -> bool:
        return self.asked_by_organization_id != self.organization_id

    def advance(self, status: str, *, at: datetime) -> None:
        """Set another status and its time; the caller saves. The only way to change a status."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)
        if status == self.Status.EXPIRED:
            self.expired_at = at
        else:
            self.decided_at = at
