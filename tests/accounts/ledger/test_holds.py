import contextlib
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from accounts.ledger import chart, holds
from accounts.ledger.journal import Refused
from accounts.ledger.models import Hold, HoldOperation, LedgerAccount
from tests.accounts.ledger.book import (
    ACTIVE,
    CLOSED,
    FROZEN,
    SANDBOX,
    deposit,
    find,
    force,
    hold,
    money,
    move,
    open_account,
    posting,
    refused,
    transfer,
)
from tests.world import in_parallel
from wallgent import clock, ids

pytestmark = pytest.mark.django_db

FEES = chart.fees(SANDBOX, "USD")


def increase(hold_id: str, amount: str, operation: uuid.UUID | None = None) -> Hold:
    with transaction.atomic():
        return holds.increase(hold_id, amount=Decimal(amount), operation=operation or uuid.uuid4())


def release(hold_id: str, amount: str | None = None, operation: uuid.UUID | None = None) -> Hold:
    with transaction.atomic():
        return holds.release(
            hold_id, amount=amount and Decimal(amount), operation=operation or uuid.uuid4()
        )


def capture(hold_id, amount, to, *, operation=None, spent=None, one=None, **options) -> Hold:
    """Capture `amount` of a hold by paying `spent`, by default the same, to the account `to`."""
    source = Hold.objects.get(pk=hold_id).account_id
    with transaction.atomic():
        return holds.capture(
            hold_id,
            one or posting(move(source, to, spent or amount)),
            amount=Decimal(amount),
            operation=operation or uuid.uuid4(),
            **options,
        )


def parts(hold: Hold) -> tuple:
    """Return amount, captured, released and remaining as stored."""
    hold.refresh_from_db()
    return hold.amount, hold.captured, hold.released, hold.remaining


class TestPlace:
    def test_reserves_money_that_stays_in_the_balance(self):
        ada = open_account("100")
        expires_at = clock.real_now() + timedelta(days=7)

        held = hold(ada, "60", reference="aut_1", expires_at=expires_at)

        assert money(ada) == (100, 60, 0)
        assert find(ada).available == 40
        assert parts(held) == (60, 0, 0, 60)
        assert (held.reason, held.reference, held.expires_at) == ("test", "aut_1", expires_at)
        assert held.ended_at is None

    def test_several_holds_add_up(self):
        ada = open_account("100")

        hold(ada, "60")
        hold(ada, "40")
        refusal = refused("NO_FUNDS", hold, ada, "0.00000001")

        assert money(ada) == (100, 100, 0)
        assert (refusal.account_id, refusal.available) == (ada, 0)

    def test_repeating_it_reserves_once(self):
        ada = open_account("100")
        first = hold(ada, "60")

        again = hold(ada, "60", id=first.id)

        assert again == first
        assert money(ada) == (100, 60, 0)

    def test_repeating_it_after_the_hold_changed_or_ended(self):
        ada = open_account("100")
        held = hold(ada, "60")
        increase(held.id, "10")
        hold(ada, "60", id=held.id)
        release(held.id)

        hold(ada, "60", id=held.id)

        assert parts(held) == (70, 0, 70, 0)
        assert money(ada) == (100, 0, 0)

    def test_the_same_id_for_another_hold_is_refused(self):
        ada, bob = open_account("100"), open_account("100")
        held = hold(ada, "60")

        refused("CHANGED", hold, ada, "61", id=held.id)
        refused("CHANGED", hold, bob, "60", id=held.id)

        assert (money(ada), money(bob)) == ((100, 60, 0), (100, 0, 0))

    def test_is_dated_by_the_owners_clock(self):
        ada = open_account("100")

        held = hold(ada, "60", ahead=timedelta(days=30))

        assert held.created_at > clock.real_now() + timedelta(days=29)

    def test_system_account_cannot_have_holds(self):
        with pytest.raises(AssertionError, match="has no holds"):
            hold(chart.treasury(SANDBOX, "USD"), "0.01")

    def test_unknown_account(self):
        with pytest.raises(LedgerAccount.DoesNotExist):
            hold(ids.new("acc"), "1")


