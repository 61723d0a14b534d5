"""Rails that fail, are late, time out or repeat reports: money moves once or not at all."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import transaction

from accounts.transfers.models import SimulatorEntry, SimulatorOrder, Transfer
from accounts.transfers.rails import simulator
from accounts.transfers.rails.base import RailTimeout, Report, State
from accounts.transfers.services import worker
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.rails import PURPOSE, stored
from tests.world import available_of, balance_of, events_of
from wallgent import clock
from wallgent.localdev.workspace import CHECKOUT

pytestmark = pytest.mark.django_db

DIRECTIONS = ("WITHDRAWAL", "DEPOSIT", "USDC")


@pytest.fixture
def payer(wallet):
    world.fund(wallet, "100")
    return Wallet.objects.get(pk=wallet.pk)


@pytest.fixture(params=DIRECTIONS)
def order(request, acme, payer):
    """Return a function that creates a transfer of 25 with a fault.

    It returns the transfer, its wallet of 100, and the balance after a completion.
    """
    if request.param == "USDC":
        coins = world.make_wallet(acme, "Coins", currency="USDC", funds="100")
        return lambda fault: (rails.withdraw(coins, fault=fault, rail_type="USDC"), coins, 75)
    if request.param == "DEPOSIT":
        return lambda fault: (rails.deposit(payer, fault=fault), payer, 125)
    return lambda fault: (rails.withdraw(payer, fault=fault), payer, 75)


def settle_until_ended(transfer, *, minutes: int = 3) -> Transfer:
    for _ in range(minutes * 6):
        rails.settle(transfer.organization, seconds=10)
        if not stored(transfer).is_open:
            break
    return stored(transfer)


def balance_at_rails() -> Decimal:
    return sum((entry.amount for entry in SimulatorEntry.objects.all()), Decimal(0))


@pytest.mark.parametrize(("fault", "code"), [(1, "R01"), (2, "R02"), (3, "R03")])
def test_failed_transfer_releases_the_money(acme, order, fault, code):
    transfer, wallet, _ = order(fault)
    transfer = settle_until_ended(transfer)

    assert (transfer.status, transfer.failure_code) == ("FAILED", code)
    assert transfer.failure_reason == f"Simulated: {simulator.FAULTS[fault].description}."
    assert (available_of(wallet), balance_at_rails(), rails.row_of(transfer)) == (100, 0, None)
    [event] = events_of(acme, "transfer.failed")
    assert event.data["failureCode"] == code
    assert event.data["failureReason"] == transfer.failure_reason


def test_return_reverses_a_completed_transfer(acme, order):
    transfer, wallet, expected_balance = order(10)
    rails.settle(acme)
    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", expected_balance)

    rails.settle(acme, seconds=10)
    transfer = stored(transfer)
    assert (transfer.status, transfer.failure_code) == ("RETURNED", "R10")
    assert (available_of(wallet), balance_at_rails(), rails.row_of(transfer)) == (100, 0, None)


def test_delayed_transfer_completes_later(acme, order):
    transfer, wallet, expected_balance = order(simulator.DELAYED)
    rails.settle(acme, seconds=30)
    assert stored(transfer).status == "PROCESSING"

    rails.settle(acme, seconds=60)
    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", expected_balance)


@pytest.mark.parametrize(
    "fault",
    [simulator.ANSWER_LOST, simulator.ORDER_LOST, simulator.POLLS_LOST, simulator.REPEATED],
)
def test_timeouts_and_repeated_reports_move_money_once(acme, order, fault):
    transfer, wallet, expected_balance = order(fault)
    transfer = settle_until_ended(transfer)
    rails.settle(acme, seconds=3600)

    transfer = stored(transfer)
    assert (transfer.status, balance_of(wallet)) == ("COMPLETED", expected_balance)
    assert abs(balance_at_rails()) == 25
    assert (SimulatorOrder.objects.count(), rails.row_of(transfer)) == (1, None)
    assert len(events_of(acme, "transfer.completed")) == 1


def test_money_stays_held_after_a_timeout(acme, payer):
    for fault in (simulator.ANSWER_LOST, simulator.ORDER_LOST):
        transfer = rails.withdraw(payer, "10", fault=fault)
        rails.sweep()
        assert stored(transfer).status == "PROCESSING"
    assert available_of(payer) == 80


def test_stuck_order_is_canceled_at_its_deadline(acme, order):
    transfer, wallet, _ = order(simulator.STUCK)
    pending = settle_until_ended(transfer, minutes=14)
    assert pending.status == "PROCESSING"

    transfer = settle_until_ended(transfer, minutes=2)
    assert (transfer.status, transfer.failure_code) == ("FAILED", "EXPIRED")
    assert (available_of(wallet), balance_at_rails()) == (100, 0)


def test_transfer_completed_before_a_late_check_stays_completed(acme, order):
    transfer, wallet, expected_balance = order(0)
    rails.sweep()
    rails.advance(acme, days=400)
    rails.sweep()

    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", expected_balance)


class TimeoutRail(simulator.Simulator):
    """A rail that never answers: it receives the calls, or loses them."""

    def __init__(self, *, loses_calls: bool = False):
        self.loses_calls = loses_calls

    def _time_out(self, method, *arguments):
        if not self.loses_calls:
            method(*arguments)
        raise RailTimeout("no answer")

    def submit(self, order):
        self._time_out(super().submit, order)

    def poll(self, order_id):
        self._time_out(super().poll, order_id)

    def cancel(self, order):
        self._time_out(super().cancel, order)


@pytest.mark.parametrize("loses_calls", [True, False])
def test_transfer_completes_after_a_long_outage_of_its_rail(acme, order, loses_calls):
    transfer, wallet, expected_balance = order(0)
    with rails.rail(TimeoutRail(loses_calls=loses_calls)):
        for _ in range(5):
            rails.settle(acme, seconds=60)
        assert stored(transfer).status == "PROCESSING"
        assert balance_of(wallet) == 100

    transfer = settle_until_ended(transfer)
    assert (transfer.status, balance_of(wallet)) == ("COMPLETED", expected_balance)
    assert abs(balance_at_rails()) == 25


@pytest.mark.parametrize("loses_calls", [True, False])
def test_money_stays_held_during_an_outage_past_the_deadline(acme, payer, loses_calls):
    transfer = rails.withdraw(payer)
    with rails.rail(TimeoutRail(loses_calls=loses_calls)):
        for _ in range(20):
            rails.settle(acme, seconds=60)
        assert (stored(transfer).status, available_of(payer)) == ("PROCESSING", 75)

    transfer = settle_until_ended(transfer)
    expected = ("FAILED", 100) if loses_calls else ("COMPLETED", 75)
    assert (transfer.status, available_of(payer)) == expected


class ScriptedRail(simulator.Simulator):
    """A rail that answers with the given reports in order."""

    def __init__(self, *reports: Report):
        self.reports = list(reports)

    def submit(self, order):
        return self.reports.pop(0)

    def poll(self, order_id):
        return self.reports.pop(0) if self.reports else None

    def cancel(self, order):
        return self.reports.pop(0)


def report(state: State, **more) -> Report:
    return Report(state=state, external_id="bank-1", **more)


def test_failure_reported_after_completion_is_a_return(acme, payer):
    scripted = ScriptedRail(
        report(State.ACCEPTED),
        report(State.COMPLETED),
        report(State.FAILED, failure_code="R04", is_final=True),
    )
    with rails.rail(scripted), rails.recorded_outcomes() as outcomes:
        transfer = rails.withdraw(payer, purpose=PURPOSE)
        rails.sweep()
        rails.settle(acme, seconds=3)
        rails.settle(acme, seconds=3600)

    assert [outcome for _, outcome in outcomes] == ["COMPLETED", "RETURNED"]
    assert (stored(transfer).failure_code, balance_of(payer)) == ("R04", 100)


@pytest.mark.parametrize("order", [rails.withdraw, rails.deposit])
@pytest.mark.parametrize(
    ("fault", "status", "stale"),
    [
        (0, "COMPLETED", [State.ACCEPTED, State.COMPLETED]),
        (1, "FAILED", [State.ACCEPTED, State.FAILED]),
        (10, "RETURNED", [State.ACCEPTED, State.COMPLETED, State.RETURNED]),
    ],
)
def test_report_older_than_the_status_changes_nothing(acme, payer, order, fault, status, stale):
    transfer = order(payer, fault=fault)
    rails.sweep()
    row, leased = rails.row_of(transfer), stored(transfer)  # its report is slow, others are not
    settle_until_ended(transfer)
    rails.settle(acme, seconds=30)
    before = (stored(transfer).status, balance_of(payer), available_of(payer))
    assert before[0] == status

    for state in stale:
        worker._apply_report(row, leased, report(state))
        rails.settle(acme)
    assert (stored(transfer).status, balance_of(payer), available_of(payer)) == before
    assert len(events_of(acme, f"transfer.{status.lower()}")) == 1


def test_completion_of_a_canceled_transfer_is_logged(acme, payer, caplog):
    transfer = rails.withdraw(payer)
    rails.sweep()
    rails.cancel(transfer)
    row = rails.row_of(transfer)
    rails.sweep()
    leased = stored(transfer)
    assert leased.status == "CANCELLED"

    worker._apply_report(row, leased, report(State.COMPLETED, is_final=True))

    assert (stored(transfer).status, available_of(payer)) == ("CANCELLED", 100)
    assert f"transfer {transfer.id} is CANCELLED, and its rail says COMPLETED" in caplog.text


def test_order_that_stays_open_past_the_deadline_is_logged(acme, payer, caplog):
    scripted = ScriptedRail(*(report(State.ACCEPTED) for _ in range(3)))
    transfer = rails.withdraw(payer)
    with rails.rail(scripted):
        rails.sweep()
        rails.advance(acme, minutes=20)
        rails.sweep()
    assert f"transfer {transfer.id} is past its deadline" in caplog.text
    assert (stored(transfer).status, available_of(payer)) == ("PROCESSING", 75)

    rails.settle(acme, seconds=3600)
    assert stored(transfer).status == "FAILED"


@pytest.mark.parametrize("order", [rails.withdraw, rails.deposit])
def test_transfer_not_submitted_before_its_deadline_is_submitted_later(acme, payer, order, caplog):
    """The sandbox clock was advanced, or the workers were down."""
    transfers = [order(payer, "1") for _ in range(3)]
    rails.advance(acme, days=3)
    rails.settle(acme)
    assert {stored(transfer).status for transfer in transfers} == {"COMPLETED"}
    assert "past its deadline" not in caplog.text


def test_transfer_submitted_late_is_canceled_unless_it_completes(acme, payer):
    transfer = rails.withdraw(payer, fault=simulator.STUCK)
    rails.advance(acme, days=3)
    rails.settle(acme)
    assert (stored(transfer).status, stored(transfer).failure_code) == ("FAILED", "EXPIRED")


def test_next_check_of_the_rail_is_not_later_than_the_deadline(acme, payer):
    transfer = rails.withdraw(payer)
    much_later = now(acme) + timedelta(days=30)
    reports = (report(State.ACCEPTED, next_check_at=much_later) for _ in range(2))
    with rails.rail(ScriptedRail(*reports)):
        rails.sweep()
        rails.settle(acme, seconds=16 * 60)
    rails.settle(acme, seconds=60)
    assert stored(transfer).status == "FAILED"


@pytest.mark.parametrize(
    ("state", "before", "code"),
    [
        (State.FAILED, [], "FAILED"),
        (State.CANCELLED, [], "EXPIRED"),
        (State.RETURNED, [report(State.COMPLETED)], "RETURNED"),
    ],
)
def test_missing_failure_reason_has_a_default(acme, payer, state, before, code):
    reports = (report(State.ACCEPTED), *before, report(state, is_final=True))
    with rails.rail(ScriptedRail(*reports)):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.settle(acme)
        rails.settle(acme, seconds=3600)
    transfer = stored(transfer)
    assert (transfer.failure_code, available_of(payer)) == (code, 100)
    assert ("in time" in transfer.failure_reason) == (code == "EXPIRED")


def test_too_long_failure_reason_is_truncated(acme, payer):
    long_texts = {"failure_code": "R" * 99, "failure_reason": "because " * 99, "is_final": True}
    failed = Report(state=State.FAILED, external_id="b" * 999, **long_texts)
    with rails.rail(ScriptedRail(report(State.ACCEPTED), failed)):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.settle(acme)
    assert (stored(transfer).status, available_of(payer)) == ("FAILED", 100)


class TestRetryDelay:
    def test_doubles_up_to_a_minute(self, acme, payer):
        transfer = rails.withdraw(payer)
        delays = []
        with rails.rail(TimeoutRail(loses_calls=True)):
            for _ in range(9):
                rails.sweep()
                delays.append(rails.row_of(transfer).due_at - now(acme))
                rails.advance(acme, seconds=61)
        seconds = [round(delay.total_seconds()) for delay in delays]
        assert seconds == [2, 4, 8, 16, 32, 60, 60, 60, 60]

    def test_follows_only_the_clock_of_its_organization(self, acme, globex, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.advance(globex, days=10)
        rails.sweep()
        assert stored(transfer).status == "PROCESSING"


def now(organization):
    organization.refresh_from_db()
    return clock.now(world.actor_for(organization))


def test_published_numbers_are_documented():
    text = Path(CHECKOUT, "docs/sandbox.md").read_text()
    for number in simulator.FAULTS:
        assert simulator.account_number(number) in text
        assert simulator.address(number) in text


def test_calls_inside_a_transaction_are_refused(payer):
    """The simulator raises an error, as a real rail could not be rolled back."""
    transfer = rails.withdraw(payer)
    order, row = worker._order(transfer), rails.row_of(transfer)
    rail = simulator.Simulator()
    calls = (
        lambda: rail.submit(order),
        lambda: rail.poll(order.id),
        lambda: rail.cancel(order),
        lambda: worker.process_due([row]),
    )
    for call in calls:
        with pytest.raises(RuntimeError), transaction.atomic():
            call()
