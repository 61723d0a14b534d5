"""Two organizations with different sandbox clocks pay each other; each sees its own dates."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import pairwise
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.activity import overview
from accounts.ledger import statements
from accounts.ledger.models import Entry
from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.payments.services import payments
from accounts.wallets.models import Wallet
from tests.accounts.ledger.book import run_sql
from tests.accounts.site import Site, names_in
from tests.world import (
    Client,
    activate_production,
    actor_for,
    balance_of,
    deposit,
    events_of,
    everything,
    fund,
    hold,
    make_key,
    make_organization,
    make_wallet,
)
from wallgent import clock

DAY = timedelta(days=1)
UTC = ZoneInfo("UTC")


def advance(organization, days: int) -> None:
    actor = actor_for(Organization.objects.get(pk=organization.pk))
    organizations.advance_clock(actor.organization, actor=actor, by=days * DAY)


def today(organization) -> date:
    return clock.now(actor_for(Organization.objects.get(pk=organization.pk))).date()


def pay(sender, recipient, amount: str, *, how=payments.create):
    """Pay with wallets as they are stored now, and so with the current clocks."""
    sender, recipient = (Wallet.objects.get(pk=wallet.pk) for wallet in (sender, recipient))
    request = payments.PaymentRequest(sender=sender, recipient=recipient, amount=Decimal(amount))
    return how(request, actor=actor_for(sender.organization, sender.environment))


def in_batch(request, *, actor):
    [payment] = payments.create_batch([request], actor=actor)
    return payment


def from_hold(request, *, actor):
    held = hold(request.sender, str(request.amount + 1))  # and the fee
    options = {"hold_id": held, "operation": uuid4(), "kind": "PAYMENT"}
    return payments.pay_from_hold(request, actor=actor, **options)


def day_of(text: str) -> date:
    return datetime.fromisoformat(text).date()


class Side:
    """What one of the two organizations sees of its money."""

    def __init__(self, organization, wallet):
        self.organization, self.wallet = organization, wallet
        self._api = Client(make_key(organization))
        self._site = Site(organization, "OWNER")

    @property
    def today(self) -> date:
        return today(self.organization)

    def lines(self) -> dict[str, date]:
        """The day of each line of the wallet, by its payment."""
        rows = self._api.get(f"/v1/wallets/{self.wallet.id}/transactions").json()["data"]
        return {row["transactionId"]: day_of(row["createdAt"]) for row in rows}

    def payments(self) -> dict[str, tuple[date, date]]:
        """The days on which each payment was created and settled."""
        rows = self._api.get("/v1/payments").json()["data"]
        return {row["id"]: (day_of(row["createdAt"]), day_of(row["settledAt"])) for row in rows}

    def found(self, since: date, until: date, *candidates) -> list[str]:
        """Those of the candidates that the list of payments shows of these days."""
        html = self._site.html("/payments", since=since.isoformat(), until=until.isoformat())
        return sorted(names_in(html, *(payment.id for payment in candidates)))

    def statement(self, first: date, last: date) -> dict:
        since = datetime.combine(first, datetime.min.time(), UTC) - timedelta(microseconds=1)
        until = datetime.combine(last, datetime.max.time(), UTC)
        found = statements.statement(self.wallet.account_id, since=since, until=until)
        return found | {"lines": [entry.transaction_id for entry in found["lines"]]}

    def chart(self) -> dict[date, tuple[Decimal, Decimal]]:
        """Money in and out of the days with any."""
        self.organization.refresh_from_db()
        loaded = overview.load(actor=actor_for(self.organization), zone=UTC)
        days = loaded.daily_flows["USD"]
        return {
            one.date: (one.incoming, one.outgoing) for one in days if one.incoming or one.outgoing
        }


@pytest.fixture
def acme_side(acme, wallet):
    fund(wallet, "1000")
    return Side(acme, wallet)


@pytest.fixture
def globex_side(globex, shop):
    fund(shop, "1000")
    return Side(globex, shop)


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (9, 0), (0, 9), (4, 9)])
def test_each_side_sees_both_payments_today_by_its_own_clock(acme_side, globex_side, ours, theirs):
    for side, days in ((acme_side, ours), (globex_side, theirs)):
        advance(side.organization, days) if days else None
    sent = pay(acme_side.wallet, globex_side.wallet, "100")
    received = pay(globex_side.wallet, acme_side.wallet, "10")

    for side in (acme_side, globex_side):
        day = side.today
        assert {side.lines()[one.id] for one in (sent, received)} == {day}
        assert {side.payments()[one.id] for one in (sent, received)} == {(day, day)}
        events = events_of(side.organization, "payment.completed")
        assert [day_of(event.data["createdAt"]) for event in events] == [day, day]
        assert side.found(day, day, sent, received) == sorted([sent.id, received.id])
        assert side.found(day + DAY, day + 99 * DAY, sent, received) == []
        assert side.found(day - 99 * DAY, day - DAY, sent, received) == []
        assert side.statement(day, day)["lines"][-2:] == [sent.id, received.id]
        assert side.statement(day, day)["closing"] == balance_of(side.wallet)
    assert acme_side.chart()[acme_side.today][1] == Decimal("100.5")
    assert globex_side.chart()[globex_side.today][1] == Decimal("10.25")


def test_payment_stays_on_its_day_whoever_advances_later(acme_side, globex_side):
    """Also a payment from a sender whose clock is ahead does not stay in the recipient's today."""
    advance(acme_side.organization, 9)
    sent = pay(acme_side.wallet, globex_side.wallet, "100")
    days = {side: side.today for side in (acme_side, globex_side)}
    charts = {side: side.chart() for side in days}

    for side, by in ((globex_side, 3), (acme_side, 2), (globex_side, 20)):
        advance(side.organization, by)

        for seen, day in days.items():
            assert seen.lines()[sent.id] == day
            assert seen.payments()[sent.id] == (day, day)
            assert seen.found(day, day, sent) == [sent.id]
            assert seen.found(day + DAY, day + 99 * DAY, sent) == []
            assert sent.id in seen.statement(day, day)["lines"]
            assert seen.chart() == charts[seen]


