"""Checks that add up the ledger again and compare it with the records of other packages."""

import re
import uuid

from django.db import connection, transaction

from accounts.ledger import movements, statements
from wallgent import ids, money

_ID = re.compile(r"\b([a-z]{3})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def differences() -> list[str]:
    """Run all checks. Returns a sentence for each difference; none when everything agrees."""
    every = movements.declared() + movements.declared(is_hold=True)
    checks = [
        _LEDGER,
        _unrecorded("ledger_transaction", "transaction txn_%1$s", "%2$s, but without its %3$s"),
        _unrecorded("ledger_hold", "hold hld_%s", "for a %3$s that does not know it", is_hold=True),
        *dict.fromkeys(movement.check for movement in every if movement.check),
        *_registered,
    ]
    found = [sentence for sql in checks for sentence in _run(sql)]
    if imbalance := statements.out_of_balance():
        found.append(f"trial balance: debits and credits differ by {money.amount_text(imbalance)}")
    return found


def register(sql: str) -> None:
    """Add a check that belongs to no movement. Called once for each, at start.

    The query selects a sentence for each difference, with ids as in "payment txn_<uuid>".
    """
    _registered.append(sql)


_registered: list[str] = []


def _run(sql: str) -> list[str]:
    """Run a query that returns sentences; each "txn_<uuid>" in them becomes an id."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Whole tables are joined. Where statistics are missing, as in a copy just restored, the
        # planner would assume empty tables and choose nested loops over all rows.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(sql)
        found = cursor.fetchall()
        cursor.execute("SET LOCAL enable_nestloop = on")
    return [_ID.sub(lambda id: ids.to_text(id[1], uuid.UUID(id[2])), row[0]) for row in found]


def _unrecorded(table: str, subject: str, sentence: str, *, is_hold: bool = False) -> str:
    """Compose the query for rows of no declared movement, or without the record of theirs."""
    declared = movements.declared(is_hold=is_hold)
    records = (
        f"SELECT '{one.noun}', r.* FROM ({one.ids}) r"  # noqa: S608 - written by packages, not users
        for one in {movement.record for movement in declared}
    )
    return _UNRECORDED.format(
        table=table,
        subject=subject,
        sentence=sentence,
        declared=", ".join(f"('{one.reason}', '{one.record.noun}')" for one in declared),
        records=" UNION ALL ".join(records),
    )


_UNRECORDED = """
WITH declared (reason, noun) AS (VALUES {declared}), record (noun, id) AS ({records})
SELECT format(CASE WHEN d.noun IS NULL THEN '{subject}: its reason is not declared: %2$s'
                   ELSE '{subject}: {sentence}' END, l.id, l.reason, d.noun)
  FROM {table} l
  LEFT JOIN declared d ON d.reason = l.reason
  LEFT JOIN record r ON r.noun = d.noun AND r.id = l.id
 WHERE r.id IS NULL
"""
# One statement, so that it reads a single snapshot while payments continue.
_LEDGER = """
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
    SELECT account_id, sum(delta) AS balance, max(line) AS last, count(line) AS lines,
           max(created_at) FILTER (WHERE line IS NOT NULL) AS last_at
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
SELECT format('account acc_%s: balance %s, its entries add up to %s', a.id,
              a.balance + coalesce(u.amount, 0), coalesce(s.balance, 0))
  FROM ledger_account a
  LEFT JOIN added s ON s.account_id = a.id
  LEFT JOIN unrolled u ON u.account_id = a.id
 WHERE a.balance + coalesce(u.amount, 0) <> coalesce(s.balance, 0)
UNION ALL
SELECT format('account acc_%s: %s lines on its page, numbered to %s, %s expected',
              a.id, coalesce(s.lines, 0), coalesce(s.last, 0), a.lines)
  FROM ledger_account a LEFT JOIN added s ON s.account_id = a.id
 WHERE a.lines <> coalesce(s.lines, 0) OR a.lines <> coalesce(s.last, 0)
UNION ALL
SELECT format('account acc_%s: its newest line is dated %s, %s expected', a.id, s.last_at,
              a.last_entry_at)
  FROM ledger_account a LEFT JOIN added s ON s.account_id = a.id
 WHERE a.last_entry_at IS DISTINCT FROM s.last_at
UNION ALL
SELECT format('account acc_%s, line %s: balance after it %s, expected %s',
              account_id, line, balance_after, expected)
  FROM (SELECT account_id, line, balance_after,
               sum(delta) OVER (PARTITION BY account_id ORDER BY line) AS expected
          FROM entry WHERE NOT is_system) page
 WHERE balance_after IS DISTINCT FROM expected
UNION ALL
SELECT format('account acc_%s, line %s: dated %s, before an earlier line', account_id, line,
              created_at)
  FROM (SELECT account_id, line, created_at,
               lag(created_at) OVER (PARTITION BY account_id ORDER BY line) AS earlier
          FROM entry WHERE NOT is_system) page
 WHERE created_at < earlier
UNION ALL
SELECT format('account acc_%s: %s wait to be rolled up, but it is no system account',
              account_id, amount)
  FROM unrolled WHERE is_system IS NOT TRUE
UNION ALL
SELECT format('account acc_%s: a %s account is not of type %s', id, kind, type)
  FROM ledger_account
 WHERE is_system = (kind = 'WALLET')
    OR (type IN ('ASSET', 'EXPENSE'))
       <> (kind IN ('TREASURY', 'IN_TRANSIT', 'EXPENSES', 'EXCHANGE'))
UNION ALL
SELECT format('entry ent_%s: of account acc_%s and transaction txn_%s, one of which is missing',
              e.id, e.account_id, e.transaction_id)
  FROM ledger_entry e
 WHERE NOT EXISTS (SELECT 1 FROM ledger_account a WHERE a.id = e.account_id)
    OR NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.id = e.transaction_id)
