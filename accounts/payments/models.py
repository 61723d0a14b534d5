from datetime import datetime

from django.db import models
from django.db.models import Case, CheckConstraint, F, Q, UniqueConstraint, When

from accounts.ledger import movements
from accounts.ledger.movements import Movement, Record
from wallgent.actors import Actor
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.money import ZERO, CurrencyField, MoneyField

_KEYED = {"on_delete": models.PROTECT, "db_index": False, "db_constraint": False}

RECORD = Record("payment", "SELECT id FROM accounts_payment")


def kinds() -> list[str]:
    """Return the kinds of payments: the movements that payments are the record of."""
    return [one.reason.upper() for one in movements.declared() if one.record == RECORD]


class PaymentQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """Payments that a wallet of the actor sends or receives, in its environment and scope.

        A payment that never settled is visible to its sender only.
        """
        sent = Q(organization=actor.organization)
        received = Q(recipient_organization=actor.organization, settled_at__isnull=False)
        if actor.wallet_scope is not None:
            sent &= Q(sender__in=actor.wallet_scope)
            received &= Q(recipient__in=actor.wallet_scope)
        return self.filter(sent | received, environment=actor.environment)

    def dated_for(self, organization):
        """Name `dated_at` for filters: when it was created, as `Payment.dates_for` returns it."""
        is_own = Q(organization=organization)
        return self.alias(dated_at=Case(When(is_own, F("created_at")), default=F("received_at")))

    def of_wallet(self, wallet):
        """Payments that the wallet sends or receives."""
        return self.filter(Q(sender=wallet) | Q(recipient=wallet))


class Payment(models.Model):
    """A payment from one wallet to another. Its ledger transaction has the same id."""

    class Kind(models.TextChoices):
        """The kinds that this package makes; other packages declare and make others."""

        PAYMENT = "PAYMENT"
        INTERNAL = "INTERNAL"  # between wallets of one organization
        REVERSAL = "REVERSAL"

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"
        PENDING_APPROVAL = "PENDING_APPROVAL", "Needs approval"
        POSTED = "POSTED", "Completed"
        FAILED = "FAILED", "Failed"
        REVERSED = "REVERSED", "Refunded"

    id = PrefixedIdField("txn")
    # The database's own foreign keys are (wallet, organization, environment) to the wallet, so
    # that a payment has the right owners and never crosses environments. The indexes are below.
    organization = models.ForeignKey("Organization", **_KEYED, related_name="+")
    recipient_organization = models.ForeignKey("Organization", **_KEYED, related_name="+")
    environment = EnvironmentField()
    kind = models.CharField(max_length=16, default=Kind.PAYMENT)  # one of `kinds`
    sender = models.ForeignKey("Wallet", **_KEYED, related_name="payments_sent")
    recipient = models.ForeignKey("Wallet", **_KEYED, related_name="payments_received")
    amount = MoneyField()
    fee = MoneyField(default=ZERO)  # on top, paid by the sender
    currency = CurrencyField()
    description = models.CharField(max_length=1024, blank=True, default="")
    idempotency_key = models.CharField(max_length=255, blank=True, default="")
    status = models.CharField(max_length=16, choices=Status)
    failure_code = models.CharField(max_length=40, blank=True, default="")
    failure_reason = models.CharField(max_length=1024, blank=True, default="")
    reversal_of = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="reversals", db_index=False
    )
    # On the sender's clock; `received_at` is when it settled on the recipient's.
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(null=True, blank=True)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0, fee__gte=0), name="payment_amount_positive"),
            CheckConstraint(
                condition=~Q(sender=F("recipient")), name="payment_between_two_wallets"
            ),
            CheckConstraint(
                condition=Q(
                    status__in=["POSTED", "REVERSED"],
                    settled_at__isnull=False,
                    received_at__isnull=False,
                )
                | (
                    ~Q(status__in=["POSTED", "REVERSED"])
                    & Q(settled_at__isnull=True, received_at__isnull=True)
                ),
                name="payment_settled_when_posted",
            ),
            CheckConstraint(
                condition=Q(kind="REVERSAL", reversal_of__isnull=False)
                | (~Q(kind="REVERSAL") & Q(reversal_of__isnull=True)),
                name="payment_reversal_names_its_payment",
            ),
            UniqueConstraint(
                fields=["reversal_of"],
                condition=Q(reversal_of__isnull=False),
                name="payment_reversed_once",
            ),
        ]
        indexes = [
            models.Index(fields=["sender", "-id"], name="payment_by_sender"),
            models.Index(fields=["recipient", "-id"], name="payment_by_recipient"),
            models.Index(
                fields=["organization", "environment", "-id"], name="payment_by_organization"
            ),
            models.Index(
                fields=["recipient_organization", "environment", "-id"],
                condition=~Q(organization=F("recipient_organization")),
                name="payment_from_elsewhere",
            ),
        ]

    def dates_for(self, organization) -> tuple[datetime, datetime | None]:
        """Return when it was created and settled, on the clock of one of the organizations.

        Another organization's payment begins for its recipient when it is received.
        """
        if organization.id == self.organization_id:
            return self.created_at, self.settled_at
        return self.received_at, self.received_at

    @property
    def movement(self) -> Movement:
        """The movement of its kind, which is the reason of its ledger transaction."""
        return movements.of(self.kind.lower())
