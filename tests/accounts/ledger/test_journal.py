import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from accounts.ledger import chart, journal, statements
from accounts.ledger.journal import Refused
from accounts.ledger.models import Entry, LedgerAccount, Transaction, Unrolled
from tests.accounts.ledger.book import (
    CLOSED,
    FROZEN,
    PRODUCTION,
    SANDBOX,
    deposit,
    find,
    force,
    hold,
    lines,
    money,
    move,
    open_account,
    post,
    posting,
    refused,
    run_sql,
    transfer,
)
from tests.world import in_parallel
from wallgent import clock, ids
from wallgent.money import CEILING

pytestmark = pytest.mark.django_db

FEES = chart.fees(SANDBOX, "USD")
TREASURY = chart.treasury(SANDBOX, "USD")
DAY = timedelta(days=1)


class TestPost:
    def test_moves_money_and_writes_both_entries(self):
        ada, bob = open_account("100"), open_account("5")

        id = transfer(ada, bob, "30.00000001")

        assert money(ada)[0] == Decimal("69.99999999")
        assert money(bob)[0] == Decimal("35.00000001")
        assert lines(ada)[-1] == (2, "DEBIT", Decimal("30.00000001"), Decimal("69.99999999"))
        assert lines(bob)[-1] == (2, "CREDIT", Decimal("30.00000001"), Decimal("35.00000001"))
        written = Transaction.objects.get(pk=id)
        assert (written.book, written.reason, written.memo) == (SANDBOX, "test", "")
        assert {(e.book, e.currency) for e in written.entries.all()} == {(SANDBOX, "USD")}

    def test_account_can_be_emptied_but_not_overdrawn(self):
        ada, bob = open_account("100"), open_account()

        transfer(ada, bob, "100")
        last = refused("NO_FUNDS", transfer, ada, bob, "0.00000001")

        assert money(ada)[0] == 0
        assert (last.available, last.needed) == (0, Decimal("0.00000001"))

    def test_moves_become_one_entry_for_each_account_and_side(self):
        ada, bob, eve = open_account("100"), open_account(), open_account()
        one = posting(
            move(ada, bob, "10"), move(ada, FEES, "0.25"), move(ada, bob, "2"), move(bob, eve, "1")
        )

        post(one)

        written = Entry.objects.filter(transaction=one.id).values_list(
            "account", "type", "amount", "line", "balance_after"
        )
        assert set(written) == {
            (ada, "DEBIT", Decimal("12.25"), 2, Decimal("87.75")),
            (bob, "CREDIT", Decimal(12), 1, Decimal(12)),
            (bob, "DEBIT", Decimal(1), 2, Decimal(11)),
            (eve, "CREDIT", Decimal(1), 1, Decimal(1)),
            (FEES, "CREDIT", Decimal("0.25"), None, None),
        }

    def test_transaction_between_system_accounts_only(self):
        transfer(TREASURY, FEES, "7")

        assert statements.exact_balance(TREASURY) == statements.exact_balance(FEES) == 7

    def test_two_currencies_in_one_transaction_each_balance(self):
        dollars, coins = open_account("10"), open_account("10", currency="USDC")
        desk = chart.system_id(SANDBOX, "EXCHANGE", "USD")
        coin_desk = chart.system_id(SANDBOX, "EXCHANGE", "USDC")

        post(posting(move(dollars, desk, "10"), move(coin_desk, coins, "10", "USDC")))

        assert (money(dollars)[0], money(coins)[0]) == (0, 20)

    def test_is_dated_by_the_payers_clock(self):
        ada, bob = open_account("10"), open_account()
        before = clock.real_now()

        id = transfer(ada, bob, "1", ahead=timedelta(days=30))

        written = Transaction.objects.get(pk=id).created_at
        assert before < written - timedelta(days=30) < clock.real_now()

    def test_entries_are_dated_by_the_clock_of_each_side(self):
        ada, bob, eve = open_account("10"), open_account(), open_account()
        before = clock.real_now()
        first = posting(move(ada, bob, "2"), move(ada, FEES, "1"), recipient_ahead=2 * DAY)
        second = posting(move(ada, eve, "1"), recipient_ahead=timedelta(0))
        third = posting(move(bob, ada, "1"))

        post(first, second, third, ahead=5 * DAY)

        def days(one) -> dict[str, int]:
            entries = Entry.objects.filter(transaction=one.id)
            return {entry.account_id: (entry.created_at - before).days for entry in entries}

        assert days(first) == {ada: 5, bob: 2, FEES: 5}
        assert days(second) == {ada: 5, eve: 0}
        assert days(third) == {ada: 5, bob: 5}
        last = Entry.objects.filter(account=ada).latest("line")
        assert find(ada).last_entry_at == last.created_at

    def test_date_is_not_before_the_previous_line(self):
        """Even if the caller read the clock before it was advanced."""
        ada, bob = open_account("10"), open_account()
        transfer(ada, bob, "1", ahead=5 * DAY)
        transfer(ada, bob, "1")

        for account_id in (ada, bob):
            *_, previous, late = Entry.objects.filter(account=account_id).order_by("line")
            assert late.created_at == previous.created_at

    def test_memo_is_stored_exactly(self):
        memos = ['{"a",\\\\}', "NULL", "", 'it\'s "quoted"', "a,b", "Zoë 🙂\n", "%s"]
        postings = [posting(move(TREASURY, FEES, "1"), memo=memo) for memo in memos]

        post(*postings)

        found = [Transaction.objects.get(pk=one.id).memo for one in postings]
        assert found == memos

    @pytest.mark.parametrize("amount", ["1E-8", "1E+2", "100", "100.00000000"])
    def test_amount_in_any_notation(self, amount):
        ada = open_account()

        deposit(ada, amount)

        assert money(ada)[0] == Decimal(amount)

    def test_memo_and_reversal_are_stored(self):
        ada, bob = open_account("10"), open_account()
        first = transfer(ada, bob, "1")

        post(posting(move(bob, ada, "1"), memo="Sorry", reverses=first))

        assert Transaction.objects.get(reverses=first).memo == "Sorry"

    def test_transaction_is_reversed_once(self):
        ada, bob = open_account("10"), open_account("10")
        first = transfer(ada, bob, "1")
        post(posting(move(bob, ada, "1"), reverses=first))

        with pytest.raises(IntegrityError, match="ledger_transaction_reversed_once"):
            post(posting(move(bob, ada, "1"), reverses=first))

        assert money(ada)[0] == 10

    def test_needs_the_callers_atomic_block(self, transactional_db):
        ada = open_account()

        with pytest.raises(AssertionError, match="roll back"):
            journal.post(ids.new("txn"), move(TREASURY, ada, "1"), book=SANDBOX, reason="test")

    @pytest.mark.parametrize("amount", ["0", "-1", "0.000000001", "1.123456789"])
    def test_amount_must_be_positive_with_at_most_eight_decimals(self, amount):
        ada = open_account()

        with pytest.raises(AssertionError):
            post(posting(move(TREASURY, ada, amount)))

    @pytest.mark.parametrize("empty", [[], [posting()]])
    def test_empty_set_or_posting_is_refused(self, empty):
        with pytest.raises(AssertionError):
            post(*empty)

    def test_empty_posting_within_a_set_is_refused(self):
        ada = open_account()

        with pytest.raises(AssertionError, match="at least one move"):
            post(posting(move(TREASURY, ada, "1")), posting())


