"""Whatever dies, wherever it does: in the end the money has moved once, or it has not."""

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
from tests.accounts.payments.test_crashes import Strike
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


def paid(wallet):
    """USDC expected, and a payment of it on its way."""
    transfer = rails.expect(wallet, "25", purpose=PURPOSE)
    pay_address(transfer.address, Decimal(25))
    return transfer


ORDERS = {
    "a withdrawal": (lambda payer, coins: rails.withdraw(payer, purpose=PURPOSE), "COMPLETED", -25),
    "a refused one": (
        lambda payer, coins: rails.withdraw(payer, fault=1, purpose=PURPOSE),
        "FAILED",
        0,
    ),
    "a returned one": (
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
    "a payment": (lambda payer, coins: paid(coins), "COMPLETED", 25),
}


def go_on(organization, strike: Strike) -> None:
    """What a worker does for a while, and what strikes it meanwhile."""
    for seconds in (0, 5, 15):
        if seconds:
            rails.advance(organization, seconds=seconds)
        with suppress(OperationalError), connection.execute_wrapper(strike):
            rails.sweep()


def told_of(transfer) -> list[str]:
    """What was told of a transfer, in order."""
    told = Event.objects.filter(subject=transfer.id).order_by("pk").values_list("type", flat=True)
    return [type.removeprefix("transfer.").upper() for type in told]


def steps_to(status: str) -> list[str]:
    before = ["COMPLETED"] if status == "RETURNED" else []
    return ["CREATED", "PROCESSING", *before, status]


@pytest.mark.parametrize("what", ORDERS)
def test_interrupted_anywhere_it_ends_the_same(acme, payer, coins, what):
    order, status, change = ORDERS[what]
    wallet = coins if what == "a payment" else payer
    with rails.told():
        for number in itertools.count(1):
            before, strike = balance_of(wallet), Strike(number, OperationalError("connection lost"))
            transfer = order(payer, coins)
            go_on(acme, strike)
            rails.settle(acme, seconds=90)
            rails.settle(acme, seconds=90)

            assert stored(transfer).status == status, strike.struck
            assert balance_of(wallet) - before == change, strike.struck
            assert told_of(transfer) == steps_to(status), strike.struck
            if not strike.struck:
                break
    assert_books_balance()
    assert number > 20


@pytest.mark.parametrize("what", ["a withdrawal", "a deposit", "a payment"])
def test_interrupted_while_it_is_ordered_nothing_was_done(acme, payer, coins, what):
    before = everything()
    order = {
        "a withdrawal": lambda: rails.withdraw(payer),
        "a deposit": lambda: rails.deposit(payer),
        "a payment": lambda: rails.expect(coins),
    }[what]
    for number in itertools.count(1):
        strike = Strike(number, RuntimeError("a bug"))
        with connection.execute_wrapper(strike), suppress(RuntimeError):
            order()
        if not strike.struck:
            break
        assert everything() == before, strike.struck
    assert number > 2


class Killed(BaseException):
    """The worker is gone. Nothing catches it."""


class Deadly(Simulator):
    """A rail at whose calls the worker dies: before the call, or after it."""

    def __init__(self, number: int, *, after: bool):
        self.left, self.after = number, after

    def submit(self, order):
        return self._call(super().submit, order)

    def poll(self, order_id):
        return self._call(super().poll, order_id)

    def cancel(self, order):
        return self._call(super().cancel, order)

    def _call(self, work, *arguments):
        self.left -= 1
        if not self.left and not self.after:
            raise Killed
        answer = work(*arguments)
        if not self.left:
            raise Killed
        return answer


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after it"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("what", ORDERS)
def test_a_worker_killed_at_a_call_leaves_it_to_the_next(acme, payer, coins, what, number, after):
    order, status, change = ORDERS[what]
    wallet = coins if what == "a payment" else payer
    before = balance_of(wallet)
    with rails.told():
        transfer = order(payer, coins)
        with rails.rail(Deadly(number, after=after)):
            for seconds in (0, 5, 60):
                if seconds:
                    rails.advance(acme, seconds=seconds)
                with suppress(Killed):
                    rails.sweep()
        rails.settle(acme, seconds=90)
        rails.settle(acme, seconds=90)

    assert stored(transfer).status == status
    assert balance_of(wallet) - before == change
    assert told_of(transfer) == steps_to(status)
    assert abs(sum((entry.amount for entry in SimulatorEntry.objects.all()), Decimal(0))) <= 25
