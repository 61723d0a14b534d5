"""Returned deposits of closed wallets are charged to the default wallet, never to us."""

import itertools
from contextlib import suppress
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.ledger import chart, statements
from accounts.ledger import checks as ledger_checks
from accounts.transfers.models import Transfer
from accounts.transfers.services import worker
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.ledger.test_checks import corrupted
from tests.accounts.payments.test_crashes import FailAt
from tests.accounts.rails import stored
from tests.world import balance_of, error_of, events_of, in_parallel
from wallgent.errors import InvalidState

pytestmark = pytest.mark.django_db

RETURN_FAULT = 10  # the bank account whose deposits are returned
COMPLETED_SECONDS = 5  # until a deposit has completed
RETURNED_SECONDS = 15  # until it is returned


@pytest.fixture
def main(acme):
    return default_wallet_of(acme)


@pytest.fixture
def coins(acme):
    return world.make_wallet(acme, "Coins", currency="USDC")


def default_wallet_of(organization, currency: str = "USD") -> Wallet:
    return Wallet.objects.get(
        organization=organization, environment="SANDBOX", is_default=True, currency=currency
    )


def debt_of(wallet: Wallet) -> Decimal:
    return Wallet.objects.get(pk=wallet.pk).account.debt


def our_loss(currency: str = "USD") -> Decimal:
    """The balance of our expenses account."""
    return statements.exact_balance(chart.system_id("SANDBOX", "EXPENSES", currency))


def close(wallet: Wallet) -> None:
    with transaction.atomic():
        wallets.close(wallet, actor=world.actor_for(wallet.organization))


def empty(wallet: Wallet) -> None:
    """Move a wallet's whole balance to another wallet of its organization."""
    other = world.make_wallet(wallet.organization, "Safe", currency=wallet.currency)
    payment = {"from": wallet.id, "to": other.id, "amount": str(balance_of(wallet))}
    api = world.Client(world.make_key(wallet.organization))
    assert api.post("/v1/transfers/internal", payment).status_code == 201


def deposit_and_close(wallet: Wallet, amount: str = "5000", **options) -> Transfer:
    """Deposit money that the bank will return, move it elsewhere, and close the wallet."""
    transfer = rails.deposit(wallet, amount, fault=RETURN_FAULT, **options)
    rails.settle(wallet.organization, seconds=COMPLETED_SECONDS)
    empty(wallet)
    close(wallet)
    return transfer


class TestCharge:
    def test_returned_deposit_is_a_debt_of_the_default_wallet(self, acme, wallet, main):
        transfer = deposit_and_close(wallet)

        rails.settle(acme, seconds=RETURNED_SECONDS)

        returned = stored(transfer)
        assert (returned.status, returned.charged_wallet) == ("RETURNED", main)
        assert (balance_of(main), debt_of(main), our_loss()) == (-5000, 5000, 0)
        assert balance_of(wallet) == 0
        assert ledger_checks.differences() == []

    def test_balance_of_the_default_wallet_covers_it_first(self, acme, wallet, main):
        world.fund(main, "2000")
        deposit_and_close(wallet)

        rails.settle(acme, seconds=RETURNED_SECONDS)

        assert (balance_of(main), debt_of(main)) == (-3000, 3000)

    def test_incoming_money_pays_the_debt(self, acme, api, wallet, main, shop):
        deposit_and_close(wallet)
        rails.settle(acme, seconds=RETURNED_SECONDS)
        payment = {"from": main.id, "to": shop.id, "amount": "1"}
        world.fund(main, "4000")
        assert error_of(api.post("/v1/payments", payment)) == "INSUFFICIENT_FUNDS"

        world.fund(main, "1100")

        assert (balance_of(main), debt_of(main)) == (100, 0)
        assert api.post("/v1/payments", payment).status_code == 201

    def test_frozen_default_wallet_is_charged(self, acme, api, wallet, main):
        deposit_and_close(wallet)
        api.post(f"/v1/wallets/{main.id}/freeze")

        rails.settle(acme, seconds=RETURNED_SECONDS)

        assert (debt_of(main), our_loss()) == (5000, 0)

    def test_debt_has_no_wallet_limit(self, acme, main):
        for number in range(3):
            deposit_and_close(world.make_wallet(acme, f"Agent {number}"), "999999999999")
            rails.settle(acme, seconds=RETURNED_SECONDS)

        assert debt_of(main) == 3 * 999_999_999_999
        assert ledger_checks.differences() == []

    def test_each_organization_is_charged_its_own_returns(self, acme, globex, wallet, shop):
        first, second = deposit_and_close(wallet, "10"), deposit_and_close(shop, "20")
        for organization in (acme, globex):
            rails.settle(organization, seconds=RETURNED_SECONDS)

        assert stored(first).charged_wallet.organization == acme
        assert stored(second).charged_wallet.organization == globex
        assert (debt_of(default_wallet_of(acme)), debt_of(default_wallet_of(globex))) == (10, 20)

    def test_open_wallet_is_charged_itself(self, acme, wallet, main):
        transfer = rails.deposit(wallet, fault=RETURN_FAULT)
        rails.settle(acme, seconds=COMPLETED_SECONDS)
        empty(wallet)
        rails.settle(acme, seconds=RETURNED_SECONDS)

        assert stored(transfer).charged_wallet is None
        assert (debt_of(wallet), debt_of(main)) == (25, 0)
        with pytest.raises(InvalidState):
            close(wallet)


