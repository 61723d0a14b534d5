from dataclasses import dataclass
from datetime import timedelta

from django.db import models
from django.db.models import CheckConstraint, Q

from wallgent.ids import PrefixedIdField


class Plan(models.TextChoices):
    FREE = "FREE"
    STARTER = "STARTER"
    GROWTH = "GROWTH"
    ENTERPRISE = "ENTERPRISE"


class LinkDirection(models.TextChoices):
    """Which way the money of a payment link goes, as seen by the organization that created it."""

    RECEIVE = "RECEIVE", "Receive"
    SEND = "SEND", "Send"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan allows. `wallets` does not count default wallets; None means unlimited."""

    reads_per_minute: int
    writes_per_minute: int
    wallets: int | None
    production: bool


PLAN_LIMITS = {
    Plan.FREE: Limits(60, 10, 3, production=False),
    Plan.STARTER: Limits(200, 50, 10, production=True),
    Plan.GROWTH: Limits(500, 100, 50, production=True),
    Plan.ENTERPRISE: Limits(2_000, 500, None, production=True),
}


class Organization(models.Model):
    """A tenant. It owns its data in two separate environments."""

    class Type(models.TextChoices):
        STANDARD = "STANDARD"
        MERCHANT = "MERCHANT"

    id = PrefixedIdField("org")
    name = models.CharField(max_length=256)
    email = models.EmailField()
    type = models.CharField(max_length=8, choices=Type, default=Type.STANDARD)
    plan = models.CharField(max_length=10, choices=Plan)
    # Limits agreed with this customer, which replace the plan's.
    custom_reads_per_minute = models.PositiveIntegerField(null=True, blank=True)
    custom_writes_per_minute = models.PositiveIntegerField(null=True, blank=True)
    custom_wallets = models.PositiveIntegerField(null=True, blank=True)
    production_activated_at = models.DateTimeField(null=True, blank=True)
    # For payment links created without a direction. RECEIVE is the safer default: a link with a
    # wrong RECEIVE stays unpaid, one with a wrong SEND pays out.
    default_link_direction = models.CharField(
        max_length=7, choices=LinkDirection, default=LinkDirection.RECEIVE
    )
    # Whether payment links of other organizations may send pay requests to this one. They wait
    # for approval, so nothing is paid without it.
    accepts_pay_requests_sandbox = models.BooleanField(default=True)
    accepts_pay_requests_production = models.BooleanField(default=False)
    # How far the sandbox clock is ahead of real time. Production has no such offset.
    sandbox_offset = models.DurationField(default=timedelta(0))
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(sandbox_offset__gte=timedelta(0)),
                name="organization_clock_only_forward",
            ),
        ]

    def __str__(self):
        return self.name

    @property
    def limits(self) -> Limits:
        """Return the plan's limits, replaced by those agreed with this customer."""
        plan = PLAN_LIMITS[self.plan]
        return Limits(
            reads_per_minute=_custom_or_plan(self.custom_reads_per_minute, plan.reads_per_minute),
            writes_per_minute=_custom_or_plan(
                self.custom_writes_per_minute, plan.writes_per_minute
            ),
            wallets=_custom_or_plan(self.custom_wallets, plan.wallets),
            production=plan.production,
        )


def _custom_or_plan(custom: int | None, plan: int | None) -> int | None:
    return plan if custom is None else custom
