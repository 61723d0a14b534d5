"""The books of the simulated banks and chains. They are another company's, as it were.

Nothing here points to our own transfers, and no posting of ours touches it: `check_books` compares.
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
        """Those that wait for payments to an address, not those that pay to it."""
        return self.filter(party=address, **_WATCH)


class SimulatorOrder(models.Model):
    """An order as the simulated rail has taken it, or an address that it watches for us."""

    class State(models.TextChoices):
        UNHEARD = "UNHEARD"  # the request got lost: the rail itself knows nothing of it
        ACCEPTED = "ACCEPTED"
        COMPLETED = "COMPLETED"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"
        RETURNED = "RETURNED"

    environment = Environment.SANDBOX  # always

    id = PrefixedIdField("sim")
    reference = models.UUIDField()  # what its customer calls it
    organization = models.ForeignKey(
        "Organization", models.PROTECT, related_name="+", db_index=False
    )
    direction = models.CharField(max_length=10, choices=Transfer.Direction)
    rail_type = models.CharField(max_length=6, choices=RailType)
    amount = MoneyField()
    currency = CurrencyField()
    party = models.CharField(max_length=42, blank=True, default="")  # masked, or an address
    fault = models.PositiveSmallIntegerField(default=0)  # which of the published ones
    state = models.CharField(max_length=9, choices=State)
    silences = models.PositiveSmallIntegerField(default=0)  # answers that will yet be lost
    repeats = models.PositiveSmallIntegerField(default=0)  # times it will yet say the same again
    # Times are those of the organization whose sandbox it is.
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
        """Whether it is an address to be watched, not an order to be carried out."""
        return self.direction == Transfer.Direction.DEPOSIT and self.rail_type == RailType.USDC


class SimulatorPayment(models.Model):
    """USDC that somebody has sent to an address, on whatever chain."""

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
    """A change to what the simulated rail keeps for us. Never changed, never deleted."""

    id = PrefixedIdField("sim")
    rail_type = models.CharField(max_length=6, choices=RailType)
    currency = CurrencyField()
    amount = MoneyField()  # into our account there; out of it if negative
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
