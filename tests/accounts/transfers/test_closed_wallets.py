"""What a bank takes back from a closed wallet is charged to the default wallet, never to us."""

import itertools
from contextlib import suppress
from decimal import Decimal
from importlib import import_module

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.ledger import chart, statements
from accounts.ledger import checks as books
from accounts.transfers.models import Transfer
from accounts.transfers.services import worker
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.ledger.test_checks import corrupted
from tests.accounts.payments.test_crashes import Strike
from tests.accounts.rails import stored
from tests.world import balance_of, error_of, facts_of, in_parallel
from wallgent.errors import InvalidState

pytestmark = pytest.mark.django_db

RETURNED = 10  # the fault of a bank account that takes its money back
BEFORE, AFTER = 5, 15  # seconds until a deposit is there, and until it is taken back


@pytest.fixture
def main(acme):
    return default_of(acme)


@pytest.fixture
def coins(acme):
    return world.make_wallet(acme, "Coins", currency="USDC")


def default_of(organization, currency: str = "USD") -> Wallet:
    return Wallet.objects.get(
        organization=organization, environment="SANDBOX", is_default=True, currency=currency
    )


def debt_of(wallet: Wallet) -> Decimal:
    return Wallet.objects.get(pk=wallet.pk).account.debt


def loss(currency: str = "USD") -> Decimal:
    """What fell on us."""
    return statements.exact_balance(chart.system_id("SANDBOX", "EXPENSES", currency))


def close(wallet: Wallet) -> None:
    with transaction.atomic():
        wallets.close(wallet, actor=world.actor_for(wallet.organization))


def pass_on(wallet: Wallet) -> None:
    """Move all that a wallet has to another of its organization."""
    other = world.make_wallet(wallet.organization, "Safe", currency=wallet.currency)
    order = {"from": wallet.id, "to": other.id, "amount": str(balance_of(wallet))}
    api = world.Client(world.make_key(wallet.organization))
    assert api.post("/v1/transfers/internal", order).status_code == 201


def abandon(wallet: Wallet, amount: str = "5000", **more) -> Transfer:
    """Receive money that a bank will take back, pass it on, and close the wallet."""
    transfer = rails.deposit(wallet, amount, fault=RETURNED, **more)
    rails.settle(wallet.organization, seconds=BEFORE)
    pass_on(wallet)
    close(wallet)
    return transfer


class TestCharge:
    def test_the_default_wallet_owes_what_the_bank_takes_back(self, acme, wallet, main):
        transfer = abandon(wallet)

        rails.settle(acme, seconds=AFTER)

        returned = stored(transfer)
        assert (returned.status, returned.charged_wallet) == ("RETURNED", main)
        assert (balance_of(main), debt_of(main), loss()) == (-5000, 5000, 0)
        assert balance_of(wallet) == 0
        assert books.differences() == []

    def test_what_the_default_wallet_has_covers_it_first(self, acme, wallet, main):
        world.fund(main, "2000")
        abandon(wallet)

        rails.settle(acme, seconds=AFTER)

        assert (balance_of(main), debt_of(main)) == (-3000, 3000)

    def test_what_comes_in_pays_it(self, acme, api, wallet, main, shop):
        abandon(wallet)
        rails.settle(acme, seconds=AFTER)
        order = {"from": main.id, "to": shop.id, "amount": "1"}
        world.fund(main, "4000")
        assert error_of(api.post("/v1/payments", order)) == "INSUFFICIENT_FUNDS"

        world.fund(main, "1100")

        assert (balance_of(main), debt_of(main)) == (100, 0)
        assert api.post("/v1/payments", order).status_code == 201

    def test_a_frozen_default_wallet_is_charged_all_the_same(self, acme, api, wallet, main):
        abandon(wallet)
        api.post(f"/v1/wallets/{main.id}/freeze")

        rails.settle(acme, seconds=AFTER)

        assert (debt_of(main), loss()) == (5000, 0)

    def test_it_has_room_for_any_debt(self, acme, main):
        for number in range(3):
            abandon(world.make_wallet(acme, f"Agent {number}"), "999999999999")
            rails.settle(acme, seconds=AFTER)

        assert debt_of(main) == 3 * 999_999_999_999
        assert books.differences() == []

    def test_of_two_organizations_each_is_charged_its_own(self, acme, globex, wallet, shop):
        first, second = abandon(wallet, "10"), abandon(shop, "20")
        for organization in (acme, globex):
            rails.settle(organization, seconds=AFTER)

        assert stored(first).charged_wallet.organization == acme
        assert stored(second).charged_wallet.organization == globex
        assert (debt_of(default_of(acme)), debt_of(default_of(globex))) == (10, 20)

    def test_a_wallet_that_is_still_open_owes_itself(self, acme, wallet, main):
        transfer = rails.deposit(wallet, fault=RETURNED)
        rails.settle(acme, seconds=BEFORE)
        pass_on(wallet)
        rails.settle(acme, seconds=AFTER)

        assert stored(transfer).charged_wallet is None
        assert (debt_of(wallet), debt_of(main)) == (25, 0)
        with pytest.raises(InvalidState):
            close(wallet)


