"""check_books finds and names every corruption that got past the database's own checks."""

import re
import uuid
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from accounts.ledger import chart, holds
from accounts.ledger import checks as ledger_checks
from accounts.ledger.journal import Move, Posting
from accounts.ledger.models import Entry
from accounts.payments.models import Payment
from tests.accounts.ledger import book
from tests.world import fund, make_wallet
from wallgent import ids

pytestmark = pytest.mark.django_db

MISSING_ACCOUNT = "acc_00000000000000000000000000"


@pytest.fixture
def ids_by_name(api, acme, wallet, shop):
    """The ids of some of everything that the ledger contains, by name."""
    savings, empty = make_wallet(acme, "Savings"), make_wallet(acme, "Empty")
    coins = make_wallet(acme, "Coins", currency="USDC")
    fund(wallet, "100")

    def pay(path, sender, recipient, amount):
        order = {"from": sender.id, "to": recipient.id, "amount": amount}
        answer = api.post(path, order).json()
        return answer.get("id") or answer["error"]["details"]["transactionId"]

    payment = pay("/v1/payments", wallet, shop, "10")
    returned = pay("/v1/payments", wallet, savings, "5")
    failed = pay("/v1/payments", wallet, shop, "1000")
    internal = pay("/v1/transfers/internal", wallet, savings, "20")
    api.post(f"/v1/payments/{returned}/reverse")
    hold = book.hold(wallet.account_id, "30").id
    capture = Posting(
        id=ids.new("txn"),
        moves=(Move(wallet.account_id, shop.account_id, Decimal(4), "USD"),),
        reason="test",
    )
    with transaction.atomic():
        holds.capture(hold, capture, amount=Decimal(4), operation=uuid.uuid4())
    ended = book.hold(wallet.account_id, "1").id
    with transaction.atomic():
        holds.release(ended, operation=uuid.uuid4())
    funding = Entry.objects.get(account=wallet.account_id, line=1)
    return {
        "wallet": wallet.id,
        "account": wallet.account_id,
        "shop": shop.id,
        "shop_account": shop.account_id,
        "empty": empty.id,
        "empty_account": empty.account_id,
        "coins_account": coins.account_id,
        "live": chart.treasury("PRODUCTION", "USD"),
        "fees": chart.fees("SANDBOX", "USD"),
        "treasury": chart.treasury("SANDBOX", "USD"),
        "payment": payment,
        "returned": returned,
        "reversal": Payment.objects.get(reversal_of=returned).id,
        "failed": failed,
        "internal": internal,
        "funding": funding.transaction_id,
        "entry": funding.id,
        "hold": hold,
        "ended": ended,
        "capture": capture.id,
        "missing": MISSING_ACCOUNT,
    }


# Only a superuser can skip triggers and foreign keys; the owner of a table can remove them.
_DISARM = """
    SET CONSTRAINTS ALL IMMEDIATE;
    DO $$
    DECLARE
        guard record;
    BEGIN
        FOR guard IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
                      WHERE contype = 'f' AND conrelid::regclass::text ~ '^(ledger|accounts)_' LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', guard.place, guard.conname);
        END LOOP;
        FOR guard IN SELECT DISTINCT tgrelid::regclass AS place FROM pg_trigger
                      WHERE NOT tgisinternal AND tgrelid::regclass::text ~ '^ledger_' LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', guard.place);
        END LOOP;
    END $$
"""


