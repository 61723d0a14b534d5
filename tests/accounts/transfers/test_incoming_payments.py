"""Payments to an address of ours: exact, partial, excess, late and on a wrong chain."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.ledger import journal
from accounts.transfers import ethereum
from accounts.transfers.models import IncomingPayment, SimulatorEntry, Transfer
from accounts.transfers.rails.simulator import Simulator, pay_address
from accounts.transfers.services import worker
from accounts.wallets import services as wallets
from tests import world
from tests.accounts import rails
from tests.accounts.rails import PURPOSE, stored
from tests.world import balance_of, events_of
from wallgent import clock
from wallgent.errors import InvalidState, NotAvailable, ValidationError

pytestmark = pytest.mark.django_db


@pytest.fixture
def coins(acme):
    return world.make_wallet(acme, "Coins", currency="USDC")


@pytest.fixture
def outcomes(db):
    """The outcomes the handler was called with, each with the amount of its payment."""
    outcomes = []

    def handle(transfer, outcome, *, actor):
        payment = getattr(transfer, "incoming_payment", None)
        outcomes.append((str(outcome), f"{payment.amount:.0f}" if payment else None))

    with rails.handler(handle):
        yield outcomes


@pytest.fixture
def expected(coins, outcomes):
    """A transfer of 25 that expires in an hour, with its address watched by the rail."""
    expires_at = clock.now(coins) + timedelta(hours=1)
    transfer = rails.expect(coins, "25", purpose=PURPOSE, expires_at=expires_at)
    rails.sweep()
    return transfer


@pytest.fixture
def pay(expected, django_capture_on_commit_callbacks):
    """Return a function that pays to the address and delivers the rail's event."""

    def pay(amount, chain="ethereum", to=expected):
        with django_capture_on_commit_callbacks(execute=True):
            pay_address(to.address, Decimal(amount), chain)
        rails.sweep()

    return pay


def kinds() -> list[tuple[str, Decimal]]:
    return list(IncomingPayment.objects.order_by("pk").values_list("kind", "amount"))


def test_each_transfer_has_its_own_address(coins):
    first, second = rails.expect(coins), rails.expect(coins)
    assert ethereum.is_address(first.address)
    assert first.address != second.address
    assert (first.status, first.chain, first.rail_type) == ("PENDING", "ethereum", "USDC")
    assert first.deadline_at > clock.now(coins)


def test_exact_payment_completes_the_transfer(acme, expected, pay, coins, outcomes):
    assert stored(expected).status == "PROCESSING"
    pay("25")

    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("COMPLETED", 25, 25)
    assert kinds() == [("EXACT", 25)]
    assert outcomes == [("COMPLETED", "25")]
    assert transfer.transaction_id == transfer.incoming_payments.get().transaction_id
    [event] = events_of(acme, "transfer.completed")
    assert event.data["transactionId"] == transfer.transaction_id
    assert len(events_of(acme, "wallet.funded")) == 1


def test_partial_payment_is_credited_and_the_rest_still_expected(expected, pay, coins, outcomes):
    pay("10")
    transfer = stored(expected)
    assert (transfer.status, transfer.missing, balance_of(coins)) == ("PROCESSING", 15, 10)

    pay("15")
    transfer = stored(expected)
    assert (transfer.status, transfer.missing, balance_of(coins)) == ("COMPLETED", 0, 25)
    assert kinds() == [("PARTIAL", 10), ("EXACT", 15)]
    assert outcomes == [("PARTIAL", "10"), ("COMPLETED", "15")]


def test_excess_payment_is_credited_and_reported(expected, pay, coins, outcomes):
    pay("30")
    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("COMPLETED", 30, 30)
    assert outcomes == [("COMPLETED", "30"), ("EXCESS", "30")]

    pay("25")  # a second payment
    assert balance_of(coins) == 55
    assert kinds() == [("EXCESS", 30), ("EXCESS", 25)]
    assert outcomes[2:] == [("EXCESS", "25")]


def test_payments_beyond_the_wallet_limit_are_counted(expected, pay, coins):
    for _ in range(3):
        pay("999999999999")

    assert stored(expected).received == 3 * Decimal(999_999_999_999)
    assert balance_of(coins) == 999_999_999_999  # the wallet cannot hold more
    assert journal.roll_up() > 0


def test_late_payment_is_credited_without_completing_the_transfer(
    acme, expected, pay, coins, outcomes
):
    pay("10")
    rails.settle(acme, seconds=3601)
    transfer = stored(expected)
    assert (transfer.status, transfer.failure_code) == ("FAILED", "EXPIRED")

    pay("15")
    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("FAILED", 10, 25)
    assert kinds() == [("PARTIAL", 10), ("LATE", 15)]
    assert outcomes == [("PARTIAL", "10"), ("FAILED", None), ("LATE", "15")]


def test_payment_after_the_deadline_is_late_even_before_the_transfer_failed(
    acme, expected, coins, outcomes
):
    rails.advance(acme, seconds=3601)
    pay_address(expected.address, Decimal(25))
    rails.sweep()

    assert stored(expected).status == "FAILED"
    assert sorted(outcomes) == [("FAILED", "25"), ("LATE", "25")]
    assert balance_of(coins) == 25


def test_payment_before_the_deadline_counts_even_if_checked_later(acme, expected, coins, outcomes):
    pay_address(expected.address, Decimal(25))
    rails.settle(acme, seconds=7200)
    rails.advance(acme, seconds=1)
    assert stored(expected).status == "COMPLETED"
    assert outcomes == [("COMPLETED", "25")]


