"""A rail that fails, is late, falls silent or repeats itself: money moves once, or not at all."""

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
from tests.world import available_of, balance_of, facts_of
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
    """Orders 25 in a direction over a rail that misbehaves; with what it leaves of 100 if done."""
    if request.param == "USDC":
        coins = world.make_wallet(acme, "Coins", currency="USDC", funds="100")
        return lambda fault: (rails.withdraw(coins, fault=fault, rail_type="USDC"), coins, 75)
    if request.param == "DEPOSIT":
        return lambda fault: (rails.deposit(payer, fault=fault), payer, 125)
    return lambda fault: (rails.withdraw(payer, fault=fault), payer, 75)


def until_it_ends(transfer, *, minutes: int = 3) -> Transfer:
    for _ in range(minutes * 6):
        rails.settle(transfer.organization, seconds=10)
        if not stored(transfer).is_open:
            break
    return stored(transfer)


def moved() -> Decimal:
    return sum((entry.amount for entry in SimulatorEntry.objects.all()), Decimal(0))


@pytest.mark.parametrize(("fault", "code"), [(1, "R01"), (2, "R02"), (3, "R03")])
def test_a_refusal_gives_the_money_back(acme, order, fault, code):
    transfer, wallet, _ = order(fault)
    transfer = until_it_ends(transfer)

    assert (transfer.status, transfer.failure_code) == ("FAILED", code)
    assert transfer.failure_reason == f"Simulated: {simulator.FAULTS[fault].does}."
    assert (available_of(wallet), moved(), transfer.next_attempt_at) == (100, 0, None)
    [event] = facts_of(acme, "transfer.failed")
    assert event.data["failureCode"] == code
    assert event.data["failureReason"] == transfer.failure_reason


def test_a_late_return_takes_it_back(acme, order):
    transfer, wallet, left = order(10)
    rails.settle(acme)
    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", left)

    rails.settle(acme, seconds=10)
    transfer = stored(transfer)
    assert (transfer.status, transfer.failure_code) == ("RETURNED", "R10")
    assert (available_of(wallet), moved(), transfer.next_attempt_at) == (100, 0, None)


def test_a_delay_is_waited_for(acme, order):
    transfer, wallet, left = order(simulator.LATER)
    rails.settle(acme, seconds=30)
    assert stored(transfer).status == "PROCESSING"

    rails.settle(acme, seconds=60)
    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", left)


@pytest.mark.parametrize(
    "fault",
    [simulator.SILENT_DONE, simulator.SILENT_UNDONE, simulator.LOST, simulator.REPEATED],
)
def test_silence_and_repetition_move_it_once(acme, order, fault):
    transfer, wallet, left = order(fault)
    transfer = until_it_ends(transfer)
    rails.settle(acme, seconds=3600)

    transfer = stored(transfer)
    assert (transfer.status, balance_of(wallet), abs(moved())) == ("COMPLETED", left, 25)
    assert (SimulatorOrder.objects.count(), transfer.next_attempt_at) == (1, None)
    assert len(facts_of(acme, "transfer.completed")) == 1


def test_after_a_silence_nobody_knows_and_the_money_stays_held(acme, payer):
    for fault in (simulator.SILENT_DONE, simulator.SILENT_UNDONE):
        transfer = rails.withdraw(payer, "10", fault=fault)
        rails.sweep()
        assert stored(transfer).status == "PROCESSING"
    assert available_of(payer) == 80


def test_a_stuck_order_is_taken_back_at_its_deadline(acme, order):
    transfer, wallet, _ = order(simulator.STUCK)
    transfer_of = until_it_ends(transfer, minutes=14)
    assert transfer_of.status == "PROCESSING"

    transfer = until_it_ends(transfer, minutes=2)
    assert (transfer.status, transfer.failure_code) == ("FAILED", "EXPIRED")
    assert (available_of(wallet), moved()) == (100, 0)


