"""Proof that the money is right: the ledger added up again, and compared with what it settles."""

from django.db import connection

from accounts.ledger import statements
from accounts.ledger.statements import trial_balance
from wallgent import money

__all__ = ["differences", "trial_balance"]


def differences() -> list[str]:
    """A sentence for each thing that does not agree; an empty list when the books are right."""
    found = statements.differences()
    if off := statements.out_of_balance():
        found.append(f"trial balance: debits and credits differ by {money.amount_text(off)}")
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCES)
        found += [row[0] for row in cursor.fetchall()]
    return found


# Payments and their transactions share ids, and must say the same; every wallet has one account.
_DIFFERENCES = """
WITH paid AS (
    SELECT p.id, p.status, p.amount, p.fee, s.account_id AS source, r.account_id AS target
      FROM accounts_payment p
      JOIN accounts_wallet s ON s.id = p.sender_id
      JOIN accounts_wallet r ON r.id = p.recipient_id
)
SELECT format('payment %s: %s, but not in the ledger', p.id, p.status)
  FROM paid p
 WHERE p.status IN ('POSTED', 'REVERSED')
   AND NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.id = p.id)
UNION ALL
SELECT format('payment %s: %s, but in the ledger', p.id, p.status)
  FROM paid p JOIN ledger_transaction t ON t.id = p.id
 WHERE p.status NOT IN ('POSTED', 'REVERSED')
UNION ALL
SELECT format('payment %s: pays %s and a fee of %s, the ledger debits %s and credits %s',
              p.id, p.amount, p.fee, out.amount, into_.amount)
  FROM paid p
  JOIN ledger_entry out ON out.transaction_id = p.id AND out.account_id = p.source
  JOIN ledger_entry into_ ON into_.transaction_id = p.id AND into_.account_id = p.target
 WHERE (out.type, out.amount, into_.type, into_.amount)
       IS DISTINCT FROM ('DEBIT', p.amount + p.fee, 'CREDIT', p.amount)
UNION ALL
SELECT format('payment %s: the ledger knows other wallets', p.id)
  FROM paid p JOIN ledger_transaction t ON t.id = p.id
 WHERE (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = p.id
           AND e.account_id IN (p.source, p.target)) <> 2
UNION ALL
SELECT format('transaction %s: a %s without its payment', t.id, t.reason)
  FROM ledger_transaction t
 WHERE t.reason IN ('payment', 'internal', 'reversal')
   AND NOT EXISTS (SELECT 1 FROM accounts_payment p WHERE p.id = t.id)
UNION ALL
SELECT format('payment %s: %s, but its reversal says otherwise', p.id, p.status)
  FROM accounts_payment p
 WHERE (p.status = 'REVERSED') <>
       EXISTS (SELECT 1 FROM accounts_payment b WHERE b.reversal_of_id = p.id)
UNION ALL
SELECT format('wallet %s: its account is of another book or owner', w.id)
  FROM accounts_wallet w JOIN ledger_account a ON a.id = w.account_id
 WHERE a.book <> w.environment OR a.owner IS DISTINCT FROM w.organization_id OR a.kind <> 'WALLET'
UNION ALL
SELECT format('wallet %s: given %s, the ledger says %s', w.id, w.sandbox_funds,
              coalesce(f.amount, 0))
  FROM accounts_wallet w
  LEFT JOIN (SELECT e.account_id, sum(e.amount) AS amount
               FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
              WHERE t.reason = 'funding' AND e.type = 'CREDIT' GROUP BY e.account_id) f
         ON f.account_id = w.account_id
 WHERE w.sandbox_funds <> coalesce(f.amount, 0)
"""