class TestRefusals:
    def test_missing_funds(self):
        ada, bob = open_account("100"), open_account()

        refusal = refused("NO_FUNDS", transfer, ada, bob, "100.01")

        assert (refusal.account_id, refusal.item) == (ada, 0)
        assert (refusal.available, refusal.needed) == (100, Decimal("100.01"))

    def test_held_money_cannot_be_spent(self):
        ada, bob = open_account("100"), open_account()
        hold(ada, "60")

        refusal = refused("NO_FUNDS", transfer, ada, bob, "40.01")
        transfer(ada, bob, "40")

        assert refusal.available == 40
        assert money(ada) == (60, 60, 0)

    def test_all_debits_of_an_account_count_together(self):
        ada, bob = open_account("100"), open_account()
        price, fee = move(ada, bob, "100"), move(ada, FEES, "0.50")

        refusal = refused("NO_FUNDS", post, posting(price, fee))

        assert refusal.needed == Decimal("100.50")

    def test_frozen_account_cannot_pay(self):
        ada, bob = open_account("100", state=FROZEN), open_account()

        refusal = refused("FROZEN", transfer, ada, bob, "1")

        assert refusal.account_id == ada

    def test_frozen_account_can_be_paid(self):
        ada, bob = open_account("100"), open_account(state=FROZEN)

        transfer(ada, bob, "1")

        assert money(bob)[0] == 1

    def test_closed_account_can_neither_pay_nor_be_paid(self):
        ada, bob = open_account("100"), open_account(state=CLOSED)

        assert refused("CLOSED", transfer, ada, bob, "1").account_id == bob
        assert refused("CLOSED", transfer, bob, ada, "1").account_id == bob
        assert refused("CLOSED", transfer, ada, bob, "1", forced=True).account_id == bob

    def test_account_in_debt_cannot_pay(self):
        ada, bob = open_account("100"), open_account()
        hold(ada, "90")
        force(ada, "20")

        refusal = refused("DEBT", transfer, ada, bob, "1")

        assert refusal.account_id == ada

    def test_unknown_account(self):
        with pytest.raises(IntegrityError, match="ledger_entry_account_in_its_book"):
            transfer(TREASURY, ids.new("acc"), "1")

    def test_account_of_the_other_book(self):
        sandbox, live = open_account("10"), open_account(book=PRODUCTION)

        for debit, credit in ((sandbox, live), (TREASURY, live)):
            for book in (SANDBOX, PRODUCTION):
                with pytest.raises(IntegrityError, match="ledger_entry_account_in_its_book"):
                    transfer(debit, credit, "1", book=book)

        assert money(sandbox)[0] == 10

    def test_account_of_another_currency(self):
        coins = open_account(currency="USDC")

        for currency in ("USD", "USDC"):
            with pytest.raises(IntegrityError, match="ledger_entry_account_in_its_book"):
                post(posting(move(TREASURY, coins, "1", currency)))

    def test_refusal_leaves_nothing(self):
        ada, bob = open_account("100"), open_account()
        before = Transaction.objects.count(), Entry.objects.count(), Unrolled.objects.count()

        refused("NO_FUNDS", transfer, ada, bob, "101")
        refused("NO_FUNDS", post, posting(move(ada, bob, "60")), posting(move(ada, FEES, "60")))

        after = Transaction.objects.count(), Entry.objects.count(), Unrolled.objects.count()
        assert after == before
        assert money(ada)[0] == 100

    def test_database_refuses_to_commit_a_refused_posting(self, transactional_db):
        ada, bob = open_account("1"), open_account()

        with (
            pytest.raises(IntegrityError, match="has no entries"),
            transaction.atomic(),
            pytest.raises(Refused),
        ):
            journal.post(ids.new("txn"), move(ada, bob, "2"), book=SANDBOX, reason="test")