def test_a_deadline_passed_while_nobody_looked_does_not_undo_what_has_moved(acme, order):
    transfer, wallet, left = order(0)
    rails.sweep()
    rails.advance(acme, days=400)
    rails.sweep()

    assert (stored(transfer).status, balance_of(wallet)) == ("COMPLETED", left)


class Mute(simulator.Simulator):
    """Does what it is told, and says nothing."""

    def __init__(self, *, deaf: bool = False):
        self.deaf = deaf

    def _lost(self, work, *arguments):
        if not self.deaf:
            work(*arguments)
        raise RailTimeout("not a word")

    def submit(self, order):
        self._lost(super().submit, order)

    def poll(self, order_id):
        self._lost(super().poll, order_id)

    def cancel(self, order):
        self._lost(super().cancel, order)


@pytest.mark.parametrize("deaf", [True, False])
def test_a_rail_away_for_long_loses_nothing(acme, order, deaf):
    transfer, wallet, left = order(0)
    with rails.rail(Mute(deaf=deaf)):
        for _ in range(5):
            rails.settle(acme, seconds=60)
        assert stored(transfer).status == "PROCESSING"
        assert balance_of(wallet) == 100

    transfer = until_it_ends(transfer)
    assert (transfer.status, balance_of(wallet), abs(moved())) == ("COMPLETED", left, 25)


@pytest.mark.parametrize("deaf", [True, False])
def test_a_rail_away_past_the_deadline_keeps_it_held_until_there_is_proof(acme, payer, deaf):
    transfer = rails.withdraw(payer)
    with rails.rail(Mute(deaf=deaf)):
        for _ in range(20):
            rails.settle(acme, seconds=60)
        assert (stored(transfer).status, available_of(payer)) == ("PROCESSING", 75)

    transfer = until_it_ends(transfer)
    expected = ("FAILED", 100) if deaf else ("COMPLETED", 75)
    assert (transfer.status, available_of(payer)) == expected


class Scripted(simulator.Simulator):
    """Says what it is told to say."""

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


def test_a_rail_that_takes_back_what_it_said_gives_the_money_back(acme, payer):
    double = Scripted(
        report(State.ACCEPTED),
        report(State.COMPLETED),
        report(State.FAILED, failure_code="R04", is_last_word=True),
    )
    with rails.rail(double), rails.told() as heard:
        transfer = rails.withdraw(payer, purpose=PURPOSE)
        rails.sweep()
        rails.settle(acme, seconds=3)
        rails.settle(acme, seconds=3600)

    assert [outcome for _, outcome in heard] == ["COMPLETED", "RETURNED"]
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
def test_an_answer_that_comes_after_a_newer_one_changes_nothing(
    acme, payer, order, fault, status, stale
):
    transfer = order(payer, fault=fault)
    rails.sweep()
    asked = stored(transfer)  # whose answer is long on its way, while others ask again
    until_it_ends(transfer)
    rails.settle(acme, seconds=30)
    before = (stored(transfer).status, balance_of(payer), available_of(payer))
    assert before[0] == status

    for state in stale:
        worker._apply_report(asked, report(state))
        rails.settle(acme)
    assert (stored(transfer).status, balance_of(payer), available_of(payer)) == before
    assert len(facts_of(acme, f"transfer.{status.lower()}")) == 1


def test_a_rail_that_completes_what_was_cancelled_is_reported(acme, payer, caplog):
    transfer = rails.withdraw(payer)
    rails.sweep()
    rails.cancel(transfer)
    rails.sweep()
    asked = stored(transfer)
    assert asked.status == "CANCELLED"

    worker._apply_report(asked, report(State.COMPLETED, is_last_word=True))

    assert (stored(transfer).status, available_of(payer)) == ("CANCELLED", 100)
    assert f"transfer {transfer.id} is CANCELLED, and its rail says COMPLETED" in caplog.text


