"""Money out to a bank or a chain, and in from a bank: ordered, carried out, come to an end."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from accounts.errors import InsufficientFunds, WalletFrozen
from accounts.ledger import holds
from accounts.ledger.models import Hold
from accounts.transfers.models import SimulatorEntry, SimulatorOrder, Suspended, Transfer
from accounts.transfers.rails import simulator
from accounts.transfers.services import orders
from accounts.transfers.services.orders import Address, Bank
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.rails import PURPOSE, stored
from tests.world import available_of, balance_of, facts_of
from wallgent import ids
from wallgent.errors import InvalidAmount, InvalidState, NotAvailable, ValidationError

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(wallet):
    world.fund(wallet, "100")
    return Wallet.objects.get(pk=wallet.pk)


@pytest.fixture
def coins(acme):
    """A wallet of USDC."""
    return world.make_wallet(acme, "Coins", currency="USDC", funds="100")


def status_of(transfer) -> str:
    return stored(transfer).status


def moved() -> Decimal:
    """What the simulated rails keep for us."""
    return sum((entry.amount for entry in SimulatorEntry.objects.all()), Decimal(0))


class TestWithdrawal:
    @pytest.mark.parametrize("rail_type", ["ACH", "WIRE", "FEDNOW"])
    def test_is_held_until_the_rail_has_proven_it(self, acme, payer, rail_type):
        transfer = rails.withdraw(payer, "25", rail_type=rail_type)
        assert transfer.status == "PENDING"
        assert (balance_of(payer), available_of(payer)) == (100, 75)

        rails.sweep()
        assert status_of(transfer) == "PROCESSING"
        assert (balance_of(payer), available_of(payer), moved()) == (100, 75, 0)

        rails.settle(acme)
        assert status_of(transfer) == "COMPLETED"
        assert (balance_of(payer), available_of(payer), moved()) == (75, 75, -25)
        hold = Hold.objects.get(pk=stored(transfer).hold_id)
        assert (hold.captured, hold.remaining, hold.reason) == (25, 0, "transfer")

    def test_of_usdc_goes_to_an_address(self, acme, coins):
        transfer = rails.withdraw(coins, "12.345678", rail_type="USDC")
        rails.settle(acme)

        assert status_of(transfer) == "COMPLETED"
        assert balance_of(coins) == Decimal("87.654322")
        assert moved() == Decimal("-12.345678")

    def test_out_of_a_hold_of_its_purpose_takes_its_part(self, acme, payer):
        hold = world.hold(payer, "60")
        with rails.told() as heard:
            first, second = (
                rails.withdraw(payer, "20", purpose=PURPOSE, reference=ref, hold_id=hold, fault=n)
                for ref, n in (("a", 0), ("b", 2))
            )
            rails.settle(acme)

        assert sorted(heard) == sorted([(first.id, "COMPLETED"), (second.id, "FAILED")])
        kept = Hold.objects.get(pk=hold)
        assert (kept.captured, kept.remaining, available_of(payer)) == (20, 40, 40)

    def test_tells_each_step_in_the_contract_s_words(self, acme, payer):
        transfer = rails.withdraw(payer, "25")
        rails.settle(acme)

        said = {
            "transferId": transfer.id,
            "walletId": payer.id,
            "direction": "WITHDRAWAL",
            "railType": "ACH",
            "amount": "25.00",
            "currency": "USD",
            "fee": "0.00",
            "environment": "SANDBOX",
        }
        [created] = facts_of(acme, "transfer.created")
        [processing] = facts_of(acme, "transfer.processing")
        [completed] = facts_of(acme, "transfer.completed")
        assert created.data == said | {"status": "PENDING"}
        assert processing.data == said | {"status": "PROCESSING"}
        assert completed.data == said | {
            "status": "COMPLETED",
            "transactionId": stored(transfer).transaction_id,
            "completedAt": world.A_TIME,
        }
        assert {event.subject for event in (created, processing, completed)} == {transfer.id}

    def test_cannot_spend_what_is_not_there(self, payer):
        with pytest.raises(InsufficientFunds):
            rails.withdraw(payer, "100.01")

    def test_of_a_frozen_wallet_is_refused(self, acme, payer):
        frozen = wallets.freeze(payer, actor=world.actor_for(acme))
        with pytest.raises(WalletFrozen):
            rails.withdraw(frozen)

    def test_waits_while_its_wallet_is_frozen(self, acme, payer):
        transfer = rails.withdraw(payer)
        wallets.freeze(payer, actor=world.actor_for(acme))
        rails.settle(acme)
        assert status_of(transfer) == "PENDING"
        assert not SimulatorOrder.objects.exists()

        wallets.unfreeze(payer, actor=world.actor_for(acme))
        rails.advance(acme, seconds=30)
        rails.settle(acme)
        assert status_of(transfer) == "COMPLETED"

    def test_from_a_wallet_frozen_for_too_long_comes_to_nothing(self, acme, payer):
        transfer = rails.withdraw(payer)
        wallets.freeze(payer, actor=world.actor_for(acme))
        rails.sweep()
        rails.advance(acme, minutes=15)
        rails.settle(acme)

        assert (status_of(transfer), available_of(payer), moved()) == ("FAILED", 100, 0)
        assert stored(transfer).failure_code == "EXPIRED"

    def test_on_its_way_leaves_whatever_happens_to_the_wallet(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        wallets.freeze(payer, actor=world.actor_for(acme))
        rails.settle(acme)

        assert (status_of(transfer), balance_of(payer)) == ("COMPLETED", 75)

    def test_in_production_is_not_there_yet(self, live_wallet):
        world.deposit(live_wallet, "100")
        with pytest.raises(NotAvailable):
            rails.withdraw(live_wallet)


class TestDeposit:
    def test_is_credited_when_it_has_come(self, acme, wallet):
        transfer = rails.deposit(wallet, "25")
        rails.sweep()
        assert (status_of(transfer), balance_of(wallet)) == ("PROCESSING", 0)

        rails.settle(acme)
        assert (status_of(transfer), balance_of(wallet), moved()) == ("COMPLETED", 25, 25)
        [funded] = facts_of(acme, "wallet.funded")
        assert funded.data == {
            "walletId": wallet.id,
            "transactionId": stored(transfer).transaction_id,
            "amount": "25.00",
            "currency": "USD",
            "newBalance": "25.00",
            "source": transfer.id,
            "environment": "SANDBOX",
        }

    def test_into_a_wallet_closed_meanwhile_waits_in_suspense(self, acme, wallet):
        transfer = rails.deposit(wallet)
        wallets.close(wallet, actor=world.actor_for(acme))
        rails.settle(acme)

        assert (status_of(transfer), moved()) == ("COMPLETED", 25)
        assert facts_of(acme, "wallet.funded") == []
        [kept] = Suspended.objects.waiting()
        assert (kept.transfer_id, kept.amount, kept.currency) == (transfer.id, 25, "USD")
        [told] = facts_of(acme, "transfer.suspended")
        assert (told.data["amount"], told.is_public) == ("25.00", False)

    def test_that_a_wallet_cannot_hold_waits_in_suspense(self, acme, wallet):
        world.deposit(wallet, "999999999990")
        transfer = rails.deposit(wallet)
        rails.settle(acme)

        assert (status_of(transfer), moved()) == ("COMPLETED", 25)
        assert balance_of(wallet) == 999_999_999_990
        assert facts_of(acme, "wallet.funded") == []

    def test_over_a_chain_has_to_be_expected(self, coins):
        with pytest.raises(AssertionError):
            rails.deposit(coins, rail_type="USDC")


class TestParty:
    def test_is_kept_encrypted_and_shown_masked(self, acme, payer, caplog):
        number = "00099887766554"
        transfer = rails.withdraw(payer, destination=rails.bank(number=number))
        with caplog.at_level("DEBUG"):
            rails.settle(acme)
        assert number not in caplog.text

        transfer = stored(transfer)
        assert (transfer.account_last4, transfer.account_name) == ("6554", "Grace Hopper")
        assert transfer.bank_name
        assert transfer.party()["account_number"] == number
        assert SimulatorOrder.objects.get().party == "…6554"
        for table in ("accounts_transfer", "accounts_simulatororder", "events_event"):
            assert number not in everything_in(table)
        assert number not in repr(rails.bank(number=number))

    @pytest.mark.parametrize(
        ("party", "field"),
        [
            (Bank("011000016", "123456789"), "destination.routingNumber"),
            (Bank("011000015", "123"), "destination.accountNumber"),
            (Bank("011000015", "12345678x"), "destination.accountNumber"),
            (Bank("011000015", "123456789", "x" * 141), "destination.accountName"),
            (Address("0x52908400098527886E0F7030069857D2E4169EE7"), "destination"),
        ],
    )
    def test_must_be_a_bank_account(self, payer, party, field):
        with pytest.raises(ValidationError) as refusal:
            rails.withdraw(payer, destination=party)
        assert list(refusal.value.details["fields"]) == [field]
        assert not Transfer.objects.exists()

    @pytest.mark.parametrize(
        ("party", "field"),
        [
            (Address("0x52908400098527886E0F7030069857D2E4169eE7"), "destination.address"),
            (Address("0x12"), "destination.address"),
            (
                Address("0x52908400098527886E0F7030069857D2E4169EE7", "solana"),
                "destination.chain",
            ),
            (Bank("011000015", "123456789"), "destination"),
        ],
    )
    def test_must_be_an_address(self, coins, party, field):
        with pytest.raises(ValidationError) as refusal:
            rails.withdraw(coins, rail_type="USDC", destination=party)
        assert list(refusal.value.details["fields"]) == [field]

    def test_may_name_its_chain_in_any_case(self, coins):
        address = Address("0x52908400098527886E0F7030069857D2E4169EE7", "Ethereum")
        transfer = rails.withdraw(coins, rail_type="USDC", destination=address)
        assert (transfer.chain, transfer.address) == ("ethereum", address.address)


class TestAmount:
    @pytest.mark.parametrize("amount", ["0.001", "25.005"])
    def test_of_dollars_is_in_cents(self, payer, amount):
        with pytest.raises(InvalidAmount):
            rails.withdraw(payer, amount)

    def test_of_usdc_has_six_places(self, coins):
        with pytest.raises(InvalidAmount):
            rails.withdraw(coins, "1.0000001", rail_type="USDC")
        with pytest.raises(InvalidAmount):
            rails.expect(coins, "1.0000001")


class TestCurrency:
    def test_of_wallet_and_rail_agree(self, payer, coins):
        with pytest.raises(ValidationError):
            rails.withdraw(payer, rail_type="USDC")
        with pytest.raises(ValidationError):
            rails.withdraw(coins, rail_type="ACH")
        with pytest.raises(ValidationError):
            rails.deposit(coins)
        with pytest.raises(ValidationError):
            rails.expect(payer)

    def test_is_converted_one_to_one_where_that_is_allowed(self, acme, payer):
        transfer = rails.withdraw(payer, "10", rail_type="USDC", may_convert=True)
        rails.settle(acme)

        assert (status_of(transfer), balance_of(payer), moved()) == ("COMPLETED", 90, -10)
        assert SimulatorEntry.objects.get().currency == "USDC"

    def test_converted_is_converted_back_by_a_return(self, acme, coins):
        transfer = rails.withdraw(coins, "10", fault=10, may_convert=True)
        rails.settle(acme)
        assert balance_of(coins) == 90

        rails.settle(acme, seconds=15)
        assert (status_of(transfer), balance_of(coins), moved()) == ("RETURNED", 100, 0)


class TestCancelling:
    def test_is_done_at_once_while_the_rail_knows_nothing(self, acme, payer):
        with rails.told() as heard:
            transfer = rails.withdraw(payer, purpose=PURPOSE)
            rails.cancel(transfer)
        rails.settle(acme)

        assert heard == [(transfer.id, "CANCELLED")]
        assert (status_of(transfer), available_of(payer)) == ("CANCELLED", 100)
        assert not SimulatorOrder.objects.exists()
        [event] = facts_of(acme, "transfer.cancelled")
        assert event.data["status"] == "CANCELLED"

    def test_asks_the_rail_once_that_may_know(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        asked = rails.cancel(transfer)
        assert (asked.status, available_of(payer)) == ("PROCESSING", 75)

        rails.settle(acme)
        assert (status_of(transfer), available_of(payer), moved()) == ("CANCELLED", 100, 0)

    def test_comes_too_late_when_the_money_has_moved(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.advance(acme, seconds=10)
        rails.cancel(stored(transfer))
        rails.sweep()

        assert (status_of(transfer), balance_of(payer)) == ("COMPLETED", 75)

    def test_is_refused_when_it_has_ended(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.settle(acme)
        with pytest.raises(InvalidState):
            rails.cancel(transfer)


class TestReturns:
    def test_of_a_deposit_may_leave_a_debt(self, acme, wallet, savings):
        with rails.told() as heard:
            transfer = rails.deposit(wallet, "25", fault=10, purpose=PURPOSE)
            rails.settle(acme)
            assert balance_of(wallet) == 25
            rails.withdraw(wallet, "20")
            rails.settle(acme)
            rails.settle(acme, seconds=15)

        transfer = stored(transfer)
        account = Wallet.objects.get(pk=wallet.pk).account
        assert heard == [(transfer.id, "COMPLETED"), (transfer.id, "RETURNED")]
        assert (transfer.status, transfer.failure_code) == ("RETURNED", "R10")
        assert (account.balance, account.debt, moved()) == (-20, 20, -20)
        [event] = facts_of(acme, "transfer.returned")
        assert event.data["failureCode"] == "R10"
        assert event.data["transactionId"] == transfer.return_transaction_id
        with pytest.raises(InsufficientFunds):
            rails.withdraw(Wallet.objects.get(pk=wallet.pk), "1")

    def test_of_a_deposit_whose_money_is_held_is_a_debt_until_more_comes(self, acme, wallet):
        rails.deposit(wallet, "25", fault=10)
        rails.settle(acme)
        hold = world.hold(Wallet.objects.get(pk=wallet.pk), "25")
        rails.settle(acme, seconds=15)
        assert Wallet.objects.get(pk=wallet.pk).account.debt == 25

        holds.release(hold, operation=ids.to_uuid(ids.new("op")))
        assert Wallet.objects.get(pk=wallet.pk).account.debt == 0

    def test_of_a_withdrawal_brings_the_money_back(self, acme, payer):
        transfer = rails.withdraw(payer, "25", fault=10)
        rails.settle(acme)
        assert (status_of(transfer), balance_of(payer)) == ("COMPLETED", 75)

        rails.settle(acme, seconds=15)
        assert (status_of(transfer), balance_of(payer), moved()) == ("RETURNED", 100, 0)

    @pytest.mark.parametrize("direction", ["DEPOSIT", "WITHDRAWAL"])
    def test_find_a_closed_wallet(self, acme, wallet, direction):
        if direction == "WITHDRAWAL":
            world.fund(wallet, "25")
            wallet = Wallet.objects.get(pk=wallet.pk)
            transfer = rails.withdraw(wallet, "25", fault=10)
        else:
            transfer = rails.deposit(wallet, "25", fault=10)
            rails.settle(acme)
            rails.withdraw(wallet, "25")
        rails.sweep()
        rails.advance(acme, seconds=4)
        rails.sweep()
        wallets.close(wallet, actor=world.actor_for(acme))
        rails.settle(acme, seconds=15)

        assert status_of(transfer) == "RETURNED"
        assert balance_of(wallet) == 0

    def test_that_nobody_saw_coming_are_booked_with_their_completion(self, acme, wallet):
        with rails.told() as heard:
            transfer = rails.deposit(wallet, "25", fault=10, purpose=PURPOSE)
            rails.sweep()
            rails.advance(acme, days=3)
            rails.sweep()

        assert [outcome for _, outcome in heard] == ["COMPLETED", "RETURNED"]
        assert (status_of(transfer), balance_of(wallet)) == ("RETURNED", 0)


class TestPurpose:
    def test_must_be_known(self, payer):
        with pytest.raises(AssertionError):
            rails.withdraw(payer, purpose="nobody")

    def test_that_fails_undoes_the_booking_and_is_tried_again(self, acme, payer):
        def refuse(transfer, outcome, *, actor):
            raise RuntimeError("not now")

        with rails.handler(refuse):
            transfer = rails.withdraw(payer, purpose=PURPOSE)
            rails.sweep()
            rails.advance(acme, seconds=5)
            with pytest.raises(RuntimeError):
                rails.sweep()
        assert (status_of(transfer), balance_of(payer)) == ("PROCESSING", 100)

        with rails.told() as heard:
            rails.advance(acme, seconds=60)
            rails.sweep()
        assert heard == [(transfer.id, "COMPLETED")]
        assert balance_of(payer) == 75

    def test_locks_its_own_rows_before_the_transfer(self, acme, payer):
        order = []
        handle = {"lock": lambda transfer: order.append("lock")}
        with rails.handler(lambda *_, **__: order.append("told"), **handle):
            rails.withdraw(payer, purpose=PURPOSE)
            rails.settle(acme)

        assert order == ["lock", "lock", "told"]


def test_a_quote_says_when_money_arrives():
    quote = orders.quote("SANDBOX", "ACH")
    assert timedelta(0) < quote.usually_within < quote.given_up_after
    assert quote == simulator.QUOTES["ACH"]
    with pytest.raises(NotAvailable):
        orders.quote("PRODUCTION", "ACH")


def everything_in(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT string_agg(t::text, '|') FROM {table} t")
        return cursor.fetchone()[0]