class TestRepeating:
    def test_same_id_with_the_same_moves_does_nothing(self):
        ada, bob = open_account("100"), open_account()
        one = posting(move(ada, bob, "10"), move(ada, FEES, "1"))
        post(one)

        post(one)
        post(posting(move(ada, FEES, "1.00"), move(ada, bob, "10.00000000"), id=one.id))

        assert money(ada)[0] == 89
        assert Entry.objects.filter(transaction=one.id).count() == 3

    @pytest.mark.parametrize("state", [FROZEN, CLOSED])
    def test_repeat_does_nothing_even_if_it_would_now_be_refused(self, state):
        ada, bob = open_account("100"), open_account()
        one = posting(move(ada, bob, "100"))
        post(one)
        chart.set_state(ada, state)

        post(one)

        assert money(bob)[0] == 100

    def test_whole_set_can_be_repeated(self):
        ada, bob = open_account("100"), open_account()
        both = posting(move(ada, bob, "10")), posting(move(bob, ada, "5"))
        post(*both)

        post(*both)

        assert (money(ada)[0], money(bob)[0]) == (95, 5)

    def test_same_id_with_other_moves_is_refused(self):
        ada, bob, eve = open_account("100"), open_account("100"), open_account()
        id = transfer(ada, bob, "10")

        for other in (
            [move(ada, bob, "10.00000001")],
            [move(ada, eve, "10")],
            [move(bob, ada, "10")],
            [move(ada, bob, "10"), move(ada, FEES, "1")],
        ):
            refused("CHANGED", post, posting(*other, id=id))

        assert (money(ada)[0], money(bob)[0]) == (90, 110)

    def test_same_id_with_part_of_the_moves_is_refused(self):
        ada, bob = open_account("100"), open_account()
        paid, fee, apart = move(ada, bob, "10"), move(ada, FEES, "1"), move(TREASURY, FEES, "2")
        one = posting(paid, fee, apart)
        post(one)

        refused("CHANGED", post, posting(paid, apart, id=one.id))
        refused("CHANGED", post, posting(paid, fee, id=one.id))

    def test_partly_posted_set_is_refused(self):
        ada, bob = open_account("100"), open_account()
        old, new = posting(move(ada, bob, "10")), posting(move(ada, bob, "1"))
        post(old)

        refused("CHANGED", post, old, new)
        refused("CHANGED", post, new, old)

        assert money(ada)[0] == 90

    def test_duplicate_id_in_one_set_is_refused(self):
        ada, bob = open_account("100"), open_account()
        one = posting(move(ada, bob, "10"))

        refused("CHANGED", post, one, one)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("source", ["wallet", "system"])
    def test_concurrent_repeats_post_once(self, source):
        ada = open_account("100")
        debit = ada if source == "wallet" else TREASURY
        one = posting(move(debit, FEES, "1"))

        in_parallel(6, lambda n: post(one))

        assert Entry.objects.filter(transaction=one.id).count() == 2
        assert statements.exact_balance(FEES) == 1