class TestMissingDefault:
    def test_is_created_for_the_charge(self, acme, coins):
        deposit_and_close(coins, may_convert=True)
        created_before = len(events_of(acme, "wallet.created"))

        rails.settle(acme, seconds=RETURNED_SECONDS)

        default = default_wallet_of(acme, "USDC")
        assert (default.name, default.type, default.organization) == (
            "Main USDC wallet",
            "ORG",
            acme,
        )
        assert (balance_of(default), debt_of(default)) == (-5000, 5000)
        *_, event = events_of(acme, "wallet.created")
        assert (event.subject, event.actor_type) == (default.id, "SYSTEM")
        assert len(events_of(acme, "wallet.created")) == created_before + 1
        assert (our_loss("USDC"), our_loss("USD"), ledger_checks.differences()) == (0, 0, [])

    def test_is_created_once(self, acme, coins):
        for number in range(2):
            deposit_and_close(
                world.make_wallet(acme, str(number), currency="USDC"), may_convert=True
            )
            rails.settle(acme, seconds=RETURNED_SECONDS)

        assert debt_of(default_wallet_of(acme, "USDC")) == 10_000

    def test_cannot_be_closed(self, acme, coins):
        deposit_and_close(coins, may_convert=True)
        rails.settle(acme, seconds=RETURNED_SECONDS)

        with pytest.raises(InvalidState, match="main wallet"):
            close(default_wallet_of(acme, "USDC"))

    def test_ignores_the_wallet_limit_of_the_plan(self, acme, coins):
        deposit_and_close(coins, may_convert=True)
        acme.custom_wallets = 0
        acme.save()

        rails.settle(acme, seconds=RETURNED_SECONDS)

        assert debt_of(default_wallet_of(acme, "USDC")) == 5000

    @pytest.mark.parametrize("environment", ["SANDBOX", "PRODUCTION"])
    def test_is_unique_for_each_environment_and_currency(self, acme, environment):
        actor = world.actor_for(acme, environment)
        found = {
            (wallets.get_or_create_default(actor=actor, currency=currency), currency)
            for currency in ("USD", "USDC")
            for _ in range(2)
        }

        assert len(found) == 2
        for wallet, currency in found:
            assert (wallet.environment, wallet.account.book) == (environment, environment)
            assert (wallet.currency, wallet.account.currency) == (currency, currency)
            assert wallet.is_default


