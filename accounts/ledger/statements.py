"""Read the ledger: entries, holds, balances at an instant, trial balance, differences."""

import re
import uuid
from datetime import datetime
from decimal import Decimal

from django.db import connection, models, transaction
from django.db.models import Case, F, Q, Sum, When

from accounts.ledger.models import Entry, Hold, LedgerAccount
from wallgent import ids
from wallgent.money import ZERO

_PREFIXES = {
    **{"account": "acc", "entry": "ent", "hold": "hld", "wallet": "wal"},
    **{"transaction": "txn", "payment": "txn", "reversal": "txn"},
    **{"link": "lnk", "claim": "clm", "transfer": "xfr", "order": "sim"},
    "mandate": "mnd",
}
_OBJECT = re.compile(
    rf"({'|'.join(_PREFIXES)}) ([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})"
)


class HoldStatus(models.TextChoices):
    PENDING = "PENDING"  # some of it remains reserved
    RELEASED = "RELEASED"  # ended, and some of it was captured
    REVERSED = "REVERSED"  # ended, and all of it was released


def lines(account_id: str):
    """Return the entries of an account, with their transactions."""
    return Entry.objects.filter(account=account_id).select_related("transaction")


def holds(account_id: str, *, status: str | None = None):
    """Return the holds of an account, all or those in one status."""
    found = Hold.objects.filter(account=account_id)
    if status == HoldStatus.PENDING:
        return found.filter(remaining__gt=0)
    if status == HoldStatus.RELEASED:
        return found.filter(remaining=0, captured__gt=0)
    if status == HoldStatus.REVERSED:
        return found.filter(remaining=0, captured=0)
    return found


def hold_status(hold: Hold) -> str:
    """Return the status of a hold as the API shows it."""
    if hold.remaining:
        return HoldStatus.PENDING
    return HoldStatus.RELEASED if hold.captured else HoldStatus.REVERSED


def balance_as_of(account_id: str, instant: datetime) -> Decimal:
    """Return the balance of a wallet account from entries dated up to and including `instant`."""
    # By date, not by line: where the payer's sandbox clock is ahead, a line can have a later date
    # than the lines after it.
    dated = lines(account_id).filter(transaction__created_at__lte=instant)
    return dated.aggregate(balance=_net())["balance"]


def statement(account_id: str, *, since: datetime, until: datetime) -> dict:
    """Return a wallet account's statement after `since` and up to and including `until`.

    Keys: `opening` and `closing` (balances), `lines` (the entries between them, in order).
    """
    dated = lines(account_id).filter(transaction__created_at__lte=until)
    balances = dated.aggregate(
        opening=_net(filter=Q(transaction__created_at__lte=since)), closing=_net()
    )
    inside = dated.filter(transaction__created_at__gt=since)
    return {**balances, "lines": inside.order_by("line")}


def _net(**options) -> Sum:
    """The sum of entries on a wallet account: credits less debits."""
    signed = Case(When(type=Entry.Type.CREDIT, then=F("amount")), default=-F("amount"))
    return Sum(signed, default=ZERO, **options)


def exact_balance(account_id: str) -> Decimal:
    """Return an account's balance, including changes that are not rolled up yet."""
    return LedgerAccount.objects.with_exact_balance().get(pk=account_id).exact_balance


def trial_balance(book: str | None = None) -> list[dict]:
    """Return debit and credit balances by book, currency and kind of account, in one snapshot.

    In each book and currency the debits must equal the credits.
    """
    accounts = LedgerAccount.objects.with_exact_balance()
    if book:
        accounts = accounts.filter(book=book)
    debit_normal = Q(type__in=LedgerAccount.DEBIT_NORMAL)
    return list(
        accounts.order_by("book", "currency", "type", "kind")
        .values("book", "currency", "type", "kind")
        .annotate(
            debit=Sum(Case(When(debit_normal, then=F("exact_balance")), default=ZERO)),
            credit=Sum(Case(When(~debit_normal, then=F("exact_balance")), default=ZERO)),
        )
    )


