"""The numbers of the overview page: totals by currency, money in and out, first steps."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from django.core.cache import cache
from django.db.models import Count, Q, Sum

from accounts.ledger import cash_flow, movements
from accounts.organizations.models import ApiKey
from accounts.wallets.models import Wallet
from wallgent import clock
from wallgent.actors import Actor
from wallgent.events.models import Event
from wallgent.money import ZERO, Currency
from wallgent.web.charts import Day

DAYS = 30
_COMPLETE = DAYS - 2  # yesterday may still get payments that are dated just before midnight
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The totals of all wallets of one currency."""

    currency: str
    wallets: int
    balance: Decimal
    held: Decimal
    held_for: dict[str, Decimal]  # by the label of its purpose: those whose total is shown
    debt: Decimal

    @property
    def available(self) -> Decimal:
        return self.balance - self.held


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The numbers of the overview page."""

    totals: list[Total]
    daily_flows: dict[str, list[Day]]  # by currency, on the days of the viewer's calendar
    wallets: int
    frozen: int
    payments: int  # of the same days


def load(*, actor: Actor, zone: tzinfo) -> Overview:
    """Load balances, and the money in and out on the last 30 days of the calendar in `zone`."""
    open_wallets = Wallet.objects.visible_to(actor).exclude(account__state=Wallet.Status.CLOSED)
    totals = _totals(open_wallets)
    # Closed wallets are included: they may have moved money on these days.
    accounts = list(
        Wallet.objects.visible_to(actor).select_related(None).values_list("account", flat=True)
    )
    held_for = {
        movement.total_label: cash_flow.held_by_currency(accounts, reason=movement.reason)
        for movement in movements.declared(is_hold=True)
        if movement.total_label
    }
    days = _days(clock.now(actor), zone)
    flows = _flows(accounts, [datetime.combine(day, time.min, zone) for day in days], actor)
    return Overview(
        totals=[
            Total(
                currency=row["account__currency"],
                wallets=row["wallets"],
                balance=row["balance"],
                held=row["held"],
                held_for={
                    label: amounts.get(row["account__currency"], ZERO)
                    for label, amounts in held_for.items()
                },
                debt=row["debt"],
            )
            for row in totals
        ],
        daily_flows=_daily_flows(flows, days),
        wallets=sum(row["wallets"] for row in totals),
        frozen=sum(row["frozen"] for row in totals),
        payments=sum(
            flow.transactions for flow in flows if movements.of(flow.reason).counts_as_payment
        ),
    )


def _totals(wallets) -> list[dict]:
    return list(
        wallets.order_by("account__currency")
        .values("account__currency")
        .annotate(
            wallets=Count("pk"),
            frozen=Count("pk", filter=Q(account__state=Wallet.Status.FROZEN)),
            balance=Sum("account__balance"),
            held=Sum("account__held"),
            debt=Sum("account__debt"),
        )
    )


def _flows(accounts: list[str], starts: list[datetime], actor: Actor) -> list[cash_flow.Flow]:
    """Add up the flows of each day. Complete days no longer change, so they are cached."""
    tenant = f"{actor.organization.id}:{actor.environment}"
    days = f"{starts[0].isoformat()}:{starts[_COMPLETE].isoformat()}:{starts[0].tzinfo}"
    key = f"flows:{tenant}:{days}"
    cached = cache.get(key)
    if cached is None:
        flows = cash_flow.flows(accounts, starts=starts)
        complete = [
            (*flow[:3], str(flow.incoming), str(flow.outgoing), flow.transactions)
            for flow in flows
            if flow.period < _COMPLETE
        ]
        cache.set(key, complete, timeout=_DAY_SECONDS)
        return flows
    complete = [
        cash_flow.Flow(*row[:3], Decimal(row[3]), Decimal(row[4]), row[5]) for row in cached
    ]
    recent = cash_flow.flows(accounts, starts=starts[_COMPLETE:])
    return complete + [flow._replace(period=flow.period + _COMPLETE) for flow in recent]


def _days(now: datetime, zone: tzinfo) -> list[date]:
    today = now.astimezone(zone).date()
    return [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


def _daily_flows(flows: list[cash_flow.Flow], days: list[date]) -> dict[str, list[Day]]:
    """Add up the flows of each day and currency; without any, there are empty days in USD."""
    moved = defaultdict(lambda: (ZERO, ZERO))
    for flow in flows:
        incoming, outgoing = moved[flow.currency, flow.period]
        moved[flow.currency, flow.period] = (incoming + flow.incoming, outgoing + flow.outgoing)
    currencies = sorted({flow.currency for flow in flows}) or [Currency.USD]
    return {
        currency: [Day(day, *moved[currency, n]) for n, day in enumerate(days)]
        for currency in currencies
    }


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """Which of the first steps a new organization has done."""

    has_money: bool
    has_key: bool
    has_link: bool

    @property
    def are_done(self) -> bool:
        return self.has_money and self.has_key and self.has_link


def first_steps(*, actor: Actor) -> FirstSteps:
    """Check which first steps the organization has done in its environment."""
    wallets = Wallet.objects.visible_to(actor)
    events = Event.objects.visible_to(actor)
    return FirstSteps(
        has_money=wallets.filter(account__lines__gt=0).exists(),
        has_key=ApiKey.objects.visible_to(actor).exists(),
        has_link=events.filter(type="payment_link.created").exists(),
    )


def wallet_to_fund(*, actor: Actor) -> Wallet | None:
    """Return the default wallet, which exists from the first day."""
    return Wallet.objects.visible_to(actor).filter(is_default=True).order_by("pk").first()
