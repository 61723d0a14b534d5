"""What an organization sees of its money at a glance. Reads only."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from django.core.cache import cache
from django.db.models import Count, Q, Sum

from accounts.ledger import cash_flow
from accounts.organizations.models import ApiKey
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from wallgent import clock
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.events.models import Event
from wallgent.money import ZERO, Currency
from wallgent.web.charts import Day

DAYS = 30
_OVER = DAYS - 2  # yesterday may still gain what was dated just before midnight
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """All the wallets of one currency together."""

    currency: str
    wallets: int
    balance: Decimal
    held: Decimal
    held_in_links: Decimal
    debt: Decimal

    @property
    def available(self) -> Decimal:
        return self.balance - self.held


@dataclass(frozen=True, slots=True)
class Movement:
    """Money of one currency in and out, day by day of the viewer's calendar, today last."""

    currency: str
    days: list[Day]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The numbers of the page."""

    totals: list[Total]
    movements: list[Movement]
    wallets: int
    frozen: int
    payments: int  # of the same days as the movements


def at_a_glance(*, actor: Actor, zone: tzinfo) -> Overview:
    """Balances, and the money in and out of the last 30 days of the calendar in `zone`."""
    open_wallets = Wallet.objects.visible_to(actor).exclude(account__state=Wallet.Status.CLOSED)
    totals = _totals(open_wallets)
    # A wallet closed within the days is not forgotten: its money went somewhere.
    accounts = list(
        Wallet.objects.visible_to(actor).select_related(None).values_list("account", flat=True)
    )
    in_links = cash_flow.held_for(accounts, reason="payment_link")
    days = _days(clock.now(actor), zone)
    found = _flows(accounts, [datetime.combine(day, time.min, zone) for day in days], actor)
    return Overview(
        totals=[
            Total(
                currency=row["account__currency"],
                wallets=row["wallets"],
                balance=row["balance"],
                held=row["held"],
                held_in_links=in_links.get(row["account__currency"], ZERO),
                debt=row["debt"],
            )
            for row in totals
        ],
        movements=_movements(found, days),
        wallets=sum(row["wallets"] for row in totals),
        frozen=sum(row["frozen"] for row in totals),
        payments=sum(flow.transactions for flow in found if flow.reason in _PAYMENTS),
    )


# What the number of payments counts; what is given back again is not one more.
_PAYMENTS = {kind.lower() for kind in (Payment.Kind.PAYMENT, Payment.Kind.PAYMENT_LINK)}


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
    """What moved on each day. Days that are over stay as they are, so they are added up once."""
    ahead = clock.offset(actor)
    place = f"{actor.organization.id}:{actor.environment}"
    key = f"flows:{place}:{starts[0].isoformat()}:{starts[_OVER].isoformat()}:{starts[0].tzinfo}"
    kept = cache.get(key)
    if kept is None:
        found = cash_flow.flows(accounts, starts=starts, ahead=ahead)
        over = [
            (*flow[:3], str(flow.came_in), str(flow.went_out), flow.transactions)
            for flow in found
            if flow.stretch < _OVER
        ]
        cache.set(key, over, timeout=_DAY_SECONDS)
        return found
    over = [cash_flow.Flow(*row[:3], Decimal(row[3]), Decimal(row[4]), row[5]) for row in kept]
    live = cash_flow.flows(accounts, starts=starts[_OVER:], ahead=ahead)
    return over + [flow._replace(stretch=flow.stretch + _OVER) for flow in live]


def _days(now: datetime, zone: tzinfo) -> list[date]:
    today = now.astimezone(zone).date()
    return [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


def _movements(found: list[cash_flow.Flow], days: list[date]) -> list[Movement]:
    """One for each currency that moved; dollars standing still if none did."""
    moved = defaultdict(lambda: (ZERO, ZERO))
    for flow in found:
        came_in, went_out = moved[flow.currency, flow.stretch]
        moved[flow.currency, flow.stretch] = (came_in + flow.came_in, went_out + flow.went_out)
    currencies = sorted({flow.currency for flow in found}) or [Currency.USD]
    return [
        Movement(currency, [Day(day, *moved[currency, n]) for n, day in enumerate(days)])
        for currency in currencies
    ]


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What a new organization has done already."""

    has_money: bool
    has_key: bool
    has_link: bool

    @property
    def are_done(self) -> bool:
        return self.has_money and self.has_key and self.has_link


def first_steps(*, actor: Actor) -> FirstSteps:
    """How far the organization has come in its environment."""
    wallets = Wallet.objects.visible_to(actor)
    facts = Event.objects.visible_to(actor)
    return FirstSteps(
        has_money=wallets.filter(account__lines__gt=0).exists(),
        has_key=ApiKey.objects.visible_to(actor).exists(),
        has_link=facts.filter(type="payment_link.created").exists(),
    )


def wallet_to_fund(*, actor: Actor) -> Wallet | None:
    """The wallet that is there from the first day."""
    return Wallet.objects.visible_to(actor).filter(is_default=True).order_by("pk").first()


def is_locked(actor: Actor) -> bool:
    """Whether nothing can be changed here yet: production before its activation."""
    organization = actor.organization
    return (
        actor.environment == Environment.PRODUCTION and organization.production_activated_at is None
    )
