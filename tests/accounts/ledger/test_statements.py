import re
import uuid
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from accounts.ledger import chart, checks, holds, journal, statements
from accounts.ledger.models import Entry, LedgerAccount
from tests.accounts.ledger.book import (
    PRODUCTION,
    SANDBOX,
    deposit,
    find,
    force,
    hold,
    move,
    open_account,
    post,
    posting,
    transfer,
)
from tests.world import in_parallel
from wallgent import clock

pytestmark = pytest.mark.django_db

FEES = chart.fees(SANDBOX, "USD")
TREASURY = chart.treasury(SANDBOX, "USD")
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


def entries_of(account_id: str) -> list[Entry]:
    return list(statements.lines(account_id).order_by("line"))


def signed(entry: Entry) -> Decimal:
    return entry.amount if entry.type == "CREDIT" else -entry.amount


class TestBalanceAsOf:
    def test_balance_at_and_just_before_each_payment(self):
        ada, bob = open_account("100"), open_account()
        for cents in range(1, 30):
            transfer(*((bob, ada) if cents % 3 == 0 else (ada, bob)), f"0.{cents:02}")

        before = Decimal(0)
        for entry in entries_of(ada):
            instant = entry.created_at
            assert statements.balance_as_of(ada, instant - TICK) == before
            assert statements.balance_as_of(ada, instant) == entry.balance_after
            before = entry.balance_after
        assert before == find(ada).balance

    def test_before_the_first_and_after_the_last(self):
        start = clock.real_now()
        ada = open_account("100")
        transfer(ada, FEES, "1")

        assert statements.balance_as_of(ada, start - DAY) == 0
        assert statements.balance_as_of(ada, clock.real_now() + 365 * DAY) == 99
        assert statements.balance_as_of(open_account(), clock.real_now()) == 0

    def test_forced_debit_makes_the_balance_negative(self):
        ada = open_account("100")
        force(ada, "130")

        assert statements.balance_as_of(ada, clock.real_now()) == -30

    def test_payments_dated_by_a_sandbox_clock_that_is_ahead(self):
        ada, bob = open_account("100"), open_account()
        for days in range(4):
            transfer(ada, bob, "1", ahead=days * DAY)
        noon = clock.real_now()

        found = [statements.balance_as_of(ada, noon + days * DAY) for days in range(-1, 6)]

        assert found == [0, 99, 98, 97, 96, 96, 96]

    def test_payment_from_a_sender_whose_clock_is_ahead(self):
        ada, bob = open_account("100"), open_account("50")
        post(posting(move(ada, bob, "10"), recipient_ahead=0 * DAY), ahead=30 * DAY)
        now = clock.real_now()

        assert statements.balance_as_of(bob, now) == find(bob).balance == 60
        assert statements.balance_as_of(ada, now) == 100  # the 10 leave in a month
        assert statements.balance_as_of(ada, now + 30 * DAY) == find(ada).balance == 90

    @pytest.mark.parametrize("lines", range(9))
    def test_any_number_of_lines(self, lines):
        ada = open_account()
        for _ in range(lines):
            deposit(ada, "1")

        dates = [entry.created_at for entry in entries_of(ada)]

        assert [statements.balance_as_of(ada, date) for date in dates] == [*range(1, lines + 1)]
        assert statements.balance_as_of(ada, clock.real_now()) == lines


