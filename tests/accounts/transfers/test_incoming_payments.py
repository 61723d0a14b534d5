"""USDC that is waited for: whole, in parts, too much, too late, on a wrong chain."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.ledger import journal
from accounts.transfers import ethereum
from accounts.transfers.models import IncomingPayment, SimulatorEntry, Transfer
from accounts.transfers.rails.simulator import Simulator, pay_address
from accounts.transfers.services import orders, worker
from accounts.wallets import services as wallets
from tests import world
from tests.accounts import rails
from tests.accounts.rails import PURPOSE, stored
from tests.world import balance_of, facts_of
from wallgent import clock
from wallgent.errors import InvalidState, NotAvailable, ValidationError

pytestmark = pytest.mark.django_db


@pytest.fixture
def coins(acme):
    return world.make_wallet(acme, "Coins", currency="USDC")


@pytest.fixture
def heard(db):
    """What the purpose was told: the outcome, and which payment it was about."""
    told = []

    def handle(transfer, outcome, *, actor):
        arrived = getattr(transfer, "arrived", None)
        told.append((str(outcome), f"{arrived.amount:.0f}" if arrived else None))

    with rails.handler(handle):
        yield told


@pytest.fixture
def expected(coins, heard):
    """25 expected within an hour, and the rail watching."""
    expires_at = clock.now(coins) + timedelta(hours=1)
    transfer = rails.expect(coins, "25", purpose=PURPOSE, expires_at=expires_at)
    rails.sweep()
    return transfer


@pytest.fixture
def pay(expected, django_capture_on_commit_callbacks):
    """Sends so much to the address, and lets the rail tell."""

    def pay(amount, chain="ethereum", to=expected):
        with django_capture_on_commit_callbacks(execute=True):
            pay_address(to.address, Decimal(amount), chain)
        rails.sweep()

    return pay


def kinds() -> list[tuple[str, Decimal]]:
    return list(IncomingPayment.objects.order_by("pk").values_list("kind", "amount"))


def test_each_has_an_address_of_its_own(coins):
    one, other = rails.expect(coins), rails.expect(coins)
    assert ethereum.is_address(one.address)
    assert one.address != other.address
    assert (one.status, one.chain, one.rail_type) == ("PENDING", "ethereum", "USDC")
    assert one.deadline_at > clock.now(coins)


def test_exactly_what_was_asked_for_completes_it(acme, expected, pay, coins, heard):
    assert stored(expected).status == "PROCESSING"
    pay("25")

    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("COMPLETED", 25, 25)
    assert kinds() == [("EXACT", 25)]
    assert heard == [("COMPLETED", "25")]
    assert transfer.transaction_id == transfer.incoming_payments.get().transaction_id
    [event] = facts_of(acme, "transfer.completed")
    assert event.data["transactionId"] == transfer.transaction_id
    assert len(facts_of(acme, "wallet.funded")) == 1


def test_parts_are_credited_and_the_rest_waited_for(expected, pay, coins, heard):
    pay("10")
    transfer = stored(expected)
    assert (transfer.status, transfer.missing, balance_of(coins)) == ("PROCESSING", 15, 10)

    pay("15")
    transfer = stored(expected)
    assert (transfer.status, transfer.missing, balance_of(coins)) == ("COMPLETED", 0, 25)
    assert kinds() == [("PARTIAL", 10), ("EXACT", 15)]
    assert heard == [("PARTIAL", "10"), ("COMPLETED", "15")]


def test_too_much_is_credited_and_said(expected, pay, coins, heard):
    pay("30")
    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("COMPLETED", 30, 30)
    assert heard == [("COMPLETED", "30"), ("EXCESS", "30")]

    pay("25")  # the same again
    assert balance_of(coins) == 55
    assert kinds() == [("EXCESS", 30), ("EXCESS", 25)]
    assert heard[2:] == [("EXCESS", "25")]


def test_far_too_much_is_counted_all_the_same(expected, pay, coins):
    for _ in range(3):
        pay("999999999999")

    assert stored(expected).received == 3 * Decimal(999_999_999_999)
    assert balance_of(coins) == 999_999_999_999  # it cannot hold more
    assert journal.roll() > 0


def test_too_late_is_credited_and_completes_nothing(acme, expected, pay, coins, heard):
    pay("10")
    rails.settle(acme, seconds=3601)
    transfer = stored(expected)
    assert (transfer.status, transfer.failure_code) == ("FAILED", "EXPIRED")

    pay("15")
    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("FAILED", 10, 25)
    assert kinds() == [("PARTIAL", 10), ("LATE", 15)]
    assert heard == [("PARTIAL", "10"), ("FAILED", None), ("LATE", "15")]


def test_late_before_anybody_looked_is_late_all_the_same(acme, expected, coins, heard):
    rails.advance(acme, seconds=3601)
    pay_address(expected.address, Decimal(25))
    rails.sweep()

    assert stored(expected).status == "FAILED"
    assert sorted(heard) == [("FAILED", "25"), ("LATE", "25")]
    assert balance_of(coins) == 25


def test_in_time_though_nobody_looked_before_the_end_is_in_time(acme, expected, coins, heard):
    pay_address(expected.address, Decimal(25))
    rails.settle(acme, seconds=7200)
    rails.advance(acme, seconds=1)
    assert stored(expected).status == "COMPLETED"
    assert heard == [("COMPLETED", "25")]


def test_on_a_wrong_chain_is_written_down_and_not_credited(expected, pay, coins, heard):
    pay("25", chain="Base")

    transfer = stored(expected)
    assert (transfer.status, transfer.received, balance_of(coins)) == ("PROCESSING", 0, 0)
    assert kinds() == [("WRONG_CHAIN", 25)]
    assert heard == [("WRONG_CHAIN", "25")]
    assert transfer.incoming_payments.get().chain == "base"
    assert not SimulatorEntry.objects.exists()

    pay("25")
    assert stored(expected).status == "COMPLETED"


def test_the_chain_is_told_in_any_case(expected, pay):
    pay("25", chain="ETHEREUM")
    assert stored(expected).status == "COMPLETED"


def test_what_is_told_again_is_counted_once(acme, expected, pay, coins):
    pay("10")
    for _ in range(3):
        worker.on_rail_event(Simulator.name, {"address": expected.address})
        rails.settle(acme)
    assert balance_of(coins) == 10
    assert len(kinds()) == 1


def test_what_came_before_the_rail_watched_is_found(acme, coins, heard):
    transfer = rails.expect(coins, "25", purpose=PURPOSE)
    pay_address(transfer.address, Decimal(25))
    rails.settle(acme)

    assert stored(transfer).status == "COMPLETED"
    assert heard == [("COMPLETED", "25")]


def test_what_nobody_told_of_is_found_even_long_after(acme, expected, coins, heard):
    rails.settle(acme, seconds=3601)
    pay_address(expected.address, Decimal(5))  # and the event is lost
    rails.settle(acme, seconds=3600)

    assert balance_of(coins) == 5
    assert heard[-1] == ("LATE", "5")


def test_nobody_looks_for_ever_nor_ever_more_often(acme, expected):
    rails.settle(acme, seconds=3601)
    hours = []
    while (transfer := stored(expected)).next_attempt_at and len(hours) < 60:
        pause = (transfer.next_attempt_at - clock.now(transfer)).total_seconds()
        hours.append(round(pause / 3600, 2))
        rails.advance(acme, seconds=pause + 1)
        rails.sweep()
    assert (hours[0], hours[-1], hours) == (1, 24, sorted(hours))
    assert 30 < len(hours) < 50
    assert clock.now(stored(expected)) - transfer.deadline_at >= timedelta(days=30)


def test_who_pays_to_an_address_over_a_rail_does_not_set_its_clock(acme, globex, coins):
    transfer = rails.expect(coins, "25")
    theirs = world.make_wallet(globex, "Coins", currency="USDC", funds="10")
    rails.advance(globex, days=300)
    out = {"rail_type": "USDC", "destination": rails.Address(transfer.address)}
    worker.attend(rails.withdraw(theirs, "1", **out).id)  # the rail's first at the address
    rails.sweep()

    assert pay_address(transfer.address, Decimal(25)).paid_at < transfer.deadline_at
    rails.settle(acme)
    assert stored(transfer).status == "COMPLETED"


def test_payments_written_down_already_cost_no_more_questions(expected, pay):
    for _ in range(3):
        pay("1")
    few = count_queries(expected)
    for _ in range(5):
        pay("1")
    assert count_queries(expected) == few


def count_queries(transfer) -> int:
    worker.check_now(stored(transfer))
    with CaptureQueriesContext(connection) as asked:
        worker.attend(transfer.id)
    return len(asked)


def test_an_event_about_a_strange_address_is_nothing(expected, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        pay_address("0x52908400098527886E0F7030069857D2E4169EE7", Decimal(5))
    rails.sweep()
    assert kinds() == []


def test_cancelled_it_still_tells_what_came(acme, expected, pay, coins, heard):
    pay("10")
    rails.cancel(expected)
    rails.sweep()
    assert stored(expected).status == "CANCELLED"

    pay("15")
    assert (stored(expected).status, balance_of(coins)) == ("CANCELLED", 25)
    assert heard == [("PARTIAL", "10"), ("CANCELLED", None), ("LATE", "15")]


def test_cancelled_before_the_rail_knew_its_address_is_watched_all_the_same(acme, coins, heard):
    transfer = rails.expect(coins, "25", purpose=PURPOSE)
    rails.cancel(transfer)
    rails.sweep()
    assert stored(transfer).status == "CANCELLED"

    pay_address(transfer.address, Decimal(25))
    rails.settle(acme, seconds=3600)
    assert (kinds(), balance_of(coins)) == ([("LATE", 25)], 25)


def test_paid_while_it_was_cancelled_is_paid(expected, coins, heard):
    rails.cancel(expected)
    pay_address(expected.address, Decimal(25))
    rails.sweep()

    assert stored(expected).status == "COMPLETED"
    assert heard == [("COMPLETED", "25")]


def test_into_a_wallet_closed_meanwhile_waits_in_suspense(acme, expected, pay, coins):
    wallets.close(coins, actor=world.actor_for(acme))
    pay("25")
    assert stored(expected).status == "COMPLETED"
    assert facts_of(acme, "wallet.funded") == []


def test_into_dollars_is_converted_where_that_is_allowed(wallet):
    transfer = rails.expect(wallet, "25", may_convert=True)
    rails.sweep()
    pay_address(transfer.address, Decimal(25))
    rails.advance(wallet.organization, seconds=5)
    rails.sweep()

    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", 25)
    assert SimulatorEntry.objects.get().currency == "USDC"


def test_what_cannot_be_expected(acme, coins, live_wallet):
    with pytest.raises(ValidationError):
        rails.expect(coins, chain="solana")
    with pytest.raises(NotAvailable):
        rails.expect(live_wallet, may_convert=True)
    wallets.close(coins, actor=world.actor_for(acme))
    coins.account.refresh_from_db()
    with pytest.raises(InvalidState):
        rails.expect(coins)
    assert not Transfer.objects.exists()


def test_the_end_of_an_unpaid_one_is_told_once(acme, expected, heard):
    for _ in range(3):
        rails.settle(acme, seconds=3601)
    assert heard == [("FAILED", None)]
    assert orders.Outcome.FAILED == "FAILED"