UNION ALL
SELECT format('transaction txn_%s: %s is out of balance by %s', transaction_id, currency, sum(
              CASE type WHEN 'DEBIT' THEN amount ELSE -amount END))
  FROM entry GROUP BY transaction_id, currency
HAVING sum(CASE type WHEN 'DEBIT' THEN amount ELSE -amount END) <> 0
UNION ALL
SELECT format('transaction txn_%s: an entry is of another book or currency', transaction_id)
  FROM entry WHERE book <> transaction_book OR is_astray
UNION ALL
SELECT format('transaction txn_%s: has no entries', t.id)
  FROM ledger_transaction t
 WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id)
UNION ALL
SELECT format('account acc_%s: held %s, its holds keep %s', a.id, a.held, coalesce(h.amount, 0))
  FROM ledger_account a LEFT JOIN held h ON h.account_id = a.id
 WHERE a.held <> coalesce(h.amount, 0)
UNION ALL
SELECT format('account acc_%s: owes %s, but %s is missing from its balance for its holds',
              id, debt, CASE WHEN is_system THEN 0 ELSE greatest(held - balance, 0) END)
  FROM ledger_account
 WHERE debt <> CASE WHEN is_system THEN 0 ELSE greatest(held - balance, 0) END
UNION ALL
SELECT format('account acc_%s: closed, with a balance of %s', id, balance)
  FROM ledger_account WHERE state = 'CLOSED' AND (balance, held, debt) <> (0, 0, 0)
UNION ALL
SELECT format('hold hld_%s: its account acc_%s is missing', h.id, h.account_id)
  FROM ledger_hold h
 WHERE NOT EXISTS (SELECT 1 FROM ledger_account a WHERE a.id = h.account_id)
UNION ALL
SELECT format('hold hld_%s: amount %s, captured %s, released %s; its steps say %s, %s, %s',
              coalesce(h.id, s.hold_id), coalesce(h.amount, 0), coalesce(h.captured, 0),
              coalesce(h.released, 0), coalesce(s.amount, 0), coalesce(s.captured, 0),
              coalesce(s.released, 0))
  FROM ledger_hold h FULL JOIN stepped s ON s.hold_id = h.id
 WHERE (h.amount, h.captured, h.released) IS DISTINCT FROM (s.amount, s.captured, s.released)
UNION ALL
SELECT format('hold hld_%s: captured %s with transaction txn_%s, which takes %s out of its account',
              h.id, o.amount, o.transaction_id, coalesce(e.amount, 0))
  FROM ledger_holdoperation o
  JOIN ledger_hold h ON h.id = o.hold_id
  LEFT JOIN ledger_entry e ON e.transaction_id = o.transaction_id
                          AND e.account_id = h.account_id AND e.type = 'DEBIT'
 WHERE o.type = 'CAPTURE' AND o.amount > coalesce(e.amount, 0)
"""
