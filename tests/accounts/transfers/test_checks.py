"""Database constraints of transfers, and the differences that check_books finds."""

import re
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.ledger import checks as ledger_checks
from accounts.transfers import checks as transfer_checks
from accounts.transfers.models import IncomingPayment, SimulatorEntry, SimulatorOrder, Transfer
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.ledger.test_checks import corrupted

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 2, tzinfo=UTC)
REAL = {"environment": "PRODUCTION", "is_test": False}


@pytest.fixture
def ids_by_name(acme, wallet):
    """The ids of a transfer of each kind, of 25 each, and of related objects, by name."""
    world.fund(wallet, "200")
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    hold = world.hold(Wallet.objects.get(pk=wallet.pk), "60")
    transfers = {
        "out": rails.withdraw(wallet),
        "in": rails.deposit(wallet),
        "failed": rails.withdraw(wallet, fault=1),
        "returned": rails.withdraw(wallet, fault=10),
        "awaited": rails.expect(coins),
        "parts": rails.expect(coins),
    }
    rails.sweep()
    rails.pay(transfers["awaited"], "25")
    rails.pay(transfers["parts"], "10")
    rails.settle(acme, seconds=20)
    rails.settle(acme, seconds=20)
    transfers["open"] = rails.withdraw(wallet)
    transfers["from a hold"] = rails.withdraw(wallet, hold_id=hold)
    transfer_ids = {name.replace(" ", "_"): transfer.id for name, transfer in transfers.items()}
    stored = rails.stored(transfers["out"])
    return transfer_ids | {
        "transaction": stored.transaction_id,
        "hold": stored.hold_id,
        "return": rails.stored(transfers["returned"]).return_transaction_id,
        "order": SimulatorOrder.objects.get(pk=stored.external_id).id,
        "wallet": wallet.id,
        "shared": hold,
    }


