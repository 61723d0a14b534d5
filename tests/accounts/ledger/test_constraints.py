"""What the database itself refuses: raw SQL against the ledger's tables."""

from importlib import import_module

import pytest

from accounts.ledger import chart
from accounts.ledger.models import Entry, LedgerAccount
from accounts.wallets.models import Wallet
from tests.accounts.ledger.book import (
    PRODUCTION,
    SANDBOX,
    force,
    hold,
    open_account,
    refused_by,
    run_sql,
    transfer,
)
from tests.world import make_key
from wallgent import ids

pytestmark = pytest.mark.django_db

FEES = chart.fees(SANDBOX, "USD")
TREASURY = chart.treasury(SANDBOX, "USD")


ENTRY = (
    "INSERT INTO ledger_entry"
    " (created_at, id, transaction_id, account_id, type, amount, book, currency"
)


def attempt(constraint: str, sql: str, *values) -> None:
    """Run SQL that must be refused by `constraint`."""
    with refused_by(constraint):
        run_sql(sql, *values)


def insert_transaction(book: str = SANDBOX) -> str:
    """Insert a transaction without entries. Returns its id."""
    id = ids.new("txn")
    run_sql(
        "INSERT INTO ledger_transaction (id, book, reason, memo, created_at)"
        " VALUES (%s, %s, 'test', '', now())",
        id,
        book,
    )
    return id


def insert_entries(*entries: tuple) -> None:
    """Insert entries in one statement: transaction, account, side, amount, in its book's USD."""
    row = "(now(), uuidv7(), %s, %s, %s, %s::numeric, %s, 'USD')"
    values = [v for entry in entries for v in (entry if len(entry) == 5 else (*entry, SANDBOX))]
    run_sql(f"{ENTRY}) VALUES {', '.join([row] * len(entries))}", *values)


class TestHistory:
    """Written rows are never changed or deleted."""

    @pytest.fixture
    def _history(self):
        ada = open_account("100")
        transfer(ada, open_account(), "10")
        hold(ada, "10")

    @pytest.mark.usefixtures("_history")
    @pytest.mark.parametrize(
        ("table", "change"),
        [
            ("ledger_entry", "amount = amount + 1"),
            ("ledger_entry", "balance_after = 0"),
            ("ledger_entry", "created_at = now()"),
            ("ledger_transaction", "memo = 'another'"),
            ("ledger_transaction", "created_at = now()"),
            ("ledger_holdoperation", "amount = 1"),
        ],
    )
    def test_rows_cannot_be_updated(self, table, change):
        attempt("append-only", f"UPDATE {table} SET {change}")

    @pytest.mark.usefixtures("_history")
    @pytest.mark.parametrize(
        "table", ["ledger_entry", "ledger_transaction", "ledger_holdoperation"]
    )
    def test_rows_cannot_be_deleted(self, table):
        attempt("append-only", f"DELETE FROM {table}")

    @pytest.mark.usefixtures("_history")
    def test_rows_cannot_be_changed_by_upsert_or_merge(self):
        attempt(
            "append-only",
            "INSERT INTO ledger_entry SELECT * FROM ledger_entry"
            " ON CONFLICT (id) DO UPDATE SET amount = EXCLUDED.amount + 1",
        )
        attempt(
            "append-only",
            "MERGE INTO ledger_entry e USING ledger_transaction t ON e.transaction_id = t.id"
            " WHEN MATCHED THEN DELETE",
        )

    @pytest.mark.usefixtures("_history")
    def test_accounts_and_holds_with_a_history_cannot_be_deleted(self):
        attempt("ledger_entry", "DELETE FROM ledger_account WHERE kind = 'WALLET'")
        attempt("ledger_holdoperation", "DELETE FROM ledger_hold")