class TestExplanation:
    def test_is_on_the_page_of_the_default_wallet(self, acme, wallet, main):
        transfer = deposit_and_close(wallet)
        rails.settle(acme, seconds=RETURNED_SECONDS)
        browser = world.browser(world.make_member(acme))

        page = browser.get(f"/{acme.id}/sandbox/wallets/{main.id}").text
        activity = browser.get(f"/{acme.id}/sandbox/wallets/{main.id}?show=activity").text

        assert "This wallet owes money" in page
        assert transfer.id in page
        assert "into wallet" in page
        assert wallet.name in page
        assert "5,000.00" in activity or "5000.00" in activity
        assert f"a deposit into closed wallet \N{FIRST STRONG ISOLATE}{wallet.name}" in activity

    def test_transfer_answers_the_charged_wallet(self, acme, api, wallet, main):
        transfer = deposit_and_close(wallet)
        assert api.get(f"/v1/transfers/{transfer.id}").json()["chargedWalletId"] is None
        rails.settle(acme, seconds=RETURNED_SECONDS)

        answer = api.get(f"/v1/transfers/{transfer.id}").json()

        assert (answer["walletId"], answer["chargedWalletId"]) == (wallet.id, main.id)

    def test_events_have_the_charged_wallet(self, acme, wallet, main):
        transfer = deposit_and_close(wallet)
        rails.settle(acme, seconds=RETURNED_SECONDS)

        [returned] = events_of(acme, "transfer.returned")
        assert returned.data["chargedWalletId"] == main.id
        [charged] = events_of(acme, "wallet.charged")
        assert (charged.subject, charged.actor_type, charged.is_public) == (
            main.id,
            "SYSTEM",
            False,
        )
        assert charged.data == {
            "walletId": main.id,
            "closedWalletId": wallet.id,
            "transferId": transfer.id,
            "transactionId": stored(transfer).return_transaction_id,
            "amount": "5000.00",
            "currency": "USD",
            "newBalance": "-5000.00",
            "debt": "5000.00",
            "environment": "SANDBOX",
        }


def test_return_is_charged_once_after_a_failure_at_any_query(acme, coins):
    transfer = deposit_and_close(coins, may_convert=True)
    rails.advance(acme, seconds=RETURNED_SECONDS)
    for number in itertools.count(1):
        failure = FailAt(number, RuntimeError("worker crashed"))
        with transaction.atomic():
            connection.atomic_blocks[
                -1
            ]._from_testcase = True  # durable blocks are rolled back, too
            with connection.execute_wrapper(failure), suppress(RuntimeError):
                rails.sweep()
            rails.advance(acme, seconds=120)
            rails.sweep()
            rails.advance(acme, seconds=120)
            rails.sweep()
            assert stored(transfer).status == "RETURNED", failure.statement
            assert debt_of(default_wallet_of(acme, "USDC")) == 5000, failure.statement
            assert len(events_of(acme, "wallet.charged")) == 1, failure.statement
            assert ledger_checks.differences() == [], failure.statement
            transaction.set_rollback(True)
        if not failure.statement:
            break
    assert number > 20


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def check(self, transfer):
        worker.check_now(Transfer.objects.select_related("organization").get(pk=transfer.pk))
        rails.work()

    def test_return_reported_repeatedly_is_charged_once(self, acme, coins):
        transfer = deposit_and_close(coins, may_convert=True)
        rails.advance(acme, seconds=RETURNED_SECONDS)

        in_parallel(6, lambda n: self.check(transfer))
        self.check(transfer)

        assert (stored(transfer).status, debt_of(default_wallet_of(acme, "USDC"))) == (
            "RETURNED",
            5000,
        )
        assert len(events_of(acme, "wallet.charged")) == 1

    def test_concurrent_returns_create_one_default_wallet(self, acme):
        wallets_to_close = [world.make_wallet(acme, str(n), currency="USDC") for n in range(4)]
        deposit = {"fault": RETURN_FAULT, "may_convert": True}
        transfers = [rails.deposit(wallet, "10", **deposit) for wallet in wallets_to_close]
        rails.settle(acme, seconds=COMPLETED_SECONDS)
        for wallet in wallets_to_close:
            empty(wallet)
            close(wallet)
        rails.advance(acme, seconds=RETURNED_SECONDS)

        in_parallel(len(transfers), lambda n: self.check(transfers[n]))

        assert {stored(transfer).status for transfer in transfers} == {"RETURNED"}
        assert debt_of(default_wallet_of(acme, "USDC")) == 40

    def test_concurrent_closing_and_return_charge_one_wallet(self, acme, main):
        closed_results = set()
        for number in range(8):
            before = debt_of(main)
            agent = world.make_wallet(acme, f"Agent {number}")
            transfer = rails.deposit(agent, "10", fault=RETURN_FAULT)
            rails.settle(acme, seconds=COMPLETED_SECONDS)
            empty(agent)
            rails.advance(acme, seconds=RETURNED_SECONDS)

            def work(number, agent=agent, transfer=transfer):
                if number:
                    return self.check(transfer)
                with suppress(InvalidState):
                    close(agent)

            in_parallel(2, work)
            self.check(transfer)

            is_closed = Wallet.objects.get(pk=agent.pk).status == "CLOSED"
            assert (debt_of(agent), debt_of(main) - before) == ((0, 10) if is_closed else (10, 0))
            assert stored(transfer).status == "RETURNED"
            closed_results.add(is_closed)
        assert our_loss() == 0