CORRUPTIONS = {
    "a transfer's amount": (
        "UPDATE accounts_transfer SET amount = 26 WHERE id = %(out)s",
        [
            "transfer {out}: COMPLETED over 26.00000000, the ledger moved -25.00000000",
            "transfer {out}: COMPLETED, and its hold keeps 0.00000000 and paid 25.00000000 of"
            " 25.00000000",
            "order {order}: no transfer ordered it from the simulator as it is",
        ],
    ),
    "a completion": (
        "UPDATE accounts_transfer SET status = 'FAILED', transaction_id = NULL,"
        " completed_at = NULL, failed_at = now() WHERE id = %(out)s",
        [
            "transaction {transaction}: over a rail, but without a transfer",
            "transfer {out}: FAILED, the ledger moved 0 and the simulator -25.00000000",
        ],
    ),
    "a rail": (
        "UPDATE accounts_transfer SET rail_type = 'WIRE' WHERE id = %(out)s",
        ["transfer {out}: goes by WIRE, the ledger moved it by ach"],
    ),
    "a hold on another wallet's account": (
        "UPDATE ledger_hold SET account_id = (SELECT account_id FROM accounts_wallet"
        " WHERE id <> %(wallet)s AND environment = 'SANDBOX' AND currency = 'USD' LIMIT 1)"
        " WHERE id = %(hold)s",
        ["transfer {out}: pays out of a hold on another account"],
    ),
    "the book of a transfer": (
        "UPDATE ledger_entry SET account_id = (SELECT id FROM ledger_account WHERE rail = 'ach'"
        " AND kind = 'TREASURY' AND book = 'PRODUCTION')"
        " WHERE transaction_id = %(transaction)s AND line IS NULL",
        ["transfer {out}: in SANDBOX, the ledger moved it in PRODUCTION"],
    ),
    "a currency": (
        "UPDATE accounts_transfer SET currency = 'USDC' WHERE id = %(out)s",
        ["transfer {out}: its wallet holds USD, not USDC"],
    ),
    "a return": (
        "UPDATE ledger_transaction SET reverses_id = NULL WHERE id = %(return)s",
        ["transfer {returned}: its return does not reverse what completed it"],
    ),
    "what was received": (
        "UPDATE accounts_transfer SET received = 12 WHERE id = %(parts)s",
        ["transfer {parts}: PROCESSING, with 12.00000000 of 25.00000000 received"],
    ),
    "an incoming payment": (
        "UPDATE accounts_incomingpayment SET amount = 24 WHERE transfer_id = %(awaited)s",
        [
            "transfer {awaited}: COMPLETED over 25.00000000, the ledger moved 25.00000000",
            "transfer {awaited}: COMPLETED, with 25.00000000 of 25.00000000 received",
        ],
    ),
    "a hold that is released": (
        "UPDATE ledger_hold SET captured = 0, released = 25 WHERE id = %(hold)s",
        [
            "transfer {out}: COMPLETED, and its hold keeps 0.00000000 and paid 0.00000000 of"
            " 25.00000000",
        ],
    ),
    "a hold that is too small": (
        "UPDATE ledger_hold SET remaining = 20, released = 40 WHERE id = %(shared)s",
        ["hold {shared}: keeps 20.00000000, transfers out of it need 25.00000000"],
    ),
    "a hold without a transfer": (
        "UPDATE accounts_transfer SET hold_id = %(shared)s, owns_hold = false WHERE id = %(out)s",
        ["hold {hold}: for a transfer that does not know it"],
    ),
    "a deleted entry at the rail": (
        "DELETE FROM accounts_simulatorentry WHERE order_id = %(order)s",
        [
            "transfer {out}: COMPLETED, the ledger moved -25.00000000 and the simulator 0",
            "order {order}: the simulator says COMPLETED, and has moved 0",
        ],
    ),
    "an entry at the rail": (
        "UPDATE accounts_simulatorentry SET amount = -24 WHERE order_id = %(order)s",
        [
            "transfer {out}: COMPLETED, the ledger moved -25.00000000 and the simulator"
            " -24.00000000",
            "order {order}: the simulator says COMPLETED, and has moved -24.00000000",
        ],
    ),
    "an unknown order at the rail": (
        "UPDATE accounts_simulatororder SET reference = uuidv7() WHERE id = %(order)s",
        [
            "transfer {out}: COMPLETED, the ledger moved -25.00000000 and the simulator 0",
            "order {order}: no transfer ordered it from the simulator as it is",
        ],
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_check_books_finds_direct_changes_of_the_data(ids_by_name, name):
    sql, sentences = CORRUPTIONS[name]
    assert ledger_checks.differences() == []
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_simulatorentry DISABLE TRIGGER USER")
    with corrupted(sql, ids_by_name):
        found = ledger_checks.differences()
        for sentence in sentences:
            assert sentence.format(**ids_by_name) in found
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_simulatorentry ENABLE TRIGGER USER")


def test_rail_may_be_ahead_of_the_ledger_until_the_next_check(acme, wallet):
    transfer = rails.deposit(wallet)
    rails.sweep()
    rails.advance(acme, seconds=5)
    rails.directory.by_name("simulator").poll(transfer.id)
    assert SimulatorEntry.objects.exists()
    assert ledger_checks.differences() == []


UNKNOWN = "org_00000000000000000000000001"  # the same in every process that collects tests


class TestConstraints:
    @pytest.mark.parametrize(
        ("name", "of", "change"),
        [
            ("amount_positive", "out", {"amount": 0}),
            ("amount_positive", "out", {"fee": -1}),
            ("moves_test_money_in_the_sandbox_only", "out", {"environment": "PRODUCTION"}),
            ("moves_test_money_in_the_sandbox_only", "out", {"environment": "LIVE"}),
            ("moves_money_that_its_provider_may", "out", REAL),
            ("moves_money_that_its_provider_may", "out", {"provider": "unknown"}),
            ("wallet_in_its_organization", "out", {"organization_id": UNKNOWN}),
            ("pays_out_of_a_hold", "out", {"hold": None}),
            ("pays_out_of_a_hold", "in", {"owns_hold": True}),
            ("posted_when_completed", "out", {"transaction": None}),
            ("return_posted_when_returned", "returned", {"return_transaction": None}),
            ("completed_at_with_status", "out", {"completed_at": None}),
            ("failed_at_with_status", "failed", {"failed_at": None}),
            ("cancelled_at_with_status", "out", {"cancelled_at": NOW}),
            ("returned_at_with_status", "returned", {"returned_at": None}),
        ],
        ids=str,
    )
    def test_of_transfer(self, ids_by_name, name, of, change):
        with pytest.raises(IntegrityError, match=f"transfer_{name}"), transaction.atomic():
            Transfer.objects.filter(pk=ids_by_name[of]).update(**change)

    @pytest.mark.parametrize("is_test", [True, False])
    def test_sandbox_takes_only_test_money_and_production_only_real_money(
        self, ids_by_name, acme, is_test
    ):
        """Also for a provider that may move both."""
        live = world.make_wallet(acme, "Live", environment="PRODUCTION")
        wallet_ids = {"SANDBOX": ids_by_name["wallet"], "PRODUCTION": live.id}
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(
                "ALTER TABLE accounts_transfer"
                " DROP CONSTRAINT transfer_moves_money_that_its_provider_may"
            )
        transfers = Transfer.objects.filter(pk=ids_by_name["open"])
        for environment, wallet_id in wallet_ids.items():
            change = {"environment": environment, "wallet_id": wallet_id, "is_test": is_test}
            with (
                pytest.raises(IntegrityError, match="test_money_in_the_sandbox_only")
                if is_test != (environment == "SANDBOX")
                else nullcontext(),
                transaction.atomic(),
            ):
                transfers.update(provider="stripe", **change)
                transaction.set_rollback(True)

    def test_simulator_transfers_are_marked_as_test_money(self, ids_by_name):
        assert set(Transfer.objects.values_list("provider", "is_test")) == {("simulator", True)}

    def test_two_transfers_cannot_share_an_address(self, ids_by_name):
        other = Transfer.objects.get(pk=ids_by_name["parts"]).address
        with pytest.raises(IntegrityError, match="address_unique"), transaction.atomic():
            Transfer.objects.filter(pk=ids_by_name["awaited"]).update(address=other)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("amount_positive", {"amount": 0}),
            ("credited_unless_wrong_chain", {"kind": "WRONG_CHAIN"}),
            ("credited_unless_wrong_chain", {"transaction": None}),
        ],
    )
    def test_of_incoming_payment(self, ids_by_name, name, change):
        with (
            pytest.raises(IntegrityError, match=f"incoming_payment_{name}"),
            transaction.atomic(),
        ):
            IncomingPayment.objects.update(**change)

    def test_incoming_payment_is_counted_once(self, ids_by_name):
        duplicate = IncomingPayment.objects.get(transfer=ids_by_name["parts"])
        duplicate.pk = IncomingPayment._meta.pk.generate()
        duplicate.transaction_id, duplicate.kind = None, "WRONG_CHAIN"
        with pytest.raises(IntegrityError, match="counted_once"), transaction.atomic():
            duplicate.save(force_insert=True)

    def test_simulator_stores_an_order_once(self, ids_by_name):
        duplicate = SimulatorOrder.objects.get(pk=ids_by_name["order"])
        duplicate.pk = SimulatorOrder._meta.pk.generate()
        with pytest.raises(IntegrityError, match="taken_once"), transaction.atomic():
            duplicate.save(force_insert=True)

    @pytest.mark.parametrize("sql", ["UPDATE {} SET amount = 1", "DELETE FROM {}"])
    def test_simulator_entries_are_append_only(self, ids_by_name, sql):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql.format("accounts_simulatorentry"))

    def test_status_changes_only_by_its_transitions(self):
        for end in ("FAILED", "RETURNED", "CANCELLED"):
            for status in Transfer.Status:
                with pytest.raises(AssertionError):
                    Transfer(status=end).advance(status, at=NOW)
        with pytest.raises(AssertionError):
            Transfer(status="PENDING").advance("COMPLETED", at=NOW)


def test_sentences_use_public_ids_instead_of_uuids(ids_by_name):
    with corrupted("UPDATE accounts_transfer SET amount = 26 WHERE id = %(out)s", ids_by_name):
        for sentence in ledger_checks.differences():
            assert not re.search(r"[0-9a-f]{8}-", sentence)


def test_query_reads_no_table_again_for_each_row(db):
    """Reading the accounts for each of 1,500 returned deposits took most of five seconds."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(f"EXPLAIN {transfer_checks.DIFFERENCES}")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "SubPlan" not in plan, plan
