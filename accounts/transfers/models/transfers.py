"""Transfers over rails, and the payments received for them."""

import json
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from accounts.ledger.models import Hold, Transaction
from wallgent import clock, credentials
from wallgent.actors import Actor
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.money import ZERO, Currency, CurrencyField, MoneyField, TotalField

_KEYED = {"on_delete": models.PROTECT, "db_index": False, "db_constraint": False}
_POSTED = {"on_delete": models.PROTECT, "null": True, "blank": True, "related_name": "+"}


class RailType(models.TextChoices):
    """The network that carries a transfer."""

    ACH = "ACH", "ACH"
    WIRE = "WIRE", "Wire"
    FEDNOW = "FEDNOW", "FedNow"
    USDC = "USDC", "USDC"

    @property
    def currency(self) -> str:
        """The currency that the rail carries."""
        return Currency.USDC if self == RailType.USDC else Currency.USD

    @property
    def places(self) -> int:
        """How many decimals it supports. An amount with more is an error, never rounded."""
        return 6 if self == RailType.USDC else 2

    @property
    def ledger_name(self) -> str:
        """The rail's name in ledger accounts."""
        return self.value.lower()


class Provider(models.TextChoices):
    """The company that processes a transfer. A new one is also added to `PROVIDER_MODES`."""

    SIMULATOR = "simulator", "Simulator"


# The values of `is_test` that the database accepts for each provider: True is test money (the
# simulator, test keys, a test chain), False real money; a provider may move both.
PROVIDER_MODES: dict[Provider, tuple[bool, ...]] = {Provider.SIMULATOR: (True,)}


class TransferQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """The transfers of the actor's organization and environment on wallets that it covers."""
        transfers = self.filter(organization=actor.organization, environment=actor.environment)
        if actor.wallet_scope is not None:
            transfers = transfers.filter(wallet__in=actor.wallet_scope)
        return transfers

    def with_parties(self):
        """With the organization, whose clock counts, and the wallet with its account."""
        return self.select_related("organization", "wallet__account", "wallet__organization")

    def locked(self, id: str) -> "Transfer":
        """Return the transfer as it is now, locked, so that changes to it are serialized."""
        transfers = self.with_parties().select_for_update(no_key=True, of=("self",))
        return transfers.get(pk=id)