@pytest.mark.parametrize("how", [payments.create, in_batch, from_hold])
def test_each_way_to_pay_dates_both_sides(acme_side, globex_side, how):
    advance(acme_side.organization, 9)
    sent = pay(acme_side.wallet, globex_side.wallet, "100", how=how)

    for side in (acme_side, globex_side):
        assert side.lines()[sent.id] == side.today
        assert side.payments()[sent.id] == (side.today, side.today)


def test_returned_payment_is_dated_by_each_side(acme_side, globex_side):
    advance(acme_side.organization, 9)
    sent = pay(acme_side.wallet, globex_side.wallet, "100")
    advance(globex_side.organization, 2)
    payments.reverse(sent, actor=actor_for(globex_side.organization))

    [reversal] = sent.reversals.all()
    for side in (acme_side, globex_side):
        assert side.lines()[reversal.id] == side.today
        assert side.payments()[reversal.id] == (side.today, side.today)
        assert reversal.id in side.found(side.today, side.today, reversal)


def test_pages_of_a_payment_and_wallet_show_the_viewers_dates(acme_side, globex_side):
    advance(acme_side.organization, 40)
    sent = pay(acme_side.wallet, globex_side.wallet, "100")

    for side, other in ((acme_side, globex_side), (globex_side, acme_side)):
        for path in ("/payments", f"/payments/{sent.id}", f"/wallets/{side.wallet.id}"):
            html = side._site.html(path)
            assert f'datetime="{side.today.isoformat()}' in html
            if path != f"/wallets/{side.wallet.id}":
                assert f'datetime="{other.today.isoformat()}' not in html


def test_production_has_no_offset(acme, globex, wallet):
    for organization in (acme, globex):
        activate_production(organization)
        advance(organization, 9)
    live, shop = (
        make_wallet(organization, environment="PRODUCTION") for organization in (acme, globex)
    )
    deposit(live, "100")
    paid = pay(live, shop, "1")

    now = clock.real_now()
    for one in (live, shop):
        assert statements.lines(one.account_id).last().created_at <= now
    assert paid.received_at - paid.settled_at < timedelta(seconds=5)