class TestSets:
    def test_later_transaction_spends_what_an_earlier_one_credits(self):
        ada, bob, eve = open_account("10"), open_account(), open_account()

        post(posting(move(ada, bob, "10")), posting(move(bob, eve, "10")))

        assert (money(ada)[0], money(bob)[0], money(eve)[0]) == (0, 0, 10)
        assert lines(bob) == [(1, "CREDIT", 10, 10), (2, "DEBIT", 10, 0)]

    def test_earlier_transaction_cannot_spend_what_a_later_one_credits(self):
        ada, bob, eve = open_account("10"), open_account(), open_account()

        refusal = refused(
            "NO_FUNDS", post, posting(move(bob, eve, "10")), posting(move(ada, bob, "10"))
        )

        assert (refusal.item, refusal.account_id, refusal.available) == (0, bob, 0)

    def test_first_refused_transaction_is_named(self):
        ada, bob = open_account("10"), open_account()
        frozen = open_account("10", state=FROZEN)
        good, poor, cold = move(ada, bob, "6"), move(ada, bob, "5"), move(frozen, bob, "1")

        refusal = refused("NO_FUNDS", post, posting(good), posting(poor), posting(cold))
        other = refused("FROZEN", post, posting(good), posting(cold), posting(poor))

        assert (refusal.item, refusal.available, refusal.needed) == (1, 4, 5)
        assert (other.item, other.account_id) == (1, frozen)

    def test_later_transaction_spends_after_an_earlier_one_pays_the_debt(self):
        ada, bob = open_account("100"), open_account()
        force(bob, "30")

        post(posting(move(ada, bob, "50")), posting(move(bob, ada, "20")))

        assert money(bob) == (0, 0, 0)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]),
                st.decimals("0.01", "40", places=2),
            ),
            min_size=1,
            max_size=8,
        ),
        st.booleans(),
    )
    def test_set_has_the_same_result_as_single_postings(self, transfers, forced):
        def run(at_once):
            accounts = [open_account("25"), open_account("25"), open_account("25")]
            force(accounts[2], "30")
            postings = [
                posting(move(accounts[debit], accounts[credit], str(amount)))
                for (debit, credit), amount in transfers
            ]
            outcome, done = "POSTED", 0
            try:
                with transaction.atomic():
                    for some in [postings] if at_once else zip(postings):
                        journal.post_set(some, book=SANDBOX, forced=forced)
                        done += len(some)
            except Refused as refusal:
                where = done + refusal.item, accounts.index(refusal.account_id)
                outcome = (refusal.outcome, *where, refusal.available, refusal.needed)
            return outcome, [money(account) for account in accounts], [*map(lines, accounts)]

        assert run(at_once=True) == run(at_once=False)