class TestEntries:
    def test_entries_balance(self):
        for first, second in (
            ((TREASURY, "DEBIT", "1"), (FEES, "CREDIT", "0.99")),
            ((TREASURY, "DEBIT", "1"), (FEES, "DEBIT", "1")),
            ((TREASURY, "DEBIT", "NaN"), (FEES, "CREDIT", "NaN")),
        ):
            with refused_by("ledger_transaction_balances"):
                id = insert_transaction()
                insert_entries((id, *first), (id, *second))

    def test_single_entry_does_not_balance(self):
        with refused_by("ledger_transaction_balances"):
            insert_entries((insert_transaction(), TREASURY, "DEBIT", "1"))

    def test_entries_balance_in_every_currency(self):
        coins = chart.treasury(SANDBOX, "USDC")

        with refused_by("ledger_transaction_balances"):
            run_sql(
                f"{ENTRY}) VALUES (now(), uuidv7(), %s, %s, 'DEBIT', 1, 'SANDBOX', 'USD'),"
                " (now(), uuidv7(), %s, %s, 'CREDIT', 1, 'SANDBOX', 'USDC')",
                *(id := insert_transaction(), TREASURY, id, coins),
            )
        with refused_by("ledger_entry_account_in_its_book"):
            insert_entries(
                (id := insert_transaction(), TREASURY, "DEBIT", "1"), (id, coins, "CREDIT", "1")
            )

    def test_each_transaction_balances_by_itself(self):
        with refused_by("ledger_transaction_balances"):
            insert_entries(
                (insert_transaction(), TREASURY, "DEBIT", "1"),
                (insert_transaction(), FEES, "CREDIT", "1"),
            )

    @pytest.mark.parametrize("amount", ["0", "-1"])
    def test_amounts_are_positive(self, amount):
        with refused_by("ledger_entry_amount_positive"):
            insert_entries(
                (id := insert_transaction(), TREASURY, "DEBIT", amount),
                (id, FEES, "CREDIT", amount),
            )

    def test_no_entry_can_be_added_to_an_old_transaction(self):
        old = transfer(TREASURY, FEES, "1")

        with refused_by("ledger_transaction_balances"):
            insert_entries((old, TREASURY, "DEBIT", "1"), (old, FEES, "CREDIT", "1"))

    def test_transaction_without_entries_is_refused(self):
        with refused_by("ledger_transaction_has_entries"):
            insert_transaction()

    def test_entries_have_the_book_of_their_transaction(self):
        live, live_fees = open_account(book=PRODUCTION), chart.fees(PRODUCTION, "USD")

        with refused_by("ledger_transaction_has_entries"):
            insert_entries(
                (id := insert_transaction(), TREASURY, "DEBIT", "1", SANDBOX),
                (id, live, "CREDIT", "1", PRODUCTION),
            )
        with refused_by("ledger_transaction_has_entries"):
            insert_entries(
                (id := insert_transaction(SANDBOX), live_fees, "DEBIT", "1", PRODUCTION),
                (id, live, "CREDIT", "1", PRODUCTION),
            )

    def test_entries_have_the_book_of_their_account(self):
        live = open_account(book=PRODUCTION)

        with refused_by("ledger_entry_account_in_its_book"):
            insert_entries(
                (id := insert_transaction(), TREASURY, "DEBIT", "1"), (id, live, "CREDIT", "1")
            )

    def test_entries_need_a_transaction_and_an_account(self):
        with refused_by("ledger_entry_transaction_id"):
            insert_entries(
                (id := ids.new("txn"), TREASURY, "DEBIT", "1"), (id, FEES, "CREDIT", "1")
            )
        with refused_by("ledger_entry_account_in_its_book"):
            insert_entries(
                (id := insert_transaction(), TREASURY, "DEBIT", "1"),
                (id, ids.new("acc"), "CREDIT", "1"),
            )

    def test_line_number_is_unique_and_has_a_balance(self):
        ada = open_account("100")
        written = Entry.objects.get(account=ada).id
        columns = "now(), uuidv7(), transaction_id, account_id, type, amount, book, currency"

        attempt(
            "ledger_entry_line_unique",
            f"{ENTRY}, line, balance_after) SELECT {columns}, line, balance_after"
            " FROM ledger_entry WHERE id = %s",
            written,
        )
        attempt(
            "ledger_entry_line_has_balance",
            f"{ENTRY}, line) SELECT {columns}, 2 FROM ledger_entry WHERE id = %s",
            written,
        )

    def test_transaction_is_reversed_once(self):
        first = transfer(TREASURY, FEES, "1")
        reverse = (
            "INSERT INTO ledger_transaction (id, book, reason, memo, reverses_id, created_at)"
            " SELECT uuidv7(), 'SANDBOX', 'test', '', %s, now() FROM generate_series(1, %s)"
        )

        attempt("ledger_transaction_reversed_once", reverse, first, 2)
        attempt("ledger_transaction_has_entries", reverse, first, 1)
        attempt("ledger_transaction_reverses_id", reverse, ids.new("txn"), 1)


