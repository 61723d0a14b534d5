import json
from datetime import datetime
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
    """How money leaves our books or enters them."""

    ACH = "ACH", "ACH"
    WIRE = "WIRE", "Wire"
    FEDNOW = "FEDNOW", "FedNow"
    USDC = "USDC", "USDC"

    @property
    def currency(self) -> str:
        """What the rail carries."""
        return Currency.USDC if self == RailType.USDC else Currency.USD

    @property
    def places(self) -> int:
        """The decimals that it can carry: an amount with more is refused, never rounded."""
        return 6 if self == RailType.USDC else 2

    @property
    def book_name(self) -> str:
        """What the ledger calls its accounts."""
        return self.value.lower()


class Provider(models.TextChoices):
    """Who carries a transfer. A new rail is declared here, and in `PROVIDER_MODES`."""

    SIMULATOR = "simulator", "Simulator"


# Which money each provider may move: test money (by the simulator, test keys or a test chain), real
# money, or both, as its keys or its chain are. The values of `is_test` that the database accepts.
PROVIDER_MODES: dict[Provider, tuple[bool, ...]] = {Provider.SIMULATOR: (True,)}


# Only as their sandbox has it, which lives ahead. Each such organization is asked for its own, by
# pairs that only the index of just those serves: else all that will ever be due is read each time.
_DUE_AHEAD = """
SELECT due.id
  FROM accounts_organization o
 CROSS JOIN LATERAL (
       SELECT t.id, t.next_attempt_at FROM accounts_transfer t
        WHERE t.organization_id = o.id AND t.environment = 'SANDBOX'
          AND t.next_attempt_at IS NOT NULL
          AND (t.organization_id, t.next_attempt_at) > (o.id, %(now)s)
          AND (t.organization_id, t.next_attempt_at) <= (o.id, %(now)s + o.sandbox_offset)
        ORDER BY t.next_attempt_at LIMIT %(limit)s
       ) due
 WHERE o.sandbox_offset > interval '0'
 ORDER BY due.next_attempt_at LIMIT %(limit)s
"""


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

    def due(self, now: datetime, limit: int) -> list[str]:
        """The ids of those to look after at real time `now`, each by its organization's clock.

        At most so many of those that are due by real time, and as many that only live ahead of it.
        """
        waiting = self.filter(next_attempt_at__lte=now).order_by("next_attempt_at")
        ahead = self.raw(_DUE_AHEAD, {"now": now, "limit": limit})
        return [*waiting.values_list("pk", flat=True)[:limit], *(some.pk for some in ahead)]

    def locked(self, id: str) -> "Transfer":
        """The transfer as it is now, locked: whoever changes it comes one after the other."""
        transfers = self.with_parties().select_for_update(no_key=True, of=("self",))
        return transfers.get(pk=id)