class TestStatement:
    def test_has_opening_balance_lines_and_closing_balance(self):
        ada, bob = open_account("100"), open_account()
        for days in range(5):
            transfer(ada, bob, "1", ahead=days * DAY)
        noon = clock.real_now()

        found = statements.statement(ada, since=noon, until=noon + 2 * DAY)

        assert (found["opening"], found["closing"]) == (99, 97)
        assert [entry.line for entry in found["lines"]] == [3, 4]

    def test_since_is_exclusive_and_until_inclusive(self):
        ada = open_account("1")
        deposit(ada, "2")
        first, second = (entry.created_at for entry in entries_of(ada))

        found = statements.statement(ada, since=first, until=second)

        assert (found["opening"], found["closing"]) == (1, 3)
        assert [entry.amount for entry in found["lines"]] == [2]

    def test_without_entries_opens_and_closes_with_the_same_balance(self):
        ada = open_account("1")
        now = clock.real_now()

        found = statements.statement(ada, since=now, until=now + DAY)

        assert (found["opening"], found["closing"], list(found["lines"])) == (1, 1, [])

    @given(
        st.lists(
            st.tuples(st.booleans(), st.integers(1, 500), st.integers(0, 9)),
            min_size=1,
            max_size=12,
        ),
        st.lists(st.integers(-1, 10), min_size=2, max_size=4),
    )
    def test_consecutive_statements_connect_whatever_the_clocks(self, payments, cuts):
        ada, bob = open_account("100"), open_account("100")
        for comes, cents, days in payments:
            one, other = (bob, ada) if comes else (ada, bob)
            transfer(one, other, str(Decimal(cents) / 100), ahead=days * DAY)
        noon = clock.real_now()
        times = [noon - 100 * DAY, *(noon + cut * DAY for cut in sorted(cuts)), noon + 100 * DAY]

        seen, closing = [], Decimal(0)
        for since, until in pairwise(times):
            found = statements.statement(ada, since=since, until=until)
            lines = list(found["lines"])
            assert found["opening"] == closing
            closing = found["closing"]
            assert found["opening"] + sum(map(signed, lines)) == closing
            assert closing == statements.balance_as_of(ada, until)
            seen += lines

        assert sorted(entry.line for entry in seen) == [entry.line for entry in entries_of(ada)]
        assert closing == find(ada).balance


class TestHolds:
    def test_status_of_each_hold(self):
        ada = open_account("100")
        pending, captured, released = (hold(ada, "10") for _ in range(3))
        payment = posting(move(ada, FEES, "4"))
        with transaction.atomic():
            holds.capture(captured.id, payment, amount=Decimal(4), operation=uuid.uuid4())
            holds.release(captured.id, operation=uuid.uuid4())
            holds.release(released.id, operation=uuid.uuid4())

        found = {one.id: statements.hold_status(one) for one in statements.holds(ada)}

        expected = {pending.id: "PENDING", captured.id: "RELEASED", released.id: "REVERSED"}
        assert found == expected
        for id, status in expected.items():
            assert [one.id for one in statements.holds(ada, status=status)] == [id]


class TestTrialBalance:
    def test_shows_every_kind_of_account(self):
        ada, bob = open_account("100"), open_account("50")
        transfer(ada, FEES, "0.25")
        force(bob, "80")

        found = {
            row["kind"]: row
            for row in statements.trial_balance(SANDBOX)
            if row["debit"] or row["credit"]
        }

        assert {kind: (row["debit"], row["credit"]) for kind, row in found.items()} == {
            "TREASURY": (70, 0),
            "WALLET": (0, Decimal("69.75")),
            "FEES": (0, Decimal("0.25")),
        }

    def test_books_and_currencies_are_separate(self):
        open_account("1")
        open_account("2", currency="USDC")
        open_account("4", book=PRODUCTION)

        found = {
            (row["book"], row["currency"]): row["credit"]
            for row in statements.trial_balance()
            if row["kind"] == "WALLET"
        }

        assert found == {(SANDBOX, "USD"): 1, (SANDBOX, "USDC"): 2, (PRODUCTION, "USD"): 4}
        assert {row["book"] for row in statements.trial_balance(PRODUCTION)} == {PRODUCTION}

    def test_rolling_up_does_not_change_it(self):
        transfer(open_account("100"), FEES, "0.25")
        before = statements.trial_balance()

        journal.roll_up(1)
        between = statements.trial_balance()
        journal.roll_up()

        assert before == between == statements.trial_balance()

    def test_unrolled_changes_are_not_searched_for_each_wallet(self):
        for _ in range(30):
            deposit(open_account(), "1")

        plan = LedgerAccount.objects.with_exact_balance().explain(analyze=True)

        searches = [int(n) for n in re.findall(r"on ledger_unrolled.*loops=(\d+)", plan)]
        assert searches
        assert max(searches) <= LedgerAccount.objects.filter(is_system=True).count()

    @pytest.mark.django_db(transaction=True)
    def test_ledger_agrees_at_every_moment(self):
        accounts = [open_account("100") for _ in range(3)]

        def work(number):
            for _ in range(15):
                if number < 3:
                    transfer(accounts[number], accounts[number - 1], "1")
                    transfer(accounts[number], FEES, "1")
                else:
                    journal.roll_up(5)
                    assert statements.out_of_balance() == 0
                    assert checks.differences() == []

        in_parallel(5, work)

        assert statements.exact_balance(FEES) == 45