class TestMissingDefault:
    def test_is_opened_for_the_charge(self, acme, coins):
        abandon(coins, may_convert=True)
        created = len(facts_of(acme, "wallet.created"))

        rails.settle(acme, seconds=AFTER)

        opened = default_of(acme, "USDC")
        assert (opened.name, opened.type, opened.organization) == ("Main USDC wallet", "ORG", acme)
        assert (balance_of(opened), debt_of(opened)) == (-5000, 5000)
        *_, told = facts_of(acme, "wallet.created")
        assert (told.subject, told.actor_type) == (opened.id, "SYSTEM")
        assert len(facts_of(acme, "wallet.created")) == created + 1
        assert (loss("USDC"), loss("USD"), books.differences()) == (0, 0, [])

    def test_is_opened_once(self, acme, coins):
        for number in range(2):
            abandon(world.make_wallet(acme, str(number), currency="USDC"), may_convert=True)
            rails.settle(acme, seconds=AFTER)

        assert debt_of(default_of(acme, "USDC")) == 10_000

    def test_cannot_be_closed(self, acme, coins):
        abandon(coins, may_convert=True)
        rails.settle(acme, seconds=AFTER)

        with pytest.raises(InvalidState, match="main wallet"):
            close(default_of(acme, "USDC"))

    def test_needs_no_room_in_the_plan(self, acme, coins):
        abandon(coins, may_convert=True)
        acme.custom_wallets = 0
        acme.save()

        rails.settle(acme, seconds=AFTER)

        assert debt_of(default_of(acme, "USDC")) == 5000

    @pytest.mark.parametrize("environment", ["SANDBOX", "PRODUCTION"])
    def test_is_one_for_each_environment_and_currency(self, acme, environment):
        actor = world.actor_for(acme, environment)
        found = {
            (wallets.default_of(actor=actor, currency=currency), currency)
            for currency in ("USD", "USDC")
            for _ in range(2)
        }

        assert len(found) == 2
        for wallet, currency in found:
            assert (wallet.environment, wallet.account.book) == (environment, environment)
            assert (wallet.currency, wallet.account.currency) == (currency, currency)
            assert wallet.is_default


class TestReason:
    def test_stands_on_the_page_of_the_default_wallet(self, acme, wallet, main):
        transfer = abandon(wallet)
        rails.settle(acme, seconds=AFTER)
        browser = world.browser(world.make_member(acme))

        page = browser.get(f"/{acme.id}/sandbox/wallets/{main.id}").text
        activity = browser.get(f"/{acme.id}/sandbox/wallets/{main.id}?show=activity").text

        assert "This wallet owes money" in page
        assert transfer.id in page
        assert "into wallet" in page
        assert wallet.name in page
        assert "5,000.00" in activity or "5000.00" in activity
        assert f"a deposit into closed wallet \N{FIRST STRONG ISOLATE}{wallet.name}" in activity

    def test_is_answered_with_the_transfer(self, acme, api, wallet, main):
        transfer = abandon(wallet)
        assert api.get(f"/v1/transfers/{transfer.id}").json()["chargedWalletId"] is None
        rails.settle(acme, seconds=AFTER)

        answer = api.get(f"/v1/transfers/{transfer.id}").json()

        assert (answer["walletId"], answer["chargedWalletId"]) == (wallet.id, main.id)

    def test_is_told_with_the_return(self, acme, wallet, main):
        transfer = abandon(wallet)
        rails.settle(acme, seconds=AFTER)

        [returned] = facts_of(acme, "transfer.returned")
        assert returned.data["chargedWalletId"] == main.id
        [charged] = facts_of(acme, "wallet.charged")
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