def out_of_balance() -> Decimal:
    """Return the sum of |debits - credits| over all books and currencies; it must be zero."""
    totals: dict[tuple[str, str], Decimal] = {}
    for row in trial_balance():
        key = (row["book"], row["currency"])
        totals[key] = totals.get(key, ZERO) + row["debit"] - row["credit"]
    return sum((abs(total) for total in totals.values()), ZERO)


def differences() -> list[str]:
    """Add up the whole ledger again. Returns a sentence for each difference."""
    return run_check(_DIFFERENCES)


def run_check(sql: str) -> list[str]:
    """Run a query that returns sentences; each "noun uuid" in them becomes a prefixed id."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Whole tables are joined. Where statistics are missing, as in a copy just restored, the
        # planner would assume empty tables and choose nested loops over all rows.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(sql)
        found = cursor.fetchall()
        cursor.execute("SET LOCAL enable_nestloop = on")
    return [_OBJECT.sub(_with_prefixed_id, row[0]) for row in found]


def _with_prefixed_id(match: re.Match) -> str:
    noun, id = match.groups()
    return f"{noun} {ids.to_text(_PREFIXES[noun], uuid.UUID(id))}"


# One statement, so that it reads a single snapshot while payments continue.
_DIFFERENCES = """
WITH entry AS (
    SELECT e.*, a.is_system, a.book <> e.book OR a.currency <> e.currency AS is_astray,
           t.book AS transaction_book,
           CASE WHEN (e.type = 'DEBIT') = (a.type IN ('ASSET', 'EXPENSE'))
                THEN e.amount ELSE -e.amount END AS delta
      FROM ledger_entry e
      JOIN ledger_account a ON a.id = e.account_id
      JOIN ledger_transaction t ON t.id = e.transaction_id
), unrolled AS (
    SELECT u.account_id, a.is_system, sum(CASE WHEN a.type IN ('ASSET', 'EXPENSE')
                                               THEN u.net_debit ELSE -u.net_debit END) AS amount
      FROM ledger_unrolled u LEFT JOIN ledger_account a ON a.id = u.account_id
     GROUP BY u.account_id, a.is_system
), added AS (
    SELECT account_id, sum(delta) AS balance, max(line) AS last, count(line) AS lines
      FROM entry GROUP BY account_id
), held AS (
    SELECT account_id, sum(remaining) AS amount FROM ledger_hold GROUP BY account_id
), stepped AS (
    SELECT hold_id,
           coalesce(sum(amount) FILTER (WHERE type IN ('PLACE', 'INCREASE')), 0) AS amount,
           coalesce(sum(amount) FILTER (WHERE type = 'CAPTURE'), 0) AS captured,
           coalesce(sum(amount) FILTER (WHERE type = 'RELEASE'), 0) AS released
      FROM ledger_holdoperation GROUP BY hold_id
)
SELECT format('account %s: balance %s, its entries add up to %s', a.id,
              a.balance + coalesce(u.amount, 0), coalesce(s.balance, 0))
  FROM ledger_account a
  LEFT JOIN added s ON s.account_id = a.id
  LEFT JOIN unrolled u ON u.account_id = a.id
 WHERE a.balance + coalesce(u.amount, 0) <> coalesce(s.balance, 0)
UNION ALL
SELECT format('account %s: %s lines on its page, numbered to %s, %s expected',
              a.id, coalesce(s.lines, 0), coalesce(s.last, 0), a.lines)
  FROM ledger_account a LEFT JOIN added s ON s.account_id = a.id
 WHERE a.lines <> coalesce(s.lines, 0) OR a.lines <> coalesce(s.last, 0)
