"""Money in and out of a set of accounts by period."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.ledger import holds
from accounts.ledger.cash_flow import flows, held_by_currency
from tests.accounts.ledger.book import deposit, hold, move, open_account, post, posting, transfer
from wallgent import clock

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def own():
    return [open_account(), open_account()]


def since(days: int = 1):
    """Return a function for the flows of the last `days` periods of 24 hours."""
    now = clock.real_now()
    starts = [now - DAY * back + timedelta(hours=1) for back in range(days, 0, -1)]
    return lambda accounts: flows(accounts, starts=starts)


def test_money_from_and_to_other_accounts_is_in_and_out(own):
    stranger = open_account()
    deposit(own[0], "100")
    transfer(own[0], stranger, "30")
    transfer(own[0], stranger, "5")

    assert since()(own) == [
        (0, "USD", "given", Decimal(100), Decimal(0), 1),
        (0, "USD", "test", Decimal(0), Decimal(35), 2),
    ]


def test_money_between_the_accounts_is_neither_in_nor_out(own):
    deposit(own[0], "100")
    transfer(own[0], own[1], "40")

    assert [flow.reason for flow in since()(own)] == ["given"]
    [_, moved] = since()(own[:1])  # for one account alone it is money out
    assert moved.outgoing == 40


def test_fee_of_a_transfer_between_the_accounts_goes_out(own):
    fees = open_account()
    deposit(own[0], "100")
    post(posting(move(own[0], own[1], "40"), move(own[0], fees, "0.2")))

    assert since()(own)[1].outgoing == Decimal("0.2")


def test_currencies_are_separate(own):
    dollars, coins = own[0], open_account(currency="USDC")
    deposit(dollars, "1")
    deposit(coins, "2")

    result = since()([dollars, coins])

    assert [(flow.currency, flow.incoming) for flow in result] == [("USD", 1), ("USDC", 2)]


def test_flows_are_added_up_by_period(own):
    stranger = open_account("100")
    for days_ahead in (0, 0, 1, 3):
        transfer(stranger, own[0], "1", ahead=DAY * days_ahead)
    now = clock.real_now() + DAY * 3
    starts = [now - DAY * back + timedelta(hours=1) for back in range(4, 0, -1)]

    result = flows(own, starts=starts)

    assert [(flow.period, flow.incoming) for flow in result] == [(0, 2), (1, 1), (3, 1)]


def test_earlier_entries_are_left_out(own):
    stranger = open_account("1000")
    for number in range(1, 40):  # enough lines for a binary search of a few steps
        transfer(stranger, own[0], str(number), ahead=DAY * (number // 10))
    start = clock.real_now() + DAY * 2 - timedelta(hours=1)

    [flow] = flows(own, starts=[start])

    assert flow.incoming == sum(range(20, 40))


@pytest.mark.parametrize("lines", range(1, 12))
def test_first_line_is_found_among_any_number_of_lines(own, lines):
    stranger = open_account("1000")
    for _ in range(lines):
        transfer(stranger, own[0], "1")
    start = clock.real_now()
    for _ in range(3):
        transfer(stranger, own[0], "1")

    [flow] = flows(own, starts=[start])
    assert flow.transactions == 3
    assert flows(own, starts=[clock.real_now() + DAY]) == []


def test_no_accounts_have_no_flows():
    assert since()([]) == []


def test_only_open_holds_of_the_reason_count(own):
    deposit(own[0], "100")
    hold(own[0], "10")
    holds.release(hold(own[0], "7").id, operation=uuid.uuid4())

    assert held_by_currency(own, reason="test") == {"USD": Decimal(10)}
    assert held_by_currency(own, reason="another") == {}
    assert held_by_currency(own[1:], reason="test") == {}