def test_advancing_the_clock_changes_one_row_and_records_an_event(acme_side, globex_side):
    pay(acme_side.wallet, globex_side.wallet, "100")
    pay(globex_side.wallet, acme_side.wallet, "10")
    before, row = everything(), Organization.objects.values().get(pk=acme_side.organization.pk)

    advance(acme_side.organization, 9)

    changed = {table for table, digest in everything().items() if digest != before[table]}
    assert changed == {"accounts_organization", "wallgent_event", "wallgent_outboxentry"}
    after = Organization.objects.values().get(pk=acme_side.organization.pk)
    assert {name for name in row if row[name] != after[name]} == {"sandbox_offset", "updated_at"}
    assert len(events_of(acme_side.organization, "sandbox.clock_advanced")) == 1


def test_migrations_date_existing_entries_and_payments(acme_side, globex_side):
    advance(acme_side.organization, 9)
    sent = pay(acme_side.wallet, globex_side.wallet, "100")
    received = pay(globex_side.wallet, acme_side.wallet, "10")
    stored = dict(Entry.objects.values_list("id", "created_at"))
    run_sql("SET CONSTRAINTS ALL IMMEDIATE")
    run_sql("ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_immutable")
    run_sql("UPDATE ledger_entry SET created_at = '2000-01-01'")
    run_sql("UPDATE ledger_account SET last_entry_at = NULL")
    run_sql("UPDATE accounts_payment SET received_at = '2000-01-01'")

    run_sql(import_module("accounts.ledger.migrations.0003_entries_have_dates").BACKFILL)
    run_sql(import_module("accounts.migrations.0006_dates_on_each_sides_clock").BACKFILL)

    by_account = {
        (entry.transaction_id, entry.account_id): entry.created_at for entry in Entry.objects.all()
    }
    ours, theirs = acme_side.wallet.account_id, globex_side.wallet.account_id
    for entry in Entry.objects.exclude(transaction=received.id, account=ours):
        assert abs(entry.created_at - stored[entry.id]) < timedelta(milliseconds=2)
    # The recipient's clock is not known: not before the line above.
    assert by_account[received.id, ours] == by_account[sent.id, ours]
    for payment, account_id in ((sent, theirs), (received, ours)):
        payment.refresh_from_db()
        assert payment.received_at == by_account[payment.id, account_id]


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(0, 1), st.integers(1, 5)),
        st.tuples(st.just("pay"), st.integers(0, 1), st.integers(1, 500)),
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.django_db
@given(_STEPS, st.lists(st.integers(-2, 40), min_size=2, max_size=5))
def test_statements_of_any_period_add_up_on_both_sides(steps, cuts):
    sides = [make_organization(name) for name in ("One", "Two")]
    owned = [make_wallet(side, funds="500") for side in sides]
    start, paid = clock.real_now(), {wallet.id: {} for wallet in owned}
    for what, who, number in steps:
        if what == "advance":
            advance(sides[who], number)
            continue
        payment = pay(owned[who], owned[1 - who], str(Decimal(number) / 100))
        for wallet, side in zip(owned, sides, strict=True):
            paid[wallet.id][payment.id] = today(side)

    times = sorted({start + cut * DAY for cut in cuts})
    for wallet in owned:
        entries = {e.transaction_id: e for e in statements.lines(wallet.account_id)}
        for id, day in paid[wallet.id].items():
            assert entries[id].created_at.date() == day
        for since, until in pairwise([start - 9 * DAY, *times, start + 999 * DAY]):
            found = statements.statement(wallet.account_id, since=since, until=until)
            lines = list(found["lines"])
            moved = sum(e.amount if e.type == "CREDIT" else -e.amount for e in lines)
            assert found["opening"] + moved == found["closing"]
            assert all(since < entry.created_at <= until for entry in lines)
            assert found["closing"] == statements.balance_as_of(wallet.account_id, until)
        assert found["closing"] == balance_of(wallet)
