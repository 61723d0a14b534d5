"""Withdrawals, deposits, cancellations and returns of transfers."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from accounts.ledger import holds
from accounts.ledger.models import Hold
from accounts.transfers.models import SimulatorEntry, SimulatorOrder, Suspended, Transfer
from accounts.transfers.rails import simulator
from accounts.transfers.rails.base import Address, Bank
from accounts.transfers.services import orders
from accounts.wallets import services as wallets
from accounts.wallets.errors import InsufficientFunds, WalletFrozen
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.rails import PURPOSE, stored
from tests.world import available_of, balance_of, events_of
from wallgent import ids
from wallgent.errors import InvalidAmount, InvalidState, NotAvailable, ValidationError

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(wallet):
    world.fund(wallet, "100")
    return Wallet.objects.get(pk=wallet.pk)


@pytest.fixture
def coins(acme):
    """A USDC wallet with 100."""
    return world.make_wallet(acme, "Coins", currency="USDC", funds="100")


def status_of(transfer) -> str:
    return stored(transfer).status


def balance_at_rails() -> Decimal:
    """Our balance at the simulated rails."""
    return sum((entry.amount for entry in SimulatorEntry.objects.all()), Decimal(0))


class TestWithdrawal:
    @pytest.mark.parametrize("rail_type", ["ACH", "WIRE", "FEDNOW"])
    def test_is_held_until_the_rail_reports_completion(self, acme, payer, rail_type):
        transfer = rails.withdraw(payer, "25", rail_type=rail_type)
        assert transfer.status == "PENDING"
        assert (balance_of(payer), available_of(payer)) == (100, 75)

        rails.sweep()
        assert status_of(transfer) == "PROCESSING"
        assert (balance_of(payer), available_of(payer), balance_at_rails()) == (100, 75, 0)

        rails.settle(acme)
        assert status_of(transfer) == "COMPLETED"
        assert (balance_of(payer), available_of(payer), balance_at_rails()) == (75, 75, -25)
        hold = Hold.objects.get(pk=stored(transfer).hold_id)
        assert (hold.captured, hold.remaining, hold.reason) == (25, 0, "transfer")

    def test_of_usdc_is_paid_to_an_address(self, acme, coins):
        transfer = rails.withdraw(coins, "12.345678", rail_type="USDC")
        rails.settle(acme)

        assert status_of(transfer) == "COMPLETED"
        assert balance_of(coins) == Decimal("87.654322")
        assert balance_at_rails() == Decimal("-12.345678")

    def test_captures_its_part_of_a_hold_of_its_purpose(self, acme, payer):
        hold = world.hold(payer, "60")
        with rails.recorded_outcomes() as outcomes:
            first, second = (
                rails.withdraw(payer, "20", purpose=PURPOSE, reference=ref, hold_id=hold, fault=n)
                for ref, n in (("a", 0), ("b", 2))
            )
            rails.settle(acme)

        assert sorted(outcomes) == sorted([(first.id, "COMPLETED"), (second.id, "FAILED")])
        stored_hold = Hold.objects.get(pk=hold)
        assert (stored_hold.captured, stored_hold.remaining, available_of(payer)) == (20, 40, 40)

    def test_records_an_event_for_each_status(self, acme, payer):
        transfer = rails.withdraw(payer, "25")
        rails.settle(acme)

        payload = {
            "transferId": transfer.id,
            "walletId": payer.id,
            "direction": "WITHDRAWAL",
            "railType": "ACH",
            "amount": "25.00",
            "currency": "USD",
            "fee": "0.00",
            "environment": "SANDBOX",
        }
        [created] = events_of(acme, "transfer.created")
        [processing] = events_of(acme, "transfer.processing")
        [completed] = events_of(acme, "transfer.completed")
        assert created.data == payload | {"status": "PENDING"}
        assert processing.data == payload | {"status": "PROCESSING"}
        assert completed.data == payload | {
            "status": "COMPLETED",
            "transactionId": stored(transfer).transaction_id,
            "completedAt": world.A_TIME,
        }
        assert {event.subject for event in (created, processing, completed)} == {transfer.id}

    def test_of_more_than_the_balance_is_refused(self, payer):
        with pytest.raises(InsufficientFunds):
            rails.withdraw(payer, "100.01")

    def test_from_a_frozen_wallet_is_refused(self, acme, payer):
        frozen = wallets.freeze(payer, actor=world.actor_for(acme))
        with pytest.raises(WalletFrozen):
            rails.withdraw(frozen)

    def test_is_submitted_only_after_its_wallet_is_unfrozen(self, acme, payer):
        transfer = rails.withdraw(payer)
        wallets.freeze(payer, actor=world.actor_for(acme))
        rails.settle(acme)
        assert status_of(transfer) == "PENDING"
        assert not SimulatorOrder.objects.exists()

        wallets.unfreeze(payer, actor=world.actor_for(acme))
        rails.advance(acme, seconds=30)
        rails.settle(acme)
        assert status_of(transfer) == "COMPLETED"

    def test_from_a_wallet_frozen_past_the_deadline_fails(self, acme, payer):
        transfer = rails.withdraw(payer)
        wallets.freeze(payer, actor=world.actor_for(acme))
        rails.sweep()
        rails.advance(acme, minutes=15)
        rails.settle(acme)

        assert (status_of(transfer), available_of(payer), balance_at_rails()) == ("FAILED", 100, 0)
        assert stored(transfer).failure_code == "EXPIRED"

    def test_completes_even_if_its_wallet_is_frozen_after_submission(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        wallets.freeze(payer, actor=world.actor_for(acme))
        rails.settle(acme)

        assert (status_of(transfer), balance_of(payer)) == ("COMPLETED", 75)

    def test_in_production_is_not_available(self, live_wallet):
        world.deposit(live_wallet, "100")
        with pytest.raises(NotAvailable):
            rails.withdraw(live_wallet)


class TestDeposit:
    def test_is_credited_on_completion(self, acme, wallet):
        transfer = rails.deposit(wallet, "25")
        rails.sweep()
        assert (status_of(transfer), balance_of(wallet)) == ("PROCESSING", 0)

        rails.settle(acme)
        assert (status_of(transfer), balance_of(wallet), balance_at_rails()) == (
            "COMPLETED",
            25,
            25,
        )
        [funded] = events_of(acme, "wallet.funded")
        assert funded.data == {
            "walletId": wallet.id,
            "transactionId": stored(transfer).transaction_id,
            "amount": "25.00",
            "currency": "USD",
            "newBalance": "25.00",
            "source": transfer.id,
            "environment": "SANDBOX",
        }

    def test_into_a_closed_wallet_goes_into_suspense(self, acme, wallet):
        transfer = rails.deposit(wallet)
        wallets.close(wallet, actor=world.actor_for(acme))
        rails.settle(acme)

        assert (status_of(transfer), balance_at_rails()) == ("COMPLETED", 25)
        assert events_of(acme, "wallet.funded") == []
        [suspended] = Suspended.objects.waiting()
        assert (suspended.transfer_id, suspended.amount, suspended.currency) == (
            transfer.id,
            25,
            "USD",
        )
        [event] = events_of(acme, "transfer.suspended")
        assert (event.data["amount"], event.is_public) == ("25.00", False)

    def test_into_a_full_wallet_goes_into_suspense(self, acme, wallet):
        world.deposit(wallet, "999999999990")
        transfer = rails.deposit(wallet)
        rails.settle(acme)

        assert (status_of(transfer), balance_at_rails()) == ("COMPLETED", 25)
        assert balance_of(wallet) == 999_999_999_990
        assert events_of(acme, "wallet.funded") == []

    def test_of_usdc_is_refused(self, coins):
        with pytest.raises(AssertionError):
            rails.deposit(coins, rail_type="USDC")


class TestCounterparty:
    def test_is_stored_encrypted_and_shown_masked(self, acme, payer, caplog):
        number = "00099887766554"
        transfer = rails.withdraw(payer, destination=rails.bank(number=number))
        with caplog.at_level("DEBUG"):
            rails.settle(acme)
        assert number not in caplog.text

        transfer = stored(transfer)
        assert (transfer.account_last4, transfer.account_name) == ("6554", "Grace Hopper")
        assert transfer.bank_name
        assert transfer.decrypted_counterparty()["account_number"] == number
        assert SimulatorOrder.objects.get().party == "…6554"
        for table in ("accounts_transfer", "accounts_simulatororder", "wallgent_event"):
            assert number not in table_text(table)
        assert number not in repr(rails.bank(number=number))

    @pytest.mark.parametrize(
        ("counterparty", "field"),
        [
            (Bank("011000016", "123456789"), "destination.routingNumber"),
            (Bank("011000015", "123"), "destination.accountNumber"),
            (Bank("011000015", "12345678x"), "destination.accountNumber"),
            (Bank("011000015", "123456789", "x" * 141), "destination.accountName"),
            (Address("0x52908400098527886E0F7030069857D2E4169EE7"), "destination"),
        ],
    )
    def test_must_be_a_bank_account(self, payer, counterparty, field):
        with pytest.raises(ValidationError) as error:
            rails.withdraw(payer, destination=counterparty)
        assert list(error.value.details["fields"]) == [field]
        assert not Transfer.objects.exists()

    @pytest.mark.parametrize(
        ("counterparty", "field"),
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
    def test_must_be_an_address(self, coins, counterparty, field):
        with pytest.raises(ValidationError) as error:
            rails.withdraw(coins, rail_type="USDC", destination=counterparty)
        assert list(error.value.details["fields"]) == [field]

    def test_chain_name_is_case_insensitive(self, coins):
        address = Address("0x52908400098527886E0F7030069857D2E4169EE7", "Ethereum")
        transfer = rails.withdraw(coins, rail_type="USDC", destination=address)
        assert (transfer.chain, transfer.address) == ("ethereum", address.address)


class TestAmount:
    @pytest.mark.parametrize("amount", ["0.001", "25.005"])
    def test_of_dollars_has_at_most_2_decimals(self, payer, amount):
        with pytest.raises(InvalidAmount):
            rails.withdraw(payer, amount)

    def test_of_usdc_has_at_most_6_decimals(self, coins):
        with pytest.raises(InvalidAmount):
            rails.withdraw(coins, "1.0000001", rail_type="USDC")
        with pytest.raises(InvalidAmount):
            rails.expect(coins, "1.0000001")


class TestCurrency:
    def test_of_wallet_and_rail_must_match(self, payer, coins):
        with pytest.raises(ValidationError):
            rails.withdraw(payer, rail_type="USDC")
        with pytest.raises(ValidationError):
            rails.withdraw(coins, rail_type="ACH")
        with pytest.raises(ValidationError):
            rails.deposit(coins)
        with pytest.raises(ValidationError):
            rails.expect(payer)

    def test_is_converted_one_to_one_if_allowed(self, acme, payer):
        transfer = rails.withdraw(payer, "10", rail_type="USDC", may_convert=True)
        rails.settle(acme)

        assert (status_of(transfer), balance_of(payer), balance_at_rails()) == (
            "COMPLETED",
            90,
            -10,
        )
        assert SimulatorEntry.objects.get().currency == "USDC"

    def test_is_converted_back_by_a_return(self, acme, coins):
        transfer = rails.withdraw(coins, "10", fault=10, may_convert=True)
        rails.settle(acme)
        assert balance_of(coins) == 90

        rails.settle(acme, seconds=15)
        assert (status_of(transfer), balance_of(coins), balance_at_rails()) == ("RETURNED", 100, 0)


class TestCancelling:
    def test_before_submission_is_immediate(self, acme, payer):
        with rails.recorded_outcomes() as outcomes:
            transfer = rails.withdraw(payer, purpose=PURPOSE)
            rails.cancel(transfer)
        rails.settle(acme)

        assert outcomes == [(transfer.id, "CANCELLED")]
        assert (status_of(transfer), available_of(payer)) == ("CANCELLED", 100)
        assert not SimulatorOrder.objects.exists()
        [event] = events_of(acme, "transfer.cancelled")
        assert event.data["status"] == "CANCELLED"

    def test_after_submission_waits_for_the_rail(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        canceled = rails.cancel(transfer)
        assert (canceled.status, available_of(payer)) == ("PROCESSING", 75)

        rails.settle(acme)
        assert (status_of(transfer), available_of(payer), balance_at_rails()) == (
            "CANCELLED",
            100,
            0,
        )

    def test_has_no_effect_after_the_money_moved(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.sweep()
        rails.advance(acme, seconds=10)
        rails.cancel(stored(transfer))
        rails.sweep()

        assert (status_of(transfer), balance_of(payer)) == ("COMPLETED", 75)

    def test_of_an_ended_transfer_is_refused(self, acme, payer):
        transfer = rails.withdraw(payer)
        rails.settle(acme)
        with pytest.raises(InvalidState):
            rails.cancel(transfer)


class TestReturns:
    def test_of_a_spent_deposit_leaves_a_debt(self, acme, wallet, savings):
        with rails.recorded_outcomes() as outcomes:
            transfer = rails.deposit(wallet, "25", fault=10, purpose=PURPOSE)
            rails.settle(acme)
            assert balance_of(wallet) == 25
            rails.withdraw(wallet, "20")
            rails.settle(acme)
            rails.settle(acme, seconds=15)

        transfer = stored(transfer)
        account = Wallet.objects.get(pk=wallet.pk).account
        assert outcomes == [(transfer.id, "COMPLETED"), (transfer.id, "RETURNED")]
        assert (transfer.status, transfer.failure_code) == ("RETURNED", "R10")
        assert (account.balance, account.debt, balance_at_rails()) == (-20, 20, -20)
        [event] = events_of(acme, "transfer.returned")
        assert event.data["failureCode"] == "R10"
        assert event.data["transactionId"] == transfer.return_transaction_id
        with pytest.raises(InsufficientFunds):
            rails.withdraw(Wallet.objects.get(pk=wallet.pk), "1")

    def test_of_a_held_deposit_is_a_debt_until_the_hold_is_released(self, acme, wallet):
        rails.deposit(wallet, "25", fault=10)
        rails.settle(acme)
        hold = world.hold(Wallet.objects.get(pk=wallet.pk), "25")
        rails.settle(acme, seconds=15)
        assert Wallet.objects.get(pk=wallet.pk).account.debt == 25

        holds.release(hold, operation=ids.to_uuid(ids.new("op")))
        assert Wallet.objects.get(pk=wallet.pk).account.debt == 0

    def test_of_a_withdrawal_credits_the_wallet(self, acme, payer):
        transfer = rails.withdraw(payer, "25", fault=10)
        rails.settle(acme)
        assert (status_of(transfer), balance_of(payer)) == ("COMPLETED", 75)

        rails.settle(acme, seconds=15)
        assert (status_of(transfer), balance_of(payer), balance_at_rails()) == ("RETURNED", 100, 0)

    @pytest.mark.parametrize("direction", ["DEPOSIT", "WITHDRAWAL"])
    def test_to_a_closed_wallet_are_posted(self, acme, wallet, direction):
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

    def test_reported_before_the_completion_are_posted_with_it(self, acme, wallet):
        with rails.recorded_outcomes() as outcomes:
            transfer = rails.deposit(wallet, "25", fault=10, purpose=PURPOSE)
            rails.sweep()
            rails.advance(acme, days=3)
            rails.sweep()

        assert [outcome for _, outcome in outcomes] == ["COMPLETED", "RETURNED"]
        assert (status_of(transfer), balance_of(wallet)) == ("RETURNED", 0)


class TestPurpose:
    def test_must_have_a_handler(self, payer):
        with pytest.raises(AssertionError):
            rails.withdraw(payer, purpose="unknown")

    def test_failing_handler_rolls_back_the_posting_and_is_retried(self, acme, payer):
        def fail(transfer, outcome, *, actor):
            raise RuntimeError("not now")

        with rails.handler(fail):
            transfer = rails.withdraw(payer, purpose=PURPOSE)
            rails.sweep()
            rails.advance(acme, seconds=5)
            rails.sweep()
        assert (status_of(transfer), balance_of(payer)) == ("PROCESSING", 100)
        assert rails.row_of(transfer).error == "RuntimeError"

        with rails.recorded_outcomes() as outcomes:
            rails.advance(acme, seconds=60)
            rails.sweep()
        assert outcomes == [(transfer.id, "COMPLETED")]
        assert balance_of(payer) == 75

    def test_locks_its_rows_before_its_handler_runs(self, acme, payer):
        calls = []

        def lock(transfer):
            calls.append("lock")

        with rails.handler(lambda *_, **__: calls.append("handle"), lock=lock):
            rails.withdraw(payer, purpose=PURPOSE)
            rails.settle(acme)

        assert calls == ["lock", "lock", "handle"]


def test_quote_has_the_published_processing_times():
    quote = orders.quote("SANDBOX", "ACH")
    assert timedelta(0) < quote.usually_within < quote.cancelled_after
    assert quote == simulator.QUOTES["ACH"]
    with pytest.raises(NotAvailable):
        orders.quote("PRODUCTION", "ACH")


def table_text(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT string_agg(t::text, '|') FROM {table} t")
        return cursor.fetchone()[0]
