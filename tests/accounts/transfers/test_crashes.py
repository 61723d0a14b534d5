"""After a failure or a crash at any point, money has moved exactly once or not at all."""

import itertools
from contextlib import suppress
from decimal import Decimal

import pytest
from django.db import OperationalError, connection

from accounts.transfers.models import SimulatorEntry
from accounts.transfers.rails.simulator import Simulator, pay_address
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.payments.test_crashes import FailAt
from tests.accounts.rails import PURPOSE, stored
from tests.world import assert_books_balance, balance_of, everything
from wallgent.events.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(wallet):
    world.fund(wallet, "100000")
    return Wallet.objects.get(pk=wallet.pk)


@pytest.fixture
def coins(acme):
    return world.make_wallet(acme, "Coins", currency="USDC")


def expect_and_pay(wallet):
    """Expect USDC, and pay it to the transfer's address."""
    transfer = rails.expect(wallet, "25", purpose=PURPOSE)
    pay_address(transfer.address, Decimal(25))
    return transfer


ORDERS = {
    "a withdrawal": (lambda payer, coins: rails.withdraw(payer, purpose=PURPOSE), "COMPLETED", -25),
    "a failed withdrawal": (
        lambda payer, coins: rails.withdraw(payer, fault=1, purpose=PURPOSE),
        "FAILED",
        0,
    ),
    "a returned withdrawal": (
        lambda payer, coins: rails.withdraw(payer, fault=10, purpose=PURPOSE),
        "RETURNED",
        0,
    ),
    "a deposit": (lambda payer, coins: rails.deposit(payer, purpose=PURPOSE), "COMPLETED", 25),
    "a returned deposit": (
        lambda payer, coins: rails.deposit(payer, fault=10, purpose=PURPOSE),
        "RETURNED",
        0,
    ),
    "a payment": (lambda payer, coins: expect_and_pay(coins), "COMPLETED", 25),
}


def run_worker(organization, failure: FailAt) -> None:
    """Process due transfers for 20 seconds, with a failing query."""
    for seconds in (0, 5, 15):
        if seconds:
            rails.advance(organization, seconds=seconds)
        with suppress(OperationalError), connection.execute_wrapper(failure):
            rails.sweep()


def recorded_steps(transfer) -> list[str]:
    """The steps of a transfer for which events were recorded, in order."""
    types = Event.objects.filter(subject=transfer.id).order_by("pk").values_list("type", flat=True)
    return [type.removeprefix("transfer.").upper() for type in types]


def expected_steps(status: str) -> list[str]:
    completed = ["COMPLETED"] if status == "RETURNED" else []
    return ["CREATED", "PROCESSING", *completed, status]


@pytest.mark.parametrize("name", ORDERS)
def test_transfer_ends_the_same_after_a_failure_at_any_query(acme, payer, coins, name):
    order, status, change = ORDERS[name]
    wallet = coins if name == "a payment" else payer
    with rails.recorded_outcomes():
        for number in itertools.count(1):
            before = balance_of(wallet)
            failure = FailAt(number, OperationalError("connection lost"))
            transfer = order(payer, coins)
            run_worker(acme, failure)
            rails.settle(acme, seconds=90)
            rails.settle(acme, seconds=90)

            assert stored(transfer).status == status, failure.statement
            assert balance_of(wallet) - before == change, failure.statement
            assert recorded_steps(transfer) == expected_steps(status), failure.statement
            if not failure.statement:
                break
    assert_books_balance()
    assert number > 20


@pytest.mark.parametrize("name", ["a withdrawal", "a deposit", "a payment"])
def test_failure_while_creating_a_transfer_leaves_no_change(acme, payer, coins, name):
    before = everything()
    order = {
        "a withdrawal": lambda: rails.withdraw(payer),
        "a deposit": lambda: rails.deposit(payer),
        "a payment": lambda: rails.expect(coins),
    }[name]
    for number in itertools.count(1):
        failure = FailAt(number, RuntimeError("a bug"))
        with connection.execute_wrapper(failure), suppress(RuntimeError):
            order()
        if not failure.statement:
            break
        assert everything() == before, failure.statement
    assert number > 2


class Killed(BaseException):
    """The worker process dies: no except clause handles it."""


class KillingRail(Simulator):
    """A rail whose n-th call kills the worker, before or after the call."""

    def __init__(self, number: int, *, after: bool):
        self.calls_left, self.after = number, after

    def submit(self, order):
        return self._call(super().submit, order)

    def poll(self, order_id):
        return self._call(super().poll, order_id)

    def cancel(self, order):
        return self._call(super().cancel, order)

    def _call(self, method, *arguments):
        self.calls_left -= 1
        if not self.calls_left and not self.after:
            raise Killed
        result = method(*arguments)
        if not self.calls_left:
            raise Killed
        return result


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after it"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("name", ORDERS)
def test_transfer_ends_the_same_after_a_kill_at_a_call(acme, payer, coins, name, number, after):
    order, status, change = ORDERS[name]
    wallet = coins if name == "a payment" else payer
    before = balance_of(wallet)
    with rails.recorded_outcomes():
        transfer = order(payer, coins)
        with rails.rail(KillingRail(number, after=after)):
            for seconds in (0, 5, 60):
                if seconds:
                    rails.advance(acme, seconds=seconds)
                with suppress(Killed):
                    rails.sweep()
        rails.settle(acme, seconds=90)
        rails.settle(acme, seconds=90)

    assert stored(transfer).status == status
    assert balance_of(wallet) - before == change
    assert recorded_steps(transfer) == expected_steps(status)
    assert abs(sum((entry.amount for entry in SimulatorEntry.objects.all()), Decimal(0))) <= 25