class TestForced:
    def test_missing_money_becomes_debt(self):
        ada = open_account("100")

        force(ada, "130")

        assert money(ada) == (-30, 0, 30)

    def test_available_money_is_taken_without_debt(self):
        ada = open_account("100")

        force(ada, "100")

        assert money(ada) == (0, 0, 0)

    def test_held_money_counts_as_missing(self):
        ada = open_account("100")
        hold(ada, "80")

        force(ada, "50")

        assert money(ada) == (50, 80, 30)

    def test_frozen_account_can_be_debited(self):
        ada = open_account("100", state=FROZEN)

        force(ada, "130")

        assert money(ada) == (-30, 0, 30)

    def test_every_credit_pays_the_debt_first(self):
        ada, bob = open_account("0"), open_account("100")
        force(ada, "30")

        transfer(bob, ada, "10")
        assert money(ada) == (-20, 0, 20)
        refused("DEBT", transfer, ada, bob, "0.01")
        deposit(ada, "25")

        assert money(ada) == (5, 0, 0)
        transfer(ada, bob, "5")

    def test_debit_and_credit_in_one_posting_are_netted(self):
        ada, bob = open_account("10"), open_account("100")

        post(posting(move(ada, bob, "30"), move(bob, ada, "25")), forced=True)

        assert money(ada) == (5, 0, 0)

    def test_repeat_adds_no_debt(self):
        ada = open_account()
        one = posting(move(ada, TREASURY, "30"))
        post(one, forced=True)

        post(one, forced=True)

        assert money(ada) == (-30, 0, 30)


class TestCeiling:
    def test_balance_stays_below_the_ceiling(self):
        most = CEILING - Decimal("0.00000001")
        ada = open_account(str(most))

        for amount in ("0.00000001", str(most)):
            refusal = refused("FULL", deposit, ada, amount)
            assert (refusal.account_id, refusal.item) == (ada, 0)

        assert money(ada)[0] == most

    def test_full_account_refuses_forced_credits(self):
        ada, bob = open_account(str(CEILING - 1)), open_account()

        assert refused("FULL", transfer, bob, ada, "1", forced=True).account_id == ada

    def test_full_account_is_named_with_its_item(self):
        ada, bob = open_account(str(CEILING - 2)), open_account("10")
        set_ = [posting(move(bob, ada, "1")), posting(move(bob, ada, "1"))]

        assert refused("FULL", post, *set_).item == 1

    def test_debt_has_no_ceiling(self):
        """No other account could owe it, so a debt has no ceiling."""
        ada = open_account()

        for _ in range(3):
            force(ada, str(CEILING - 1))

        assert money(ada) == (-3 * (CEILING - 1), 0, 3 * (CEILING - 1))
        deposit(ada, str(CEILING - 1))
        assert money(ada) == (-2 * (CEILING - 1), 0, 2 * (CEILING - 1))

    def test_sum_of_moves_must_stay_below_the_ceiling(self):
        ada, half = open_account(), str(CEILING / 2)

        refused("FULL", post, posting(move(TREASURY, ada, half), move(TREASURY, ada, half)))