class Transfer(models.Model):
    """Money over a rail: from a wallet to a bank or a chain, or from there into a wallet."""

    class Direction(models.TextChoices):
        DEPOSIT = "DEPOSIT"
        WITHDRAWAL = "WITHDRAWAL"

    class Status(models.TextChoices):
        PENDING = "PENDING"  # the rail has not been told
        PROCESSING = "PROCESSING"  # it may have been told
        COMPLETED = "COMPLETED"
        FAILED = "FAILED"
        RETURNED = "RETURNED"  # after it was completed
        CANCELLED = "CANCELLED"

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
    is_test = models.BooleanField()  # whether it moved test money: what the rail said of itself
    amount = MoneyField()
    fee = MoneyField(default=ZERO)
    currency = CurrencyField()  # the wallet's
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    # Account number and all, encrypted: for the rail alone. The fields behind it may be shown.
    counterparty = models.BinaryField(null=True)
    account_name = models.CharField(max_length=140, blank=True, default="")
    account_last4 = models.CharField(max_length=4, blank=True, default="")
    bank_name = models.CharField(max_length=120, blank=True, default="")
    address = models.CharField(max_length=42, blank=True, default="")  # theirs; of a deposit, ours
    chain = models.CharField(max_length=20, blank=True, default="")
    purpose = models.CharField(max_length=24, blank=True, default="")  # whose handler is told
    reference = models.CharField(max_length=64, blank=True, default="")  # what of theirs it is for
    description = models.CharField(max_length=1024, blank=True, default="")
    hold = models.ForeignKey(Hold, **_POSTED, db_index=False)  # a withdrawal's money, till it moved
    owns_hold = models.BooleanField(default=False)  # or pays out of one that its purpose keeps
    external_id = models.CharField(max_length=120, blank=True, default="")
    failure_code = models.CharField(max_length=40, blank=True, default="")  # R01, EXPIRED, …
    failure_reason = models.CharField(max_length=256, blank=True, default="")
    received = TotalField(default=ZERO)  # what has come to an address of ours, and was credited
    transaction = models.OneToOneField(Transaction, **_POSTED)  # what completed it
    return_transaction = models.OneToOneField(Transaction, **_POSTED)
    # Which wallet a returned deposit was taken from, if it was another: of the organization, too.
    charged_wallet = models.ForeignKey("Wallet", **_KEYED, null=True, blank=True, related_name="+")
    # Times are the organization's.
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    returned_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField()  # open longer than that, it is taken back
    next_attempt_at = models.DateTimeField(null=True, blank=True)  # None: nobody need look again
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
                name="transfer_booked_when_completed",
            ),
            CheckConstraint(
                condition=Q(status="RETURNED", return_transaction__isnull=False)
                | (~Q(status="RETURNED") & Q(return_transaction__isnull=True)),
                name="transfer_booked_back_when_returned",
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
            CheckConstraint(
                condition=~Q(status__in=["PENDING", "PROCESSING"])
                | Q(next_attempt_at__isnull=False),
                name="transfer_open_is_looked_after",
            ),
            UniqueConstraint(
                fields=["address"],
                condition=Q(direction="DEPOSIT", rail_type="USDC"),
                name="transfer_address_of_its_own",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "environment", "-id"], name="transfer_by_organization"
            ),
            models.Index(fields=["wallet", "-id"], name="transfer_by_wallet"),
            models.Index(fields=["purpose", "reference"], name="transfer_by_reference"),
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
                name="transfer_due",
            ),
            models.Index(
                fields=["organization", "next_attempt_at"],
                condition=Q(environment="SANDBOX", next_attempt_at__isnull=False),
                name="transfer_due_ahead",
            ),
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
        """Whether it waits for somebody to pay to an address of ours."""
        return self.direction == self.Direction.DEPOSIT and self.rail_type == RailType.USDC

    @property
    def missing(self):
        """What has yet to come to our address."""
        return max(self.amount - self.received, ZERO)

    def keep_party(self, party: dict) -> None:
        """Encrypt whom the money goes to or comes from."""
        self.counterparty = credentials.encrypt(json.dumps(party))

    def party(self) -> dict:
        """Whom the money goes to or comes from, in clear: for the rail alone."""
        return json.loads(credentials.decrypt(self.counterparty))

    def advance(self, status: str, *, at: datetime | None = None) -> None:
        """Move to another status and note when; the caller saves. The only way it changes."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)
        field = "submitted_at" if status == self.Status.PROCESSING else f"{status.lower()}_at"
        setattr(self, field, at or clock.now(self))


class IncomingPayment(models.Model):
    """One payment that came to an address of ours, whatever it was worth."""

    class Kind(models.TextChoices):
        EXACT = "EXACT"  # completes what was asked for
        PARTIAL = "PARTIAL"  # something is still missing
        EXCESS = "EXCESS"  # more than was asked for, or after it was complete
        LATE = "LATE"  # when nobody expected it any more
        WRONG_CHAIN = "WRONG_CHAIN"  # out of our reach: not credited

    id = PrefixedIdField("inp")
    transfer = models.ForeignKey(
        Transfer, models.PROTECT, related_name="incoming_payments", db_index=False
    )
    kind = models.CharField(max_length=11, choices=Kind)
    external_id = models.CharField(max_length=120)  # of the transaction on its chain
    amount = MoneyField()
    chain = models.CharField(max_length=20)
    transaction = models.OneToOneField(Transaction, **_POSTED)
    arrived_at = models.DateTimeField()  # as the chain says
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="incoming_payment_amount_positive"),
            CheckConstraint(
                condition=Q(kind="WRONG_CHAIN", transaction__isnull=True)
                | (~Q(kind="WRONG_CHAIN") & Q(transaction__isnull=False)),
                name="incoming_payment_credited_unless_astray",
            ),
            # Its index also finds the payments of a transfer.
            UniqueConstraint(
                fields=["transfer", "external_id"], name="incoming_payment_counted_once"
            ),
        ]

    def __str__(self):
        return self.id
