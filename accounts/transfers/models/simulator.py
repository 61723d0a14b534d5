"""The records of the simulated banks and chains, kept apart as if another company held them.

They have no foreign key to our transfers, and no ledger posting changes them; `check_books`
compares the two.
"""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from accounts.transfers.models.transfers import RailType, Transfer
from wallgent.environments import Environment
from wallgent.ids import PrefixedIdField
from wallgent.money import CurrencyField, MoneyField

_WATCH = {"direction": Transfer.Direction.DEPOSIT, "rail_type": RailType.USDC}


class SimulatorOrderQuerySet(models.QuerySet):
    def watching(self, address: str):
        """The orders that watch an address for payments, not those that pay to it."""
        return self.filter(party=address, **_WATCH)


class SimulatorOrder(models.Model):
    """An order that the simulated rail accepted, or an address that it watches for us."""

    class State(models.TextChoices):
        # The request was lost, so the rail reports that it has no such order.
        NOT_RECEIVED = "NOT_RECEIVED", "Not received"
        ACCEPTED = "ACCEPTED", "Processing"
        COMPLETED = "COMPLETED", "Completed"
        FAILED = "FAILED", "Failed"
        CANCELLED = "CANCELLED", "Canceled"
        RETURNED = "RETURNED", "Returned"

    environment = Environment.SANDBOX  # always

    id = PrefixedIdField("sim")
    reference = models.UUIDField()  # the customer's id of the order: our transfer's
    organization = models.ForeignKey(
        "Organization", models.PROTECT, related_name="+", db_index=False
    )
    direction = models.CharField(max_length=10, choices=Transfer.Direction)
    rail_type = models.CharField(max_length=6, choices=RailType)
    amount = MoneyField()
    currency = CurrencyField()
    party = models.CharField(max_length=42, blank=True, default="")  # last 4 digits, or an address
    fault = models.PositiveSmallIntegerField(default=0)  # its published number; 0 is none
    state = models.CharField(max_length=12, choices=State)
    silences = models.PositiveSmallIntegerField(default=0)  # polls whose answer will still be lost
    repeats = models.PositiveSmallIntegerField(default=0)  # how often it repeats its last report
    # Times are by the organization's sandbox clock.
    accepted_at = models.DateTimeField()
    settles_at = models.DateTimeField(null=True, blank=True)
    returns_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = SimulatorOrderQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="simulator_order_amount_positive"),
            UniqueConstraint(fields=["reference"], name="simulator_order_taken_once"),
        ]
        indexes = [
            models.Index(
                fields=["party"],
                condition=Q(direction="DEPOSIT", rail_type="USDC"),
                name="simulator_order_by_address",
            ),
        ]

    def __str__(self):
        return self.id

    @property
    def is_watch(self) -> bool:
        """Whether it watches an address for payments, rather than moving money itself."""
        return self.direction == Transfer.Direction.DEPOSIT and self.rail_type == RailType.USDC


class SimulatorPayment(models.Model):
    """A USDC payment to an address, on any chain."""

    id = PrefixedIdField("sim")
    address = models.CharField(max_length=42)
    chain = models.CharField(max_length=20)
    amount = MoneyField()
    paid_at = models.DateTimeField()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="simulator_payment_amount_positive"),
        ]
        indexes = [models.Index(fields=["address"], name="simulator_payment_by_address")]

    def __str__(self):
        return self.id


class SimulatorEntry(models.Model):
    """A change of our balance at the simulated rail. Append-only."""

    id = PrefixedIdField("sim")
    rail_type = models.CharField(max_length=6, choices=RailType)
    currency = CurrencyField()
    amount = MoneyField()  # positive: into our account at the rail; negative: out of it
    order = models.ForeignKey(SimulatorOrder, models.PROTECT, related_name="entries")
    payment = models.OneToOneField(
        SimulatorPayment, models.PROTECT, null=True, blank=True, related_name="entry"
    )
    made_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "simulator entries"
        constraints = [
            CheckConstraint(condition=~Q(amount=0), name="simulator_entry_moves_something"),
        ]

    def __str__(self):
        return self.id