class TestRollUp:
    def test_exact_balance_is_the_same_before_and_after(self):
        ada = open_account("100")
        for _ in range(3):
            transfer(ada, FEES, "0.25")
        before = find(FEES).balance, statements.exact_balance(FEES)

        journal.roll_up()

        assert before == (0, Decimal("0.75"))
        assert find(FEES).balance == statements.exact_balance(FEES) == Decimal("0.75")
        assert find(TREASURY).balance == statements.exact_balance(TREASURY) == 100
        assert not Unrolled.objects.exists()

    def test_adds_the_oldest_first_and_returns_how_many(self):
        for amount in ("1", "2", "4"):
            transfer(TREASURY, FEES, amount)  # a row for each of the two accounts

        assert journal.roll_up(2) == 2
        assert find(FEES).balance == 1
        assert journal.roll_up(100) == 4
        assert journal.roll_up(100) == 0
        assert find(FEES).balance == 7

    def test_every_kind_of_account_changes_on_its_normal_side(self):
        fields = {"is_system": True, "rail": "", "book": SANDBOX, "currency": "USD"}
        for account in LedgerAccount.objects.filter(**fields):
            if account.id != FEES:
                transfer(account.id, FEES, "3")
        exact = {a.id: a.exact_balance for a in LedgerAccount.objects.with_exact_balance()}

        journal.roll_up()

        assert {a.id: a.balance for a in LedgerAccount.objects.all()} == exact
        assert exact[TREASURY] == 3
        suspense = chart.system_id(SANDBOX, "SUSPENSE", "USD")
        assert exact[suspense] == -3
        transfer(FEES, suspense, "3")  # back to zero

    def test_system_accounts_have_no_ceiling(self):
        for _ in range(3):
            transfer(TREASURY, FEES, "999999999999")

        assert journal.roll_up() == 6
        assert find(FEES).balance == find(TREASURY).balance == 3 * Decimal(999_999_999_999)

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_roll_ups_share_the_work(self):
        ada = open_account("100")
        for _ in range(40):
            transfer(ada, FEES, "0.25")

        rolled = in_parallel(4, lambda n: journal.roll_up(15))

        assert sum(rolled) <= 41
        assert statements.exact_balance(FEES) == 10
        journal.roll_up()
        assert find(FEES).balance == 10

    @pytest.mark.django_db(transaction=True)
    def test_roll_up_does_not_wait_for_another(self):
        transfer(TREASURY, FEES, "1")

        with transaction.atomic():
            assert journal.roll_up() == 2
            assert in_parallel(1, lambda n: journal.roll_up()) == [0]

        assert find(FEES).balance == 1

    @pytest.mark.django_db(transaction=True)
    def test_roll_ups_racing_payments_keep_the_balance_right(self):
        accounts = [open_account("100") for _ in range(3)]
        finished = threading.Event()

        def work(number):
            if number < 3:
                for _ in range(25):
                    transfer(accounts[number], FEES, "0.25")
                return statements.exact_balance(FEES)
            if number < 5:
                while not finished.is_set():
                    journal.roll_up(7)
                return None
            seen = [statements.exact_balance(FEES)]
            while seen[-1] < Decimal("18.75") and len(seen) < 5_000:
                seen.append(statements.exact_balance(FEES))
                assert statements.out_of_balance() == 0
            finished.set()
            return seen

        *_, seen = in_parallel(6, work)

        assert seen == sorted(seen)  # only credits: a wrong moment would show as a decrease
        assert statements.exact_balance(FEES) == Decimal("18.75")

    @pytest.mark.django_db(transaction=True)
    def test_killed_roll_up_changes_nothing(self):
        transfer(TREASURY, FEES, "1")
        rolled, killed = threading.Event(), threading.Event()
        session = []

        def roll_up():
            try:
                with transaction.atomic():
                    session.append(run_sql("SELECT pg_backend_pid()")[0][0])
                    journal.roll_up()
                    rolled.set()
                    killed.wait(10)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            killed_run = pool.submit(roll_up)
            assert rolled.wait(10)
            run_sql("SELECT pg_terminate_backend(%s, 5000)", *session)
            killed.set()
            assert isinstance(killed_run.exception(10), OperationalError)

        assert (find(FEES).balance, statements.exact_balance(FEES)) == (0, 1)
        assert journal.roll_up() == 2
        assert find(FEES).balance == 1
