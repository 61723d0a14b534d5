"""Concurrent workers, cancellations and rail reports, with real commits: money moves once."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.organizations.services import organizations
from accounts.transfers.models import (
    IncomingPayment,
    SimulatorEntry,
    SimulatorOrder,
    Suspended,
    Transfer,
)
from accounts.transfers.rails import simulator
from accounts.transfers.rails.simulator import pay_address
from accounts.transfers.services import suspense, worker
from accounts.wallets import services as wallets
from accounts.wallets.errors import InsufficientFunds
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.rails import PURPOSE, stored
from tests.world import assert_books_balance, balance_of, events_of, in_parallel
from wallgent.errors import InvalidState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def payer(wallet):
    world.fund(wallet, "100")
    return Wallet.objects.get(pk=wallet.pk)


def process(transfer, *, times: int = 4) -> None:
    for _ in range(times):
        worker.check_now(Transfer.objects.select_related("organization").get(pk=transfer.pk))
        rails.work()


@pytest.mark.parametrize("order", [rails.withdraw, rails.deposit])
def test_concurrent_workers_move_a_transfer_once(acme, payer, order):
    transfer = order(payer)
    in_parallel(6, lambda n: process(transfer))
    rails.advance(acme, seconds=5)
    in_parallel(6, lambda n: process(transfer))

    assert stored(transfer).status == "COMPLETED"
    assert balance_of(payer) == (75 if order is rails.withdraw else 125)
    assert SimulatorOrder.objects.count() == SimulatorEntry.objects.count() == 1
    assert len(events_of(acme, "transfer.completed")) == 1


def test_return_is_posted_once(acme, payer):
    transfer = rails.withdraw(payer, fault=fault_number("R10"))
    rails.settle(acme)
    rails.advance(acme, seconds=15)
    in_parallel(6, lambda n: process(transfer))

    assert (stored(transfer).status, balance_of(payer)) == ("RETURNED", 100)
    assert len(events_of(acme, "transfer.returned")) == 1


def test_concurrent_withdrawals_cannot_overdraw(payer):
    def withdraw(number):
        with suppress(InsufficientFunds):
            return rails.withdraw(payer, "40")

    transfers = [transfer for transfer in in_parallel(6, withdraw) if transfer]
    assert len(transfers) == 2


def test_concurrent_cancellation_and_processing_agree(acme, payer):
    for _ in range(6):
        transfer = rails.withdraw(payer, "1")

        def work(number, transfer=transfer):
            if number:
                return process(transfer)
            with suppress(InvalidState):
                rails.cancel(transfer)

        in_parallel(3, work)
        rails.settle(acme)
        moved = SimulatorEntry.objects.filter(order__reference=rails.uuid_of(transfer)).exists()
        assert stored(transfer).status == ("COMPLETED" if moved else "CANCELLED")


def test_cancellation_locks_parents_before_the_transfer(payer):
    """As processing does: in another order, the two could deadlock."""

    def lock(transfer):
        Wallet.objects.select_for_update(no_key=True).get(pk=transfer.wallet_id)

    with rails.handler(lambda transfer, outcome, actor: lock(transfer), lock=lock):
        transfer = rails.withdraw(payer, "1", purpose=PURPOSE)
        with CaptureQueriesContext(connection) as queries:
            rails.cancel(transfer)

    locking = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    assert 'FROM "accounts_wallet"' in locking[0]
    assert 'FROM "accounts_transfer"' in locking[1]


def test_concurrent_payments_are_each_counted_once(acme):
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    transfer = rails.expect(coins, "25")
    rails.sweep()

    def work(number):
        pay_address(transfer.address, Decimal(5))
        process(transfer, times=2)

    in_parallel(6, work)
    rails.settle(acme, seconds=60)
    assert (stored(transfer).status, balance_of(coins)) == ("COMPLETED", 30)
    assert IncomingPayment.objects.count() == 6


def test_concurrent_deposit_and_closing_of_its_wallet(acme, wallet):
    for _ in range(4):
        target = world.make_wallet(acme, "Short-lived")
        transfer = rails.deposit(target)
        rails.sweep()
        rails.advance(acme, seconds=5)

        def work(number, target=target, transfer=transfer):
            if number:
                return process(transfer, times=1)
            with suppress(InvalidState):
                wallets.close(target, actor=world.actor_for(acme))

        in_parallel(2, work)
        rails.settle(acme)
        is_closed = Wallet.objects.get(pk=target.pk).status == "CLOSED"
        assert stored(transfer).status == "COMPLETED"
        assert balance_of(target) == (0 if is_closed else 25)


def test_concurrent_payout_and_return_take_suspended_money_once(acme, wallet, savings):
    transfer = rails.deposit(wallet, fault=fault_number("R10"))
    wallets.close(wallet, actor=world.actor_for(acme))
    rails.settle(acme)
    suspended = transfer.suspended.get()
    rails.advance(acme, seconds=15)  # the bank returns the deposit

    def work(number):
        if not number:
            return process(transfer)
        with suppress(InvalidState), transaction.atomic():
            actor = world.actor_for(acme)
            suspense.pay_out(suspended, actor=actor, wallet_id=savings.id)

    in_parallel(4, work)
    assert stored(transfer).status == "RETURNED"
    assert (balance_of(savings), Suspended.objects.waiting().count()) == (0, 0)
    assert_books_balance()


def test_purpose_that_locks_its_rows_first_does_not_deadlock(acme, payer):
    """As payment links do: their own row, then the transfer, then balances."""

    def lock(transfer):
        Wallet.objects.locked(payer.pk)

    def handle(transfer, outcome, *, actor):
        Wallet.objects.locked(payer.pk).save(update_fields=["updated_at"])

    with rails.handler(handle, lock=lock):
        for _ in range(4):
            rails.withdraw(payer, "1", purpose=PURPOSE)
        rails.sweep()
        rails.advance(acme, seconds=5)

        def work(number):
            if number < 4:
                return rails.work()
            with transaction.atomic():
                Wallet.objects.locked(payer.pk)
                rails.withdraw(payer, "1", purpose=PURPOSE)

        in_parallel(8, work)
        rails.settle(acme)
    assert {transfer.status for transfer in Transfer.objects.all()} == {"COMPLETED"}
    assert balance_of(payer) == 92


def test_concurrent_clock_advances_add_up(acme):
    def move(number):
        actor = world.actor_for(acme)
        organizations.advance_clock(acme, actor=actor, by=timedelta(hours=1))

    in_parallel(5, move)
    acme.refresh_from_db()
    assert acme.sandbox_offset == timedelta(hours=5)
    assert [event.data["aheadSeconds"] for event in events_of(acme, "sandbox.clock_advanced")] != []
    assert_books_balance()


def fault_number(code: str) -> int:
    return next(number for number, fault in simulator.FAULTS.items() if fault.code == code)