class TestAccounts:
    @pytest.mark.parametrize(
        "change",
        [
            "balance = 59.99999999",
            "balance = -1",
            "held = 101",
            "held = -1",
            "debt = -1",
            "balance = 0, debt = 59",
        ],
    )
    def test_balance_covers_the_holds(self, change):
        ada = open_account("100")
        hold(ada, "60")

        attempt(
            "ledger_account_covers_its_holds",
            f"UPDATE ledger_account SET {change} WHERE id = %s",
            ada,
        )

    def test_only_an_empty_account_can_be_closed(self):
        rich, owing = open_account("1"), open_account()
        force(owing, "1")

        for account in (rich, owing):
            attempt(
                "ledger_closed_account_is_empty",
                "UPDATE ledger_account SET state = 'CLOSED' WHERE id = %s",
                account,
            )

    @pytest.mark.parametrize(
        "change",
        [
            "id = uuidv7()",
            "book = 'PRODUCTION'",
            "currency = 'USDC'",
            "owner = uuidv7()",
            "rail = 'ach'",
            "type = 'ASSET'",
            "is_system = true",
            "kind = 'FEES', type = 'REVENUE', is_system = true",
        ],
    )
    def test_identity_of_an_account_cannot_change(self, change):
        ada = open_account()

        attempt("ledger_account_identity", f"UPDATE ledger_account SET {change} WHERE id = %s", ada)

    @pytest.mark.parametrize(
        "fields",
        [
            {"kind": "WALLET", "type": "ASSET", "is_system": False},
            {"kind": "WALLET", "type": "LIABILITY", "is_system": True},
            {"kind": "FEES", "type": "REVENUE", "is_system": False},
            {"kind": "FEES", "type": "LIABILITY", "is_system": True},
            {"kind": "LOOT", "type": "ASSET", "is_system": True},
            {"kind": "WALLET", "type": "LIABILITY", "is_system": False, "book": "LIVE"},
        ],
    )
    def test_new_account_needs_a_known_kind_and_book(self, fields):
        account = LedgerAccount(**{"book": SANDBOX, "currency": "USD", "rail": "x"} | fields)

        with refused_by("ledger_account_identity"):
            account.save(force_insert=True)

    def test_system_account_cannot_be_frozen(self):
        attempt(
            "ledger_account_identity",
            "UPDATE ledger_account SET state = 'FROZEN' WHERE id = %s",
            FEES,
        )


class TestHolds:
    @pytest.mark.parametrize(
        ("constraint", "change"),
        [
            ("ledger_hold_adds_up", "captured = 10"),
            ("ledger_hold_adds_up", "amount = 61"),
            ("ledger_hold_parts_not_negative", "captured = -10, remaining = 70"),
            ("ledger_hold_parts_not_negative", "released = -10, remaining = 70"),
            ("ledger_hold_ends_when_empty", "released = 60, remaining = 0"),
            ("ledger_hold_ends_when_empty", "ended_at = now()"),
            ("ledger_hold_ends_when_empty", "released = 70, remaining = -10"),
        ],
    )
    def test_parts_of_a_hold_add_up(self, constraint, change):
        held = hold(open_account("100"), "60")

        attempt(constraint, f"UPDATE ledger_hold SET {change} WHERE id = %s", held.id)

    def test_only_a_capture_has_a_transaction(self):
        ada = open_account("100")
        held, paid = hold(ada, "60"), transfer(ada, open_account(), "1")
        sql = (
            "INSERT INTO ledger_holdoperation"
            " (id, hold_id, type, amount, transaction_id, created_at)"
            " VALUES (uuidv7(), %s, %s, %s, %s, now())"
        )

        attempt("ledger_hold_operation_capture_posts", sql, held.id, "CAPTURE", 1, None)
        attempt("ledger_hold_operation_capture_posts", sql, held.id, "RELEASE", 1, paid)
        attempt("ledger_hold_operation_positive", sql, held.id, "RELEASE", 0, None)