def test_what_a_rail_keeps_past_the_deadline_is_reported_again_and_again(acme, payer, caplog):
    double = Scripted(*(report(State.ACCEPTED) for _ in range(3)))
    transfer = rails.withdraw(payer)
    with rails.rail(double):
        rails.sweep()
        rails.advance(acme, minutes=20)
        rails.sweep()
    assert f"transfer {transfer.id} is past its deadline" in caplog.text
    assert (stored(transfer).status, available_of(payer)) == ("PROCESSING", 75)

    rails.settle(acme, seconds=3600)
    assert stored(transfer).status == "FAILED"


@pytest.mark.parametrize("order", [rails.withdraw, rails.deposit])
def test_what_no_rail_was_told_of_in_time_is_told_late(acme, payer, order, caplog):
    """A sandbox's clock has leapt, or the workers were away."""
    made = [order(payer, "1") for _ in range(3)]
    rails.advance(acme, days=3)
    rails.settle(acme)
    assert {stored(transfer).status for transfer in made} == {"COMPLETED"}
    assert "past its deadline" not in caplog.text


def test_what_is_told_late_and_not_carried_out_at_once_is_taken_back(acme, payer):
    transfer = rails.withdraw(payer, fault=simulator.STUCK)
    rails.advance(acme, days=3)
    rails.settle(acme)
    assert (stored(transfer).status, stored(transfer).failure_code) == ("FAILED", "EXPIRED")


def test_a_rail_that_wants_to_be_left_alone_past_the_deadline_is_not(acme, payer):
    transfer = rails.withdraw(payer)
    much_later = now(acme) + timedelta(days=30)
    words = (report(State.ACCEPTED, look_again_at=much_later) for _ in range(2))
    with rails.rail(Scripted(*words)):
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
def test_a_rail_that_gives_no_reason_is_given_ours(acme, payer, state, before, code):
    words = (report(State.ACCEPTED), *before, report(state, is_last_word=True))
    with rails.rail(Scripted(*words)):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.settle(acme)
        rails.settle(acme, seconds=3600)
    transfer = stored(transfer)
    assert (transfer.failure_code, available_of(payer)) == (code, 100)
    assert ("in time" in transfer.failure_reason) == (code == "EXPIRED")


def test_a_rail_that_says_too_much_keeps_no_money_waiting(acme, payer):
    much = {"failure_code": "R" * 99, "failure_reason": "because " * 99, "is_last_word": True}
    said = Report(state=State.FAILED, external_id="b" * 999, **much)
    with rails.rail(Scripted(report(State.ACCEPTED), said)):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.settle(acme)
    assert (stored(transfer).status, available_of(payer)) == ("FAILED", 100)


class TestPatience:
    def test_grows_to_a_minute(self, acme, payer):
        transfer = rails.withdraw(payer)
        pauses = []
        with rails.rail(Mute(deaf=True)):
            for _ in range(9):
                rails.sweep()
                looks = stored(transfer)
                pauses.append(looks.next_attempt_at - now(acme))
                rails.advance(acme, seconds=61)
        seconds = [round(pause.total_seconds()) for pause in pauses]
        assert seconds == [2, 4, 8, 16, 32, 60, 60, 60, 60]

    def test_of_one_organization_does_not_follow_another_s_clock(self, acme, globex, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.advance(globex, days=10)
        rails.sweep()
        assert stored(transfer).status == "PROCESSING"


def now(organization):
    organization.refresh_from_db()
    return clock.now(world.actor_for(organization))


def test_the_published_numbers_are_in_the_documentation():
    text = Path(CHECKOUT, "docs/sandbox.md").read_text()
    for number in simulator.FAULTS:
        assert simulator.account_number(number) in text
        assert simulator.address(number) in text


def test_no_call_is_made_inside_a_transaction(payer):
    """The simulator refuses it, as every real rail would want to."""
    order = worker._order(rails.withdraw(payer))
    rail = simulator.Simulator()
    calls = (
        lambda: rail.submit(order),
        lambda: rail.poll(order.id),
        lambda: rail.cancel(order),
        lambda: worker.attend(order.id),
    )
    for call in calls:
        with pytest.raises(RuntimeError), transaction.atomic():
            call()