UNION ALL
SELECT format('account %s, line %s: balance after it %s, expected %s',
              account_id, line, balance_after, expected)
  FROM (SELECT account_id, line, balance_after,
               sum(delta) OVER (PARTITION BY account_id ORDER BY line) AS expected
          FROM entry WHERE NOT is_system) page
 WHERE balance_after IS DISTINCT FROM expected
UNION ALL
SELECT format('account %s: %s wait to be rolled up, but it is no system account',
              account_id, amount)
  FROM unrolled WHERE is_system IS NOT TRUE
UNION ALL
SELECT format('account %s: a %s account is not of type %s', id, kind, type)
  FROM ledger_account
 WHERE is_system = (kind = 'WALLET')
    OR (type IN ('ASSET', 'EXPENSE'))
       <> (kind IN ('TREASURY', 'IN_TRANSIT', 'EXPENSES', 'EXCHANGE'))
UNION ALL
SELECT format('entry %s: of account %s and transaction %s, one of which is missing',
              e.id, e.account_id, e.transaction_id)
  FROM ledger_entry e
 WHERE NOT EXISTS (SELECT 1 FROM ledger_account a WHERE a.id = e.account_id)
    OR NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.id = e.transaction_id)
UNION ALL
SELECT format('transaction %s: %s is out of balance by %s', transaction_id, currency, sum(
              CASE type WHEN 'DEBIT' THEN amount ELSE -amount END))
  FROM entry GROUP BY transaction_id, currency
HAVING sum(CASE type WHEN 'DEBIT' THEN amount ELSE -amount END) <> 0
UNION ALL
SELECT format('transaction %s: an entry is of another book or currency', transaction_id)
  FROM entry WHERE book <> transaction_book OR is_astray
UNION ALL
SELECT format('transaction %s: has no entries', t.id)
  FROM ledger_transaction t
 WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id)
UNION ALL
SELECT format('account %s: held %s, its holds keep %s', a.id, a.held, coalesce(h.amount, 0))
  FROM ledger_account a LEFT JOIN held h ON h.account_id = a.id
 WHERE a.held <> coalesce(h.amount, 0)
UNION ALL
SELECT format('account %s: owes %s, but %s is missing from its balance for its holds',
              id, debt, CASE WHEN is_system THEN 0 ELSE greatest(held - balance, 0) END)
  FROM ledger_account
 WHERE debt <> CASE WHEN is_system THEN 0 ELSE greatest(held - balance, 0) END
UNION ALL
SELECT format('account %s: closed, with a balance of %s', id, balance)
  FROM ledger_account WHERE state = 'CLOSED' AND (balance, held, debt) <> (0, 0, 0)
UNION ALL
SELECT format('hold %s: its account %s is missing', h.id, h.account_id)
  FROM ledger_hold h
 WHERE NOT EXISTS (SELECT 1 FROM ledger_account a WHERE a.id = h.account_id)
UNION ALL
SELECT format('hold %s: amount %s, captured %s, released %s; its steps say %s, %s, %s',
              coalesce(h.id, s.hold_id), coalesce(h.amount, 0), coalesce(h.captured, 0),
              coalesce(h.released, 0), coalesce(s.amount, 0), coalesce(s.captured, 0),
              coalesce(s.released, 0))
  FROM ledger_hold h FULL JOIN stepped s ON s.hold_id = h.id
 WHERE (h.amount, h.captured, h.released) IS DISTINCT FROM (s.amount, s.captured, s.released)
UNION ALL
SELECT format('hold %s: captured %s with transaction %s, which takes %s out of its account',
              h.id, o.amount, o.transaction_id, coalesce(e.amount, 0))
  FROM ledger_holdoperation o
  JOIN ledger_hold h ON h.id = o.hold_id
  LEFT JOIN ledger_entry e ON e.transaction_id = o.transaction_id
                          AND e.account_id = h.account_id AND e.type = 'DEBIT'
 WHERE o.type = 'CAPTURE' AND o.amount > coalesce(e.amount, 0)
"""
