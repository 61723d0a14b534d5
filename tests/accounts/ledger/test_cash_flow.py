"""Money in and out of a set of accounts, by stretches of time."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.ledger import holds
from accounts.ledger.cash_flow import flows, held_for
from tests.accounts.ledger.book import deposit, hold, move, open_account, post, posting, transfer
from wallgent import clock

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def ours():
    return [open_account(), open_account()]


def since(days: int = 1, **options):
    """Flows of days of 24 hours, the last one going on."""
    now = clock.real_now()
    starts = [now - DAY * back + timedelta(hours=1) for back in range(days, 0, -1)]
    return lambda accounts: flows(accounts, starts=starts, **options)


def test_money_from_outside_comes_in_and_money_to_outside_goes_out(ours):
    stranger = open_account()
    deposit(ours[0], "100")
    transfer(ours[0], stranger, "30")
    transfer(ours[0], stranger, "5")

    assert since()(ours) == [
        (0, "USD", "deposit", Decimal(100), Decimal(0), 1),
        (0, "USD", "test", Decimal(0), Decimal(35), 2),
    ]


def test_money_between_them_is_neither(ours):
    deposit(ours[0], "100")
    transfer(ours[0], ours[1], "40")

    assert [flow.reason for flow in since()(ours)] == ["deposit"]
    [_, moved] = since()(ours[:1])  # seen from one of them alone it went out
    assert moved.went_out == 40


def test_what_a_transfer_between_them_costs_goes_out(ours):
    fees = open_account()
    deposit(ours[0], "100")
    post(posting(move(ours[0], ours[1], "40"), move(ours[0], fees, "0.2")))

    assert since()(ours)[1].went_out == Decimal("0.2")


def test_currencies_are_kept_apart(ours):
    dollars, coins = ours[0], open_account(currency="USDC")
    deposit(dollars, "1")
    deposit(coins, "2")

    found = since()([dollars, coins])

    assert [(flow.currency, flow.came_in) for flow in found] == [("USD", 1), ("USDC", 2)]


def test_each_stretch_has_its_own(ours):
    stranger = open_account("100")
    for days_ahead in (0, 0, 1, 3):
        transfer(stranger, ours[0], "1", ahead=DAY * days_ahead)
    now = clock.real_now() + DAY * 3
    starts = [now - DAY * back + timedelta(hours=1) for back in range(4, 0, -1)]

    found = flows(ours, starts=starts, ahead=DAY * 3)

    assert [(flow.stretch, flow.came_in) for flow in found] == [(0, 2), (1, 1), (3, 1)]


def test_what_was_before_is_left_out(ours):
    stranger = open_account("1000")
    for number in range(1, 40):  # enough lines to be halved a few times
        transfer(stranger, ours[0], str(number), ahead=DAY * (number // 10))
    start = clock.real_now() + DAY * 2 - timedelta(hours=1)

    [flow] = flows(ours, starts=[start], ahead=DAY * 3)

    assert flow.came_in == sum(range(20, 40))


@pytest.mark.parametrize("lines", range(1, 12))
def test_the_first_line_is_found_on_pages_of_any_length(ours, lines):
    stranger = open_account("1000")
    for _ in range(lines):
        transfer(stranger, ours[0], "1")
    between = clock.real_now()
    for _ in range(3):
        transfer(stranger, ours[0], "1")

    [flow] = flows(ours, starts=[between])
    assert flow.transactions == 3
    assert flows(ours, starts=[clock.real_now() + DAY]) == []


def test_nothing_is_found_for_no_accounts():
    assert since()([]) == []


def test_only_what_open_holds_keep_for_the_purpose_counts(ours):
    deposit(ours[0], "100")
    hold(ours[0], "10")
    holds.release(hold(ours[0], "7").id, operation=uuid.uuid4())

    assert held_for(ours, reason="test") == {"USD": Decimal(10)}
    assert held_for(ours, reason="another") == {}
    assert held_for(ours[1:], reason="test") == {}