class TestIncrease:
    def test_reserves_more(self):
        ada = open_account("100")
        held = hold(ada, "60")

        increase(held.id, "15")

        assert parts(held) == (75, 0, 0, 75)
        assert money(ada) == (100, 75, 0)

    def test_repeating_it_reserves_once(self):
        ada = open_account("100")
        held, operation = hold(ada, "60"), uuid.uuid4()

        for _ in range(2):
            increase(held.id, "15", operation)

        assert money(ada) == (100, 75, 0)

    def test_needs_available_money(self):
        ada = open_account("100")
        held = hold(ada, "60")

        refusal = refused("NO_FUNDS", increase, held.id, "40.01")

        assert (refusal.available, refusal.needed) == (40, Decimal("40.01"))
        assert parts(held) == (60, 0, 0, 60)


class TestCapture:
    def test_all_of_it(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")

        capture(held.id, "60", bob)

        assert (money(ada), money(bob)) == ((40, 0, 0), (60, 0, 0))
        assert parts(held) == (60, 60, 0, 0)
        assert held.ended_at is not None

    def test_in_parts(self):
        ada, bob = open_account("60"), open_account()
        held = hold(ada, "60")

        for amount in ("10", "20.5", "29.5"):
            capture(held.id, amount, bob)

        assert (money(ada), money(bob)) == ((0, 0, 0), (60, 0, 0))
        assert parts(held) == (60, 60, 0, 0)

    def test_part_is_captured_and_the_rest_released(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")

        capture(held.id, "25", bob)
        release(held.id)

        assert money(ada) == (75, 0, 0)
        assert parts(held) == (60, 25, 35, 0)

    def test_pays_from_the_hold_when_nothing_else_is_available(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        transfer(ada, bob, "40")

        capture(held.id, "60", bob)

        assert money(ada) == (0, 0, 0)

    def test_may_spend_more_than_it_captures(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        price, fee = move(ada, bob, "60"), move(ada, FEES, "0.30")

        capture(held.id, "60", bob, one=posting(price, fee))

        assert money(ada) == (Decimal("39.70"), 0, 0)

    def test_what_it_spends_beyond_the_hold_must_be_available(self):
        ada, bob = open_account("60"), open_account()
        held = hold(ada, "60")

        refusal = refused("NO_FUNDS", capture, held.id, "60", bob, spent="60.01")

        assert refusal.available == 60
        assert (money(ada), parts(held)) == ((60, 60, 0), (60, 0, 0, 60))

    def test_one_hold_does_not_spend_another(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        hold(ada, "40")

        refused("NO_FUNDS", capture, held.id, "60", bob, spent="61")

        assert money(ada) == (100, 100, 0)

    def test_spending_less_than_it_captures_is_refused(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")

        with pytest.raises(AssertionError, match="at least what it takes"):
            capture(held.id, "60", bob, spent="59")
        with pytest.raises(AssertionError, match="at least what it takes"):
            capture(held.id, "1", ada, one=posting(move(bob, ada, "1")))

    def test_repeating_it_pays_once(self):
        ada, bob = open_account("100"), open_account()
        held, operation = hold(ada, "60"), uuid.uuid4()
        one = posting(move(ada, bob, "20"))

        for _ in range(2):
            capture(held.id, "20", bob, operation=operation, one=one)

        assert (money(ada), money(bob)) == ((80, 40, 0), (20, 0, 0))
        assert parts(held) == (60, 20, 0, 40)

    def test_same_operation_for_another_payment_is_refused(self):
        ada, bob = open_account("100"), open_account()
        held, operation = hold(ada, "60"), uuid.uuid4()
        capture(held.id, "20", bob, operation=operation)

        refused("CHANGED", capture, held.id, "20", bob, operation=operation)

        assert money(bob)[0] == 20

    def test_payment_cannot_be_captured_twice(self):
        ada, bob = open_account("100"), open_account()
        held, one = hold(ada, "60"), posting(move(ada, bob, "20"))
        capture(held.id, "20", bob, one=one)

        with pytest.raises(IntegrityError, match="ledger_holdoperation_transaction_id"):
            capture(held.id, "20", bob, one=one)

        assert money(ada) == (80, 40, 0)

    def test_more_than_remains_is_refused(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        capture(held.id, "20", bob)

        refusal = refused("ENDED", capture, held.id, "40.01", bob)

        assert (refusal.account_id, refusal.available) == (ada, 40)

    def test_payment_itself_may_be_refused(self):
        ada = open_account("100")
        held = hold(ada, "60")

        refused("CLOSED", capture, held.id, "60", open_account(state=CLOSED))

        assert (money(ada), parts(held)) == ((100, 60, 0), (60, 0, 0, 60))


class TestRelease:
    def test_all_of_it(self):
        ada = open_account("100")
        held = hold(ada, "60")

        release(held.id)

        assert money(ada) == (100, 0, 0)
        assert parts(held) == (60, 0, 60, 0)
        assert held.ended_at is not None

    def test_in_parts(self):
        ada = open_account("100")
        held = hold(ada, "60")

        release(held.id, "10")
        assert (money(ada), parts(held)) == ((100, 50, 0), (60, 0, 10, 50))
        release(held.id, "50")

        assert money(ada) == (100, 0, 0)
        assert held.ended_at is None
        assert Hold.objects.get(pk=held.id).ended_at is not None

    def test_repeating_it_releases_once(self):
        ada = open_account("100")
        held, operation = hold(ada, "60"), uuid.uuid4()

        for _ in range(2):
            release(held.id, "20", operation)

        assert parts(held) == (60, 0, 20, 40)

    def test_releasing_the_rest_of_an_ended_hold_does_nothing(self):
        ada = open_account("100")
        held = hold(ada, "60")
        release(held.id)

        release(held.id)

        assert HoldOperation.objects.filter(hold=held).count() == 2

    def test_more_than_remains_is_refused(self):
        held = hold(open_account("100"), "60")

        refusal = refused("ENDED", release, held.id, "60.01")

        assert refusal.available == 60


class TestReleaseSet:
    def end(self, *held, operations=None, amount=None):
        operations = operations or [uuid.uuid4() for _ in held]
        releases = [
            holds.Release(hold_id=each.id, operation=operation, amount=amount)
            for each, operation in zip(held, operations, strict=True)
        ]
        with transaction.atomic():
            holds.release_set(releases)

    def test_releases_part_of_each(self):
        ada = open_account("100")
        one, two = hold(ada, "60"), hold(ada, "20")

        self.end(one, two, amount=Decimal(20))

        assert money(ada) == (100, 40, 0)
        assert [parts(each) for each in (one, two)] == [(60, 0, 20, 40), (20, 0, 20, 0)]
        ended = Hold.objects.in_bulk([one.id, two.id])
        assert (ended[one.id].ended_at, ended[two.id].ended_at is None) == (None, False)

    def test_releasing_more_than_remains_is_refused(self):
        ada = open_account("100")
        one, two = hold(ada, "60"), hold(ada, "20")

        refusal = refused("ENDED", self.end, one, two, amount=Decimal(21))

        assert refusal.available == 20
        assert money(ada) == (100, 80, 0)

    def test_releases_all_that_remains_of_each(self):
        ada, bob = open_account("100"), open_account("100")
        one, two, other, untouched = (
            hold(account, amount)
            for account, amount in ((ada, "60"), (ada, "30"), (bob, "50"), (bob, "7"))
        )
        capture(two.id, "10", FEES)

        self.end(one, two, other)

        assert (money(ada), money(bob)) == ((90, 0, 0), (100, 7, 0))
        assert [parts(each) for each in (one, two, other, untouched)] == [
            (60, 0, 60, 0),
            (30, 10, 20, 0),
            (50, 0, 50, 0),
            (7, 0, 0, 7),
        ]
        ended = Hold.objects.filter(pk__in=[one.id, two.id, other.id])
        assert all(each.ended_at for each in ended)
        steps = HoldOperation.objects.filter(hold=two).order_by("created_at")
        assert [(step.type, step.amount) for step in steps] == [
            ("PLACE", 30),
            ("CAPTURE", 10),
            ("RELEASE", 20),
        ]

    def test_repeating_it_or_an_empty_set_does_nothing(self):
        ada = open_account("100")
        one, two = hold(ada, "60"), hold(ada, "30")
        operations = [uuid.uuid4(), uuid.uuid4()]
        self.end(one, two, operations=operations)

        self.end(one, two, operations=operations)
        self.end()

        assert money(ada) == (100, 0, 0)
        assert HoldOperation.objects.filter(type="RELEASE").count() == 2

    def test_reduces_debt_as_a_single_release_does(self):
        ada = open_account("100")
        one, two = hold(ada, "60"), hold(ada, "30")
        force(ada, "70")
        assert money(ada) == (30, 90, 60)

        self.end(one)
        assert money(ada) == (30, 30, 0)
        self.end(two)

        assert money(ada) == (30, 0, 0)

    def test_number_of_statements_is_constant(self, django_assert_num_queries):
        ada = open_account("100")
        one = hold(ada, "1")
        with django_assert_num_queries(6 + 2):  # and the bounds of the transaction
            self.end(one)
        many = [hold(ada, "1") for _ in range(20)]
        with django_assert_num_queries(6 + 2):
            self.end(*many)


class TestEnded:
    @pytest.fixture(params=["captured", "released"])
    def ended(self, request):
        held = hold(open_account("100"), "60")
        if request.param == "captured":
            capture(held.id, "60", FEES)
        else:
            release(held.id)
        return held

    def test_further_steps_are_refused(self, ended):
        before = money(ended.account_id), parts(ended)

        refused("ENDED", increase, ended.id, "1")
        refused("ENDED", capture, ended.id, "1", FEES)
        refused("ENDED", release, ended.id, "1")

        assert (money(ended.account_id), parts(ended)) == before

    def test_steps_can_still_be_repeated(self, ended):
        steps = list(HoldOperation.objects.filter(hold=ended).exclude(type="PLACE"))

        for step in steps:
            if step.type == "RELEASE":
                release(ended.id, "60", step.id)
            else:
                one = posting(move(ended.account_id, FEES, "60"), id=step.transaction_id)
                capture(ended.id, "60", FEES, operation=step.id, one=one)

        assert HoldOperation.objects.filter(hold=ended).count() == 2


class TestOperationIds:
    def test_id_belongs_to_one_step_of_one_hold(self):
        ada, bob = open_account("100"), open_account()
        held, other, operation = hold(ada, "30"), hold(ada, "30"), uuid.uuid4()
        increase(held.id, "5", operation)

        refused("CHANGED", increase, held.id, "6", operation)
        refused("CHANGED", increase, other.id, "5", operation)
        refused("CHANGED", release, held.id, "5", operation)
        refused("CHANGED", release, held.id, None, operation)
        refused("CHANGED", capture, held.id, "5", bob, operation=operation)
        refused("CHANGED", hold, ada, "5", id=ids.to_text("hld", operation))

        assert money(ada) == (100, 65, 0)

    def test_every_step_is_stored(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "50")
        increase(held.id, "10")
        one = posting(move(ada, bob, "40"))
        capture(held.id, "40", bob, one=one)
        release(held.id)

        steps = held.operations.order_by("created_at")

        assert [(step.type, step.amount, step.transaction_id) for step in steps] == [
            ("PLACE", 50, None),
            ("INCREASE", 10, None),
            ("CAPTURE", 40, one.id),
            ("RELEASE", 20, None),
        ]
        assert steps[0].id == ids.to_uuid(held.id)


class TestAccountStates:
    @pytest.mark.parametrize("state", [FROZEN, CLOSED])
    def test_inactive_account_accepts_no_hold(self, state):
        ada = open_account(state=state)

        refused(state, hold, ada, "1")

    def test_frozen_account_keeps_its_holds_but_does_not_pay(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        chart.set_state(ada, FROZEN)

        refused("FROZEN", increase, held.id, "1")
        refused("FROZEN", capture, held.id, "60", bob)
        release(held.id, "10")
        assert money(ada) == (100, 50, 0)
        chart.set_state(ada, ACTIVE)
        capture(held.id, "50", bob)

        assert money(ada) == (50, 0, 0)

    def test_forced_capture_from_a_frozen_account(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        chart.set_state(ada, FROZEN)

        capture(held.id, "60", bob, spent="120", forced=True)

        assert money(ada) == (-20, 0, 20)

    def test_account_in_debt_accepts_no_hold(self):
        ada = open_account("100")
        held = hold(ada, "60")
        force(ada, "50")

        refused("DEBT", hold, ada, "1")
        refused("DEBT", increase, held.id, "1")
        refused("DEBT", capture, held.id, "1", FEES)

        assert money(ada) == (50, 60, 10)

    def test_releasing_reduces_the_debt(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        force(ada, "50")

        release(held.id, "4")
        assert money(ada) == (50, 56, 6)
        release(held.id)

        assert money(ada) == (50, 0, 0)
        transfer(ada, bob, "50")

    def test_releasing_reduces_the_debt_only_by_what_it_covers(self):
        ada = open_account("10")
        held = hold(ada, "10")
        force(ada, "40")

        release(held.id)

        assert money(ada) == (-30, 0, 30)

    def test_forced_capture_from_an_account_in_debt(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        force(ada, "90")

        capture(held.id, "60", bob, forced=True)

        assert money(ada) == (-50, 0, 50)


class TestBadAmounts:
    @pytest.mark.parametrize("amount", ["0", "-1"])
    def test_database_refuses_amounts_that_are_not_positive(self, amount):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")
        capture(held.id, "20", bob)
        release(held.id, "20")
        before = money(ada), parts(held)

        for step in (
            lambda: hold(ada, amount),
            lambda: increase(held.id, amount),
            lambda: release(held.id, amount),
            lambda: capture(held.id, amount, bob, spent="1"),
        ):
            with pytest.raises(IntegrityError, match="ledger_hold_"):
                step()

        assert (money(ada), parts(held)) == before

    def test_more_than_eight_decimals_are_refused(self):
        ada = open_account("100")

        with pytest.raises(AssertionError, match="8 decimals"):
            hold(ada, "1.000000015")


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_holds_and_payments_compete_for_the_same_money(self):
        ada, bob = open_account("100"), open_account()

        def spend(number):
            try:
                hold(ada, "30") if number % 2 else transfer(ada, bob, "30")
            except Refused as refusal:
                return refusal.outcome
            return "DONE"

        outcomes = in_parallel(8, spend)

        assert sorted(outcomes) == ["DONE"] * 3 + ["NO_FUNDS"] * 5
        assert find(ada).available == 10

    def test_concurrent_repeats_of_a_step_act_once(self):
        ada, bob = open_account("100"), open_account()
        id, operations = ids.new("hld"), [uuid.uuid4() for _ in range(3)]
        one = posting(move(ada, bob, "15"))

        in_parallel(4, lambda n: hold(ada, "50", id=id))
        in_parallel(4, lambda n: increase(id, "5", operations[0]))
        in_parallel(4, lambda n: capture(id, "15", bob, operation=operations[1], one=one))
        in_parallel(4, lambda n: release(id, "10", operations[2]))

        assert parts(Hold.objects.get(pk=id)) == (55, 15, 10, 30)
        assert (money(ada), money(bob)) == ((85, 30, 0), (15, 0, 0))

    def test_racing_captures_and_releases_share_what_remains(self):
        ada, bob = open_account("100"), open_account()
        held = hold(ada, "60")

        def step(number):
            try:
                release(held.id, "20") if number % 2 else capture(held.id, "20", bob)
            except Refused as refusal:
                return refusal.outcome
            return "DONE"

        outcomes = in_parallel(6, step)

        assert sorted(outcomes) == ["DONE"] * 3 + ["ENDED"] * 3
        _, captured, released, remaining = parts(held)
        assert (captured + released, remaining) == (60, 0)
        assert money(ada) == (100 - captured, 0, 0)

    def test_captures_in_opposite_directions_do_not_block_each_other(self):
        ada, bob = open_account("100"), open_account("100")
        mine, yours = hold(ada, "100"), hold(bob, "100")

        def step(number):
            for _ in range(10):
                capture(yours.id, "5", ada) if number % 2 else capture(mine.id, "5", bob)

        in_parallel(4, step)

        assert (money(ada), money(bob)) == ((100, 0, 0), (100, 0, 0))


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["increase", "capture", "over", "release", "force", "deposit", "pay"]),
        st.decimals("0.01", "60", places=2),
    ),
    max_size=12,
)


@given(_STEPS)
def test_debt_is_always_what_the_balance_lacks_for_the_holds(steps):
    ada, bob = open_account("100"), open_account()
    held = [hold(ada, "40").id, hold(ada, "20").id]
    acts = {
        "increase": lambda amount: increase(held[0], amount),
        "capture": lambda amount: capture(held[0], amount, bob),
        "over": lambda amount: capture(held[1], "1", bob, spent=amount, forced=True),
        "release": lambda amount: release(held[0], amount),
        "force": lambda amount: force(ada, amount),
        "deposit": lambda amount: deposit(ada, amount),
        "pay": lambda amount: transfer(ada, bob, amount),
    }

    for name, amount in steps:
        with contextlib.suppress(Refused):
            acts[name](str(amount + (name == "over")))
        balance, held_amount, debt = money(ada)
        assert debt == max(held_amount - balance, 0)
        assert held_amount == sum(hold.remaining for hold in Hold.objects.filter(account=ada))