class TestWallets:
    def test_an_organization_has_one_default_wallet(self, acme, wallet):
        attempt(
            "wallet_one_default",
            "UPDATE accounts_wallet SET is_default = true WHERE id = %s",
            wallet.id,
        )

    def test_production_wallet_has_no_sandbox_funds(self, acme):
        live = Wallet.objects.get(organization=acme, environment=PRODUCTION)

        attempt(
            "wallet_no_sandbox_funds_in_production",
            "UPDATE accounts_wallet SET sandbox_funds = 0.01 WHERE id = %s",
            live.id,
        )

    @pytest.mark.parametrize("funds", ["100000.01", "-0.01"])
    def test_sandbox_funds_have_a_ceiling(self, wallet, funds):
        attempt(
            "wallet_sandbox_funds_within_ceiling",
            "UPDATE accounts_wallet SET sandbox_funds = %s::numeric WHERE id = %s",
            funds,
            wallet.id,
        )

    def test_two_wallets_cannot_share_an_account(self, acme, wallet):
        main = Wallet.objects.get(organization=acme, environment=SANDBOX, is_default=True)

        attempt(
            "accounts_wallet_account_id",
            "UPDATE accounts_wallet SET account_id = %s WHERE id = %s",
            main.account_id,
            wallet.id,
        )

    def test_wallet_has_the_book_and_currency_of_its_account(self, wallet):
        for change in ("currency = 'USDC'", "environment = 'PRODUCTION'"):
            attempt(
                "wallet_account_in_its_currency",
                f"UPDATE accounts_wallet SET {change} WHERE id = %s",
                wallet.id,
            )

    def test_account_of_a_wallet_cannot_be_deleted(self, wallet):
        attempt(
            "wallet_account_in_its_currency",
            "DELETE FROM ledger_account WHERE id = %s",
            wallet.account_id,
        )


class TestApiKeys:
    @pytest.mark.parametrize(
        ("environment", "change"),
        [
            (SANDBOX, "environment = 'PRODUCTION'"),
            (PRODUCTION, "environment = 'SANDBOX'"),
            (SANDBOX, "environment = 'LIVE'"),
            (SANDBOX, "key_prefix = 'wg_live_123456'"),
            (PRODUCTION, "key_prefix = 'wg_test_123456'"),
            (SANDBOX, "key_prefix = 'sk_test_123456'"),
        ],
    )
    def test_key_prefix_matches_its_environment(self, acme, environment, change):
        make_key(acme, environment)
        attempt("api_key_prefix_of_its_environment", f"UPDATE accounts_apikey SET {change}")


class TestMigration:
    def test_backward_migration_removes_all_it_installed(self):
        migration = import_module("accounts.ledger.migrations.0002_posting")
        installed = installed_guards()

        run_sql(migration.BACKWARD)
        left = installed_guards()
        run_sql(migration.FORWARD.replace("%", "%%"))

        assert len(installed) > 10
        assert left == set()
        assert installed_guards() == installed


def installed_guards() -> set[str]:
    """The names of the ledger's functions, triggers and foreign keys that no model declares."""
    rows = run_sql(
        "SELECT proname FROM pg_proc WHERE proname ~ '^ledger_' UNION ALL"
        " SELECT tgname FROM pg_trigger WHERE tgname ~ '^ledger_' UNION ALL"
        " SELECT conname FROM pg_constraint WHERE conname = 'ledger_entry_account_in_its_book'"
    )
    return {name for (name,) in rows}