def test_interrupted_anywhere_it_is_charged_once(acme, coins):
    transfer = abandon(coins, may_convert=True)
    rails.advance(acme, seconds=AFTER)
    for number in itertools.count(1):
        strike = Strike(number, RuntimeError("the worker dies"))
        with transaction.atomic():
            connection.atomic_blocks[-1]._from_testcase = True  # what is durable is undone, too
            with connection.execute_wrapper(strike), suppress(RuntimeError):
                rails.sweep()
            rails.advance(acme, seconds=120)
            rails.sweep()
            rails.advance(acme, seconds=120)
            rails.sweep()
            assert stored(transfer).status == "RETURNED", strike.struck
            assert debt_of(default_of(acme, "USDC")) == 5000, strike.struck
            assert len(facts_of(acme, "wallet.charged")) == 1, strike.struck
            assert books.differences() == [], strike.struck
            transaction.set_rollback(True)
        if not strike.struck:
            break
    assert number > 20


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def attend(self, transfer):
        worker.check_now(Transfer.objects.select_related("organization").get(pk=transfer.pk))
        worker.attend(transfer.id)

    def test_a_return_that_is_reported_many_times_is_charged_once(self, acme, coins):
        transfer = abandon(coins, may_convert=True)
        rails.advance(acme, seconds=AFTER)

        in_parallel(6, lambda n: self.attend(transfer))
        self.attend(transfer)

        assert (stored(transfer).status, debt_of(default_of(acme, "USDC"))) == ("RETURNED", 5000)
        assert len(facts_of(acme, "wallet.charged")) == 1

    def test_returns_at_once_open_one_default_wallet(self, acme):
        agents = [world.make_wallet(acme, str(n), currency="USDC") for n in range(4)]
        deposit = {"fault": RETURNED, "may_convert": True}
        made = [rails.deposit(agent, "10", **deposit) for agent in agents]
        rails.settle(acme, seconds=BEFORE)
        for agent in agents:
            pass_on(agent)
            close(agent)
        rails.advance(acme, seconds=AFTER)

        in_parallel(len(made), lambda n: self.attend(made[n]))

        assert {stored(one).status for one in made} == {"RETURNED"}
        assert debt_of(default_of(acme, "USDC")) == 40

    def test_closing_and_a_return_agree_on_who_owes(self, acme, main):
        ends = set()
        for number in range(8):
            before = debt_of(main)
            agent = world.make_wallet(acme, f"Agent {number}")
            transfer = rails.deposit(agent, "10", fault=RETURNED)
            rails.settle(acme, seconds=BEFORE)
            pass_on(agent)
            rails.advance(acme, seconds=AFTER)

            def work(number, agent=agent, transfer=transfer):
                if number:
                    return self.attend(transfer)
                with suppress(InvalidState):
                    close(agent)

            in_parallel(2, work)
            self.attend(transfer)

            is_closed = Wallet.objects.get(pk=agent.pk).status == "CLOSED"
            assert (debt_of(agent), debt_of(main) - before) == ((0, 10) if is_closed else (10, 0))
            assert stored(transfer).status == "RETURNED"
            ends.add(is_closed)
        assert loss() == 0


def test_who_was_charged_before_is_found_by_the_migration(acme, wallet, main):
    transfer = abandon(wallet)
    rails.settle(acme, seconds=AFTER)
    Transfer.objects.update(charged_wallet=None)

    migration = import_module("accounts.migrations.0011_charges_of_closed_wallets")
    with connection.cursor() as cursor:
        cursor.execute(migration.CHARGED)

    assert stored(transfer).charged_wallet == main
    assert books.differences() == []


class TestProof:
    @pytest.fixture
    def things(self, acme, wallet, main):
        transfer = abandon(wallet)
        rails.settle(acme, seconds=AFTER)
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
                "transfer {transfer}: its return was not taken from whoever owes it",
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
    def test_check_books_finds_a_charge_to_somebody_else(self, things, sql, sentence):
        with corrupted(sql, things):
            assert sentence.format(**things) in books.differences()

    def test_the_database_refuses_a_charge_to_a_stranger(self, things, shop):
        with pytest.raises(IntegrityError, match="charged_wallet"), transaction.atomic():
            Transfer.objects.filter(pk=things["transfer"]).update(charged_wallet=shop)

    def test_the_database_refuses_a_charge_without_a_return(self, acme, wallet, main):
        transfer = rails.deposit(wallet)
        with pytest.raises(IntegrityError, match="transfer_charged"), transaction.atomic():
            Transfer.objects.filter(pk=transfer.pk).update(charged_wallet=main)