def test_payment_on_a_wrong_chain_is_recorded_and_not_credited(expected, pay, coins, outcomes):
    pay("25", chain="Base")

    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("PROCESSING", 0, 0)
    assert kinds() == [("WRONG_CHAIN", 25)]
    assert outcomes == [("WRONG_CHAIN", "25")]
    assert transfer.incoming_payments.get().chain == "base"
    assert not SimulatorEntry.objects.exists()

    pay("25")
    assert stored(expected).status == "COMPLETED"


def test_chain_name_is_case_insensitive(expected, pay):
    pay("25", chain="ETHEREUM")
    assert stored(expected).status == "COMPLETED"


def test_payment_reported_again_is_counted_once(acme, expected, pay, coins):
    pay("10")
    for _ in range(3):
        worker.on_rail_event(Simulator.name, {"address": expected.address})
        rails.settle(acme)
    assert balance_of(coins) == 10
    assert len(kinds()) == 1


def test_payment_before_the_rail_watched_the_address_is_found(acme, coins, outcomes):
    transfer = rails.expect(coins, "25", purpose=PURPOSE)
    pay_address(transfer.address, Decimal(25))
    rails.settle(acme)

    assert stored(transfer).status == "COMPLETED"
    assert outcomes == [("COMPLETED", "25")]


def test_late_payment_is_found_without_an_event(acme, expected, coins, outcomes):
    rails.settle(acme, seconds=3601)
    pay_address(expected.address, Decimal(5))  # without its event
    rails.settle(acme, seconds=3600)

    assert balance_of(coins) == 5
    assert outcomes[-1] == ("LATE", "5")


def test_late_checks_become_rarer_and_stop_after_30_days(acme, expected):
    rails.settle(acme, seconds=3601)
    hours = []
    transfer = stored(expected)
    while (row := rails.row_of(expected)) and len(hours) < 60:
        pause = (row.due_at - row.now).total_seconds()
        hours.append(round(pause / 3600, 2))
        rails.advance(acme, seconds=pause + 1)
        rails.sweep()
    assert (hours[0], hours[-1], hours) == (1, 24, sorted(hours))
    assert 30 < len(hours) < 50
    assert clock.now(stored(expected)) - transfer.deadline_at >= timedelta(days=30)


def test_withdrawal_to_our_address_does_not_set_the_clock_of_its_payments(acme, globex, coins):
    transfer = rails.expect(coins, "25")
    theirs = world.make_wallet(globex, "Coins", currency="USDC", funds="10")
    rails.advance(globex, days=300)
    out = {"rail_type": "USDC", "destination": rails.Address(transfer.address)}
    rails.process(
        rails.withdraw(theirs, "1", **out)
    )  # the first order at the rail with this address
    rails.sweep()

    assert rails.pay(transfer, "25").paid_at < transfer.deadline_at
    rails.settle(acme)
    assert stored(transfer).status == "COMPLETED"


def test_recorded_payments_add_no_queries(expected, pay):
    for _ in range(3):
        pay("1")
    before = count_queries(expected)
    for _ in range(5):
        pay("1")
    assert count_queries(expected) == before


def count_queries(transfer) -> int:
    worker.check_now(stored(transfer))
    with CaptureQueriesContext(connection) as queries:
        rails.work()
    return len(queries)


def test_event_of_an_unknown_address_is_ignored(expected, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        pay_address("0x52908400098527886E0F7030069857D2E4169EE7", Decimal(5))
    rails.sweep()
    assert kinds() == []


def test_payment_after_cancellation_is_credited_as_late(acme, expected, pay, coins, outcomes):
    pay("10")
    rails.cancel(expected)
    rails.sweep()
    assert stored(expected).status == "CANCELLED"

    pay("15")
    assert (stored(expected).status, balance_of(coins)) == ("CANCELLED", 25)
    assert outcomes == [("PARTIAL", "10"), ("CANCELLED", None), ("LATE", "15")]


def test_address_is_watched_even_if_canceled_before_submission(acme, coins, outcomes):
    transfer = rails.expect(coins, "25", purpose=PURPOSE)
    rails.cancel(transfer)
    rails.sweep()
    assert stored(transfer).status == "CANCELLED"

    pay_address(transfer.address, Decimal(25))
    rails.settle(acme, seconds=3600)
    assert (kinds(), balance_of(coins)) == ([("LATE", 25)], 25)


def test_payment_before_the_rail_cancels_completes_the_transfer(expected, coins, outcomes):
    rails.cancel(expected)
    pay_address(expected.address, Decimal(25))
    rails.sweep()

    assert stored(expected).status == "COMPLETED"
    assert outcomes == [("COMPLETED", "25")]


def test_payment_for_a_closed_wallet_goes_into_suspense(acme, expected, pay, coins):
    wallets.close(coins, actor=world.actor_for(acme))
    pay("25")
    assert stored(expected).status == "COMPLETED"
    assert events_of(acme, "wallet.funded") == []


def test_payment_is_converted_to_dollars_if_allowed(wallet):
    transfer = rails.expect(wallet, "25", may_convert=True)
    rails.sweep()
    rails.pay(transfer, "25")
    rails.advance(wallet.organization, seconds=5)
    rails.sweep()

    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", 25)
    assert SimulatorEntry.objects.get().currency == "USDC"


def test_wrong_chain_production_and_closed_wallet_are_refused(acme, coins, live_wallet):
    with pytest.raises(ValidationError):
        rails.expect(coins, chain="solana")
    with pytest.raises(NotAvailable):
        rails.expect(live_wallet, may_convert=True)
    wallets.close(coins, actor=world.actor_for(acme))
    coins.account.refresh_from_db()
    with pytest.raises(InvalidState):
        rails.expect(coins)
    assert not Transfer.objects.exists()


def test_handler_is_called_once_when_an_unpaid_transfer_expires(acme, expected, outcomes):
    for _ in range(3):
        rails.settle(acme, seconds=3601)
    assert outcomes == [("FAILED", None)]