class TestCheckBooks:
    @pytest.fixture
    def ids_by_name(self, acme, wallet, main):
        transfer = deposit_and_close(wallet)
        rails.settle(acme, seconds=RETURNED_SECONDS)
        savings = world.make_wallet(acme, "Savings")
        returned = stored(transfer).return_transaction_id
        return {
            **{"transfer": transfer.id, "wallet": wallet.id, "main": main.id},
            **{"savings": savings.id, "account": savings.account_id, "return": returned},
            **{"expenses": chart.system_id("SANDBOX", "EXPENSES", "USD")},
        }

    @pytest.mark.parametrize(
        ("sql", "sentence"),
        [
            (
                "UPDATE accounts_transfer SET charged_wallet_id = NULL WHERE id = %(transfer)s",
                "transfer {transfer}: its return was not charged to the wallet that owes it",
            ),
            (
                "UPDATE ledger_entry SET account_id = %(expenses)s, line = NULL,"
                " balance_after = NULL WHERE transaction_id = %(return)s AND type = 'DEBIT'",
                "transaction {return}: over a rail, and charged to us",
            ),
            (
                "UPDATE accounts_transfer SET charged_wallet_id = %(savings)s"
                " WHERE id = %(transfer)s",
                "transfer {transfer}: its return is charged to wallet {savings} without a reason",
            ),
            (
                "UPDATE ledger_account SET state = 'ACTIVE' WHERE id ="
                " (SELECT account_id FROM accounts_wallet WHERE id = %(wallet)s)",
                "transfer {transfer}: its return is charged to wallet {main} without a reason",
            ),
            (
                "UPDATE ledger_account SET state = 'CLOSED', balance = 0, debt = 0 WHERE id ="
                " (SELECT account_id FROM accounts_wallet WHERE id = %(main)s)",
                "wallet {main}: a default wallet, and closed",
            ),
        ],
    )
    def test_finds_a_charge_to_a_wrong_account(self, ids_by_name, sql, sentence):
        with corrupted(sql, ids_by_name):
            assert sentence.format(**ids_by_name) in ledger_checks.differences()

    def test_database_refuses_a_charge_to_another_organization(self, ids_by_name, shop):
        with pytest.raises(IntegrityError, match="charged_wallet"), transaction.atomic():
            Transfer.objects.filter(pk=ids_by_name["transfer"]).update(charged_wallet=shop)

    def test_database_refuses_a_charge_without_a_return(self, acme, wallet, main):
        transfer = rails.deposit(wallet)
        with pytest.raises(IntegrityError, match="transfer_charged"), transaction.atomic():
            Transfer.objects.filter(pk=transfer.pk).update(charged_wallet=main)