class Transfer(models.Model):
    """Money over a rail: from a wallet to a bank or a chain, or from there into a wallet."""

    class Direction(models.TextChoices):
        DEPOSIT = "DEPOSIT"
        WITHDRAWAL = "WITHDRAWAL"

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"  # not submitted to the rail
        PROCESSING = "PROCESSING", "Processing"  # may have been submitted to the rail
        COMPLETED = "COMPLETED", "Completed"
        FAILED = "FAILED", "Failed"
        RETURNED = "RETURNED", "Returned"  # after it was completed
        CANCELLED = "CANCELLED", "Canceled"

    TRANSITIONS = {
        Status.PENDING: {Status.PROCESSING, Status.FAILED, Status.CANCELLED},
        Status.PROCESSING: {Status.COMPLETED, Status.FAILED, Status.CANCELLED},
        Status.COMPLETED: {Status.RETURNED},
    }
    OPEN = (Status.PENDING, Status.PROCESSING)

    id = PrefixedIdField("xfr")
    # The database's own key is from (wallet, organization, environment) to the wallet.
    organization = models.ForeignKey("Organization", **_KEYED, related_name="+")
    environment = EnvironmentField()
    wallet = models.ForeignKey("Wallet", **_KEYED, related_name="transfers")
    direction = models.CharField(max_length=10, choices=Direction)
    rail_type = models.CharField(max_length=6, choices=RailType)
    provider = models.CharField(max_length=20, choices=Provider)
    is_test = models.BooleanField()  # whether it moves test money: copied from the rail
    amount = MoneyField()
    fee = MoneyField(default=ZERO)
    currency = CurrencyField()  # the wallet's
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    # In full and encrypted, for the rail only. The fields after it may be shown.
    counterparty = models.BinaryField(null=True)
    account_name = models.CharField(max_length=140, blank=True, default="")
    account_last4 = models.CharField(max_length=4, blank=True, default="")
    bank_name = models.CharField(max_length=120, blank=True, default="")
    address = models.CharField(max_length=42, blank=True, default="")  # theirs; for a deposit ours
    chain = models.CharField(max_length=20, blank=True, default="")
    # The purpose selects the handler of its outcomes; the reference is the purpose's own id.
    purpose = models.CharField(max_length=24, blank=True, default="")
    reference = models.CharField(max_length=64, blank=True, default="")
    description = models.CharField(max_length=1024, blank=True, default="")
    hold = models.ForeignKey(Hold, **_POSTED, db_index=False)  # a withdrawal's money until captured
    owns_hold = models.BooleanField(default=False)  # False: the purpose owns the hold
    external_id = models.CharField(max_length=120, blank=True, default="")
    failure_code = models.CharField(max_length=40, blank=True, default="")  # R01, EXPIRED, …
    failure_reason = models.CharField(max_length=256, blank=True, default="")
    received = TotalField(default=ZERO)  # credited payments to our address
    transaction = models.OneToOneField(Transaction, **_POSTED)  # the one that completed it
    return_transaction = models.OneToOneField(Transaction, **_POSTED)
    # The wallet of the same organization that a returned deposit was charged to, if another.
    charged_wallet = models.ForeignKey("Wallet", **_KEYED, null=True, blank=True, related_name="+")
    # Times are by the organization's clock.
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    returned_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField()  # canceled if still open then
    attempts = models.PositiveIntegerField(default=0)

    objects = TransferQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0, fee__gte=0), name="transfer_amount_positive"),
            CheckConstraint(
                condition=Q(environment="SANDBOX", is_test=True)
                | Q(environment="PRODUCTION", is_test=False),
                name="transfer_moves_test_money_in_the_sandbox_only",
            ),
            CheckConstraint(
                condition=reduce(
                    or_,
                    (Q(provider=p.value, is_test__in=list(m)) for p, m in PROVIDER_MODES.items()),
                ),
                name="transfer_moves_money_that_its_provider_may",
            ),
            CheckConstraint(
                condition=Q(direction="WITHDRAWAL", hold__isnull=False)
                | Q(direction="DEPOSIT", hold__isnull=True, owns_hold=False),
                name="transfer_pays_out_of_a_hold",
            ),
            CheckConstraint(
                condition=Q(status__in=["COMPLETED", "RETURNED"], transaction__isnull=False)
                | (~Q(status__in=["COMPLETED", "RETURNED"]) & Q(transaction__isnull=True)),
                name="transfer_posted_when_completed",
            ),
            CheckConstraint(
                condition=Q(status="RETURNED", return_transaction__isnull=False)
                | (~Q(status="RETURNED") & Q(return_transaction__isnull=True)),
                name="transfer_return_posted_when_returned",
            ),
            CheckConstraint(
                condition=Q(charged_wallet=None)
                | Q(direction="DEPOSIT", status="RETURNED") & ~Q(charged_wallet=F("wallet")),
                name="transfer_charged_when_a_deposit_returned",
            ),
            *(
                CheckConstraint(
                    condition=Q(status__in=statuses, **{f"{field}__isnull": False})
                    | (~Q(status__in=statuses) & Q(**{f"{field}__isnull": True})),
                    name=f"transfer_{field}_with_status",
                )
                for field, statuses in {
                    "completed_at": ["COMPLETED", "RETURNED"],
                    "failed_at": ["FAILED"],
                    "cancelled_at": ["CANCELLED"],
                    "returned_at": ["RETURNED"],
                }.items()
            ),
            UniqueConstraint(
                fields=["address"],
                condition=Q(direction="DEPOSIT", rail_type="USDC"),
                name="transfer_address_unique",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "environment", "-id"], name="transfer_by_organization"
            ),
            models.Index(fields=["wallet", "-id"], name="transfer_by_wallet"),
            models.Index(fields=["purpose", "reference"], name="transfer_by_reference"),
        ]

    def __str__(self):
        return self.id

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    @property
    def changed_at(self) -> datetime:
        """When its status last changed."""
        times = (self.submitted_at, self.completed_at, self.failed_at, self.cancelled_at)
        return max(at for at in (self.created_at, *times, self.returned_at) if at)

    @property
    def awaits_payer(self) -> bool:
        """Whether it is a deposit that anyone can pay to our address."""
        return self.direction == self.Direction.DEPOSIT and self.rail_type == RailType.USDC

    @property
    def missing(self) -> Decimal:
        """The amount still to be paid to our address."""
        return max(self.amount - self.received, ZERO)

    def encrypt_counterparty(self, details: dict) -> None:
        """Store the counterparty's details, encrypted. The caller saves."""
        self.counterparty = credentials.encrypt(json.dumps(details))

    def decrypted_counterparty(self) -> dict:
        """Return the counterparty's details in clear, for the rail only."""
        return json.loads(credentials.decrypt(self.counterparty))

    def advance(self, status: str, *, at: datetime | None = None) -> None:
        """Change the status and set its time; the caller saves. Nothing else changes the status."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)
        field = "submitted_at" if status == self.Status.PROCESSING else f"{status.lower()}_at"
        setattr(self, field, at or clock.now(self))


class IncomingPayment(models.Model):
    """A payment received at one of our addresses."""

    class Kind(models.TextChoices):
        EXACT = "EXACT"  # completes the amount
        PARTIAL = "PARTIAL"  # part of the amount is still missing
        EXCESS = "EXCESS"  # more than the amount, or after completion
        LATE = "LATE"  # after the deadline or the end of the transfer
        WRONG_CHAIN = "WRONG_CHAIN"  # on a chain where we cannot receive it: not credited

    id = PrefixedIdField("inp")
    transfer = models.ForeignKey(
        Transfer, models.PROTECT, related_name="incoming_payments", db_index=False
    )
    kind = models.CharField(max_length=11, choices=Kind)
    external_id = models.CharField(max_length=120)  # of the transaction on its chain
    amount = MoneyField()
    chain = models.CharField(max_length=20)
    transaction = models.OneToOneField(Transaction, **_POSTED)
    arrived_at = models.DateTimeField()  # by the chain
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="incoming_payment_amount_positive"),
            CheckConstraint(
                condition=Q(kind="WRONG_CHAIN", transaction__isnull=True)
                | (~Q(kind="WRONG_CHAIN") & Q(transaction__isnull=False)),
                name="incoming_payment_credited_unless_wrong_chain",
            ),
            # Its index also finds the payments of a transfer.
            UniqueConstraint(
                fields=["transfer", "external_id"], name="incoming_payment_counted_once"
            ),
        ]

    def __str__(self):
        return self.id