@contextmanager
def corrupted(sql: str, names: dict):
    """Run `sql` without triggers and foreign keys; roll everything back at the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DISARM)
        cursor.execute(sql, {name: ids.to_uuid(id) for name, id in names.items()})
        assert cursor.rowcount, "nothing was corrupted"
        yield
        transaction.set_rollback(True)


# The SQL of each corruption, and the sentences that name it.
CORRUPTIONS = {
    "a wallet's balance": (
        "UPDATE ledger_account SET balance = balance + 0.00000001 WHERE id = %(account)s",
        ["account {account}: balance 65.50000001, its entries add up to 65.50000000"],
    ),
    "a system account's balance": (
        "UPDATE ledger_account SET balance = -5 WHERE id = %(fees)s",
        ["account {fees}: balance -4.50000000, its entries add up to 0.50000000"],
    ),
    "what waits to be rolled up is lost": (
        "DELETE FROM ledger_unrolled WHERE account_id = %(treasury)s",
        ["account {treasury}: balance 0.00000000, its entries add up to 100.00000000"],
    ),
    "what waits to be rolled up is counted twice": (
        "INSERT INTO ledger_unrolled (account_id, net_debit) VALUES (%(fees)s, -0.25)",
        ["account {fees}: balance 0.75000000, its entries add up to 0.50000000"],
    ),
    "a wallet waits to be rolled up": (
        "INSERT INTO ledger_unrolled (account_id, net_debit) VALUES (%(account)s, 0)",
        ["account {account}: 0.00000000 wait to be rolled up, but it is no system account"],
    ),
    "a change of a missing account waits to be rolled up": (
        "INSERT INTO ledger_unrolled (account_id, net_debit) VALUES (%(missing)s, -1)",
        ["account {missing}: 1.00000000 wait to be rolled up, but it is no system account"],
    ),
    "the number of lines": (
        "UPDATE ledger_account SET lines = lines + 1 WHERE id = %(account)s",
        ["account {account}: 6 lines on its page, numbered to 6, 7 expected"],
    ),
    "a line's number": (
        "UPDATE ledger_entry SET line = 9 WHERE id = %(entry)s",
        ["account {account}: 6 lines on its page, numbered to 9, 6 expected"],
    ),
    "a balance after a line": (
        "UPDATE ledger_entry SET balance_after = 101 WHERE id = %(entry)s",
        ["account {account}, line 1: balance after it 101.00000000, expected 100.00000000"],
    ),
    "an amount": (
        "UPDATE ledger_entry SET amount = 99 WHERE id = %(entry)s",
        [
            "transaction {funding}: USD is out of balance by 1.00000000",
            "account {account}: balance 65.50000000, its entries add up to 64.50000000",
            "wallet {wallet}: given 100.00000000, the ledger says 99.00000000",
        ],
    ),
    "the date of a line": (
        "UPDATE ledger_entry SET created_at = created_at + interval '1 day' WHERE id = %(entry)s",
        ["account {account}, line 2: dated ", "account {account}: its newest line is dated "],
    ),
    "the date of the newest line": (
        "UPDATE ledger_account SET last_entry_at = NULL WHERE id = %(account)s",
        ["account {account}: its newest line is dated "],
    ),
    "a side": (
        "UPDATE ledger_entry SET type = 'DEBIT' WHERE id = %(entry)s",
        ["transaction {funding}: USD is out of balance by 200.00000000"],
    ),
    "an entry is missing": (
        "DELETE FROM ledger_entry WHERE id = %(entry)s",
        [
            "transaction {funding}: USD is out of balance by 100.00000000",
            "account {account}: 5 lines on its page, numbered to 6, 6 expected",
        ],
    ),
    "an entry too many": (
        "INSERT INTO ledger_entry"
        " (id, transaction_id, account_id, type, amount, book, currency, created_at)"
        " VALUES (uuidv7(), %(funding)s, %(fees)s, 'CREDIT', 1, 'SANDBOX', 'USD', now())",
        ["transaction {funding}: USD is out of balance by -1.00000000"],
    ),
    "two balanced entries too many": (
        "INSERT INTO ledger_entry"
        " (id, transaction_id, account_id, type, amount, book, currency, created_at)"
        " VALUES (uuidv7(), %(funding)s, %(fees)s, 'CREDIT', 1, 'SANDBOX', 'USD', now()),"
        " (uuidv7(), %(funding)s, %(treasury)s, 'DEBIT', 1, 'SANDBOX', 'USD', now())",
        [
            "account {fees}: balance 0.50000000, its entries add up to 1.50000000",
            "account {treasury}: balance 100.00000000, its entries add up to 101.00000000",
        ],
    ),
    "an entry of another account": (
        "UPDATE ledger_entry SET account_id = %(shop_account)s, line = 99 WHERE id = %(entry)s",
        ["account {account}: balance 65.50000000, its entries add up to -34.50000000"],
    ),
    "an entry of the other book": (
        "UPDATE ledger_entry SET account_id = %(live)s"
        " WHERE transaction_id = %(funding)s AND account_id = %(treasury)s",
        ["transaction {funding}: an entry is of another book or currency"],
    ),
    "an entry with the name of the other book": (
        "UPDATE ledger_entry SET book = 'PRODUCTION' WHERE id = %(entry)s",
        ["transaction {funding}: an entry is of another book or currency"],
    ),
    "an entry with the name of another currency": (
        "UPDATE ledger_entry SET currency = 'USDC' WHERE id = %(entry)s",
        ["transaction {funding}: an entry is of another book or currency"],
    ),
    "a transaction of the other book": (
        "UPDATE ledger_transaction SET book = 'PRODUCTION' WHERE id = %(payment)s",
        ["transaction {payment}: an entry is of another book or currency"],
    ),
    "all entries of a transaction are missing": (
        "DELETE FROM ledger_entry WHERE transaction_id = %(payment)s",
        ["transaction {payment}: has no entries", "payment {payment}: the ledger knows other"],
    ),
    "a transaction is missing": (
        "DELETE FROM ledger_transaction WHERE id = %(funding)s",
        ["entry {entry}: of account {account} and transaction {funding}, one of which is missing"],
    ),
    "an account is missing": (
        "DELETE FROM ledger_account WHERE id = %(account)s",
        [
            "entry {entry}: of account {account} and transaction {funding}, one of which is",
            "wallet {wallet}: its account is missing",
            "hold {hold}: its account {account} is missing",
            "payment {failed}: not of the organizations, environment and currency of its wallets",
        ],
    ),
    "an unused account is missing": (
        "DELETE FROM ledger_account WHERE id = %(empty_account)s",
        ["wallet {empty}: its account is missing, or of another book or owner"],
    ),
    "an account of another type": (
        "UPDATE ledger_account SET type = 'ASSET' WHERE id = %(empty_account)s",
        ["account {empty_account}: a WALLET account is not of type ASSET"],
    ),
    "a wallet's account is made ours": (
        "UPDATE ledger_account SET is_system = true WHERE id = %(empty_account)s",
        ["account {empty_account}: a WALLET account is not of type LIABILITY"],
    ),
    "an account of another currency": (
        "UPDATE ledger_account SET currency = 'USDC' WHERE id = %(shop_account)s",
        [
            "transaction {payment}: an entry is of another book or currency",
            "payment {payment}: not of the organizations, environment and currency of its wallets",
        ],
    ),
    "an account of another book": (
        "UPDATE ledger_account SET book = 'PRODUCTION' WHERE id = %(empty_account)s",
        ["wallet {empty}: its account is missing, or of another book or owner"],
    ),
    "an account of another owner": (
        "UPDATE ledger_account SET owner = uuidv7() WHERE id = %(empty_account)s",
        ["wallet {empty}: its account is missing, or of another book or owner"],
    ),
    "a debt": (
        "UPDATE ledger_account SET debt = 7 WHERE id = %(account)s",
        ["account {account}: owes 7.00000000, but 0 is missing from its balance for its holds"],
    ),
    "a closed account with money": (
        "UPDATE ledger_account SET state = 'CLOSED' WHERE id = %(account)s",
        ["account {account}: closed, with a balance of 65.50000000"],
    ),
    "what is held": (
        "UPDATE ledger_account SET held = held - 1 WHERE id = %(account)s",
        ["account {account}: held 25.00000000, its holds keep 26.00000000"],
    ),
    "a hold's parts": (
        "UPDATE ledger_hold SET released = 1, remaining = remaining - 1 WHERE id = %(hold)s",
        [
            "account {account}: held 26.00000000, its holds keep 25.00000000",
            "hold {hold}: amount 30.00000000, captured 4.00000000, released 1.00000000;"
            " its steps say 30.00000000, 4.00000000, 0",
        ],
    ),
    "a step of a hold": (
        "UPDATE ledger_holdoperation SET amount = 31 WHERE hold_id = %(hold)s AND type = 'PLACE'",
        ["hold {hold}: amount 30.00000000"],
    ),
    "a step of a hold is missing": (
        "DELETE FROM ledger_holdoperation WHERE hold_id = %(hold)s AND type = 'CAPTURE'",
        ["hold {hold}: amount 30.00000000"],
    ),
    "a hold is missing": (
        "DELETE FROM ledger_hold WHERE id = %(hold)s",
        ["account {account}: held 26.00000000, its holds keep 0", "hold {hold}: amount 0"],
    ),
    "an ended hold is missing": (
        "DELETE FROM ledger_hold WHERE id = %(ended)s",
        ["hold {ended}: amount 0, captured 0, released 0; its steps say 1.00000000, 0, 1.00000000"],
    ),
    "a capture without its money": (
        "UPDATE ledger_holdoperation SET transaction_id = %(funding)s WHERE type = 'CAPTURE'",
        [
            "hold {hold}: captured 4.00000000 with transaction {funding}, which takes 0 out of"
            " its account"
        ],
    ),
    "a payment's amount": (
        "UPDATE accounts_payment SET amount = 9 WHERE id = %(payment)s",
        ["payment {payment}: pays 9.00000000 and a fee of 0.25000000, the ledger debits 10.25"],
    ),
    "a payment's fee": (
        "UPDATE accounts_payment SET fee = 0 WHERE id = %(payment)s",
        ["payment {payment}: pays 10.00000000 and a fee of 0.00000000, the ledger debits 10.25"],
    ),
    "a payment's recipient": (
        "UPDATE accounts_payment SET recipient_id = %(empty)s WHERE id = %(payment)s",
        ["payment {payment}: the ledger knows other wallets"],
    ),
    "a payment's currency": (
        "UPDATE accounts_payment SET currency = 'USDC' WHERE id = %(payment)s",
        ["payment {payment}: not of the organizations, environment and currency of its wallets"],
    ),
    "a payment's environment": (
        "UPDATE accounts_payment SET environment = 'PRODUCTION' WHERE id = %(payment)s",
        ["payment {payment}: not of the organizations, environment and currency of its wallets"],
    ),
    "a payment's organization": (
        "UPDATE accounts_payment SET organization_id = recipient_organization_id"
        " WHERE id = %(payment)s",
        ["payment {payment}: not of the organizations, environment and currency of its wallets"],
    ),
    "a payment's kind": (
        "UPDATE accounts_payment SET kind = 'INTERNAL' WHERE id = %(payment)s",
        ["payment {payment}: payment in the ledger, not internal"],
    ),
    "a posted payment has the status FAILED": (
        "UPDATE accounts_payment SET status = 'FAILED', settled_at = NULL, received_at = NULL"
        " WHERE id = %(payment)s",
        ["payment {payment}: FAILED, but in the ledger"],
    ),
    "a failed payment has the status POSTED": (
        "UPDATE accounts_payment SET status = 'POSTED', settled_at = now(), received_at = now()"
        " WHERE id = %(failed)s",
        ["payment {failed}: POSTED, but not in the ledger"],
    ),
    "a payment is missing": (
        "DELETE FROM accounts_payment WHERE id = %(internal)s",
        ["transaction {internal}: internal, but without its payment"],
    ),
    "a payment without a reversal has the status REVERSED": (
        "UPDATE accounts_payment SET status = 'REVERSED' WHERE id = %(payment)s",
        ["payment {payment}: REVERSED, but its reversal says otherwise"],
    ),
    "a reversed payment has the status POSTED": (
        "UPDATE accounts_payment SET status = 'POSTED' WHERE id = %(returned)s",
        ["payment {returned}: POSTED, but its reversal says otherwise"],
    ),
    "a reversal of another payment": (
        "UPDATE accounts_payment SET reversal_of_id = %(payment)s WHERE id = %(reversal)s",
        [
            "payment {returned}: REVERSED, but its reversal says otherwise",
            "payment {payment}: its reversal {reversal} does not give it back",
            "payment {reversal}: reverses payment {payment}, in the ledger payment {returned}",
        ],
    ),
    "a reversal of another amount": (
        "UPDATE accounts_payment SET amount = 4 WHERE id = %(reversal)s",
        ["payment {returned}: its reversal {reversal} does not give it back"],
    ),
    "a transaction forgets what it reverses": (
        "UPDATE ledger_transaction SET reverses_id = NULL WHERE id = %(reversal)s",
        ["payment {reversal}: reverses payment {returned}, in the ledger nothing"],
    ),
    "the sandbox money of a wallet": (
        "UPDATE accounts_wallet SET sandbox_funds = 0 WHERE id = %(wallet)s",
        ["wallet {wallet}: given 0.00000000, the ledger says 100.00000000"],
    ),
    "a wallet's account": (
        "UPDATE accounts_wallet SET account_id = %(missing)s WHERE id = %(shop)s",
        ["payment {payment}: the ledger knows other wallets", "wallet {shop}: its account is"],
    ),
    "a wallet is missing": (
        "DELETE FROM accounts_wallet WHERE id = %(shop)s",
        ["payment {payment}: not of the organizations, environment and currency of its wallets"],
    ),
    "a wallet of another environment": (
        "UPDATE accounts_wallet SET environment = 'PRODUCTION' WHERE id = %(empty)s",
        ["wallet {empty}: its account is missing, or of another book or owner"],
    ),
}


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_corruption_is_found_and_named(ids_by_name, what):
    sql, expected = CORRUPTIONS[what]

    with corrupted(sql, ids_by_name):
        found = ledger_checks.differences()

    text = "\n".join(found)
    for sentence in expected:
        assert sentence.format(**ids_by_name) in text


def test_unequal_debits_and_credits_show_in_the_trial_balance(ids_by_name):
    sql = "UPDATE ledger_account SET balance = balance + 3 WHERE id = %(treasury)s"

    with corrupted(sql, ids_by_name):
        found = ledger_checks.differences()

    assert "trial balance: debits and credits differ by 3.00" in found


class TestCheckBooks:
    def test_prints_the_trial_balance_of_a_correct_ledger(self, ids_by_name, capsys):
        call_command("check_books")

        printed = capsys.readouterr()
        assert "The books balance." in printed.out
        fees = r"SANDBOX +USD +REVENUE +FEES +0\.00000000 +0\.50000000"
        assert re.search(fees, printed.out)
        assert printed.err == ""

    def test_exits_with_an_error_for_a_wrong_ledger(self, ids_by_name, capsys):
        sql, (sentence,) = CORRUPTIONS["a wallet's balance"]

        with (
            corrupted(sql, ids_by_name),
            pytest.raises(CommandError, match="do not balance: 2 differences") as error,
        ):
            call_command("check_books")

        printed = capsys.readouterr()
        assert error.value.returncode == 1
        assert sentence.format(**ids_by_name) in printed.err
        assert "The books balance." not in printed.out

    def test_has_no_statement_timeout(self, ids_by_name):
        call_command("check_books")

        assert book.run_sql("SHOW statement_timeout") == [("0",)]

    def test_plans_have_no_nested_loops_whatever_the_statistics(self, ids_by_name):
        def explain(execute, sql, *arguments):
            return execute(f"EXPLAIN {sql}" if sql.startswith("\nWITH") else sql, *arguments)

        with connection.execute_wrapper(explain):
            plans = "\n".join(ledger_checks.differences())

        assert plans.count("Hash") > 10
        assert "Nested Loop" not in plans
