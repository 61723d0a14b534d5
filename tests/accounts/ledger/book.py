"""Helpers for the tests of the ledger. Like the ledger, they use accounts, not wallets."""

import uuid
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.ledger import chart, holds, journal
from accounts.ledger.journal import Move, Posting, Refused
from accounts.ledger.models import Entry, LedgerAccount
from wallgent import ids

SANDBOX, PRODUCTION = "SANDBOX", "PRODUCTION"
ACTIVE, FROZEN, CLOSED = "ACTIVE", "FROZEN", "CLOSED"
_PREFIXES = ("acc", "txn", "ent", "hld", "wal", "org")


def open_account(
    funds: str = "0", *, book: str = SANDBOX, currency: str = "USD", state: str = ACTIVE
) -> str:
    """Open a wallet account with a balance of `funds`. Returns its id."""
    account_id = chart.open_wallet_account(book=book, currency=currency, owner=uuid.uuid4()).id
    if Decimal(funds):
        deposit(account_id, funds)
    if state != ACTIVE:
        chart.set_state(account_id, state)
    return account_id


def move(debit: str, credit: str, amount: str, currency: str = "USD") -> Move:
    return Move(debit=debit, credit=credit, amount=Decimal(amount), currency=currency)


def posting(*moves: Move, id: str | None = None, reason: str = "test", **fields) -> Posting:
    return Posting(id=id or ids.new("txn"), moves=moves, reason=reason, **fields)


def post(*postings: Posting, book: str = SANDBOX, **options) -> None:
    """Post a set in its own database transaction, so that a refusal leaves nothing."""
    with transaction.atomic():
        journal.post_set(postings, book=book, **options)


def transfer(debit: str, credit: str, amount: str, **options) -> str:
    """Post one move. Returns the id of the transaction."""
    one = posting(move(debit, credit, amount))
    post(one, **options)
    return one.id


def deposit(account_id: str, amount: str) -> str:
    """Move money to an account from the treasury of its book and currency."""
    account = find(account_id)
    source = chart.treasury(account.book, account.currency)
    one = posting(move(source, account_id, amount, account.currency), reason="given")
    post(one, book=account.book)
    return one.id


def force(account_id: str, amount: str) -> str:
    """Post a forced debit: a network takes money whether the account has it or not."""
    account = find(account_id)
    sink = chart.treasury(account.book, account.currency)
    return transfer(account_id, sink, amount, book=account.book, forced=True)


def hold(account_id: str, amount: str, **fields):
    id = fields.pop("id", None) or ids.new("hld")
    with transaction.atomic():
        return holds.place(
            id, account_id=account_id, amount=Decimal(amount), reason="test", **fields
        )


def find(account_id: str) -> LedgerAccount:
    return LedgerAccount.objects.get(pk=account_id)


def money(account_id: str) -> tuple[Decimal, Decimal, Decimal]:
    """Return balance, held and debt of an account."""
    account = find(account_id)
    return account.balance, account.held, account.debt


def lines(account_id: str) -> list[tuple]:
    """Return the lines of an account: number, side, amount and the balance after it."""
    entries = Entry.objects.filter(account=account_id).order_by("line")
    return list(entries.values_list("line", "type", "amount", "balance_after"))


def refused(outcome: str, work, *arguments, **options) -> Refused:
    """Run `work`, which must be refused with `outcome`. Returns the refusal."""
    with pytest.raises(Refused) as caught, transaction.atomic():
        work(*arguments, **options)
    assert caught.value.outcome == outcome, caught.value
    return caught.value


@contextmanager
def refused_by(constraint: str):
    """The database must refuse the block, at once or at commit, because of one constraint.

    `constraint` is its name, or a part of the error message where there is no name.
    """
    try:
        with transaction.atomic():
            yield
            run_sql("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError as error:
        reason = error.__cause__.diag.constraint_name or str(error)
        assert constraint in reason, reason
    else:
        pytest.fail(f"{constraint} did not refuse it")


def run_sql(sql: str, *values) -> list[tuple]:
    """Run SQL and return its rows, if any. Prefixed ids become UUIDs."""
    values = [ids.parse(value, *_PREFIXES) or value for value in values]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []
