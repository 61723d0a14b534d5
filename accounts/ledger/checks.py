"""Proof that the money is right: the ledger added up again, and compared with what it settles."""

from accounts.ledger import statements
from accounts.ledger.statements import trial_balance
from wallgent import money

__all__ = ["differences", "trial_balance"]


def differences() -> list[str]:
    """A sentence for each thing that does not agree; an empty list when the books are right."""
    found = statements.differences()
    if off := statements.out_of_balance():
        found.append(f"trial balance: debits and credits differ by {money.amount_text(off)}")
    found += statements.found_by(_DIFFERENCES)
    return found + [line for sql in _elsewhere for line in statements.found_by(sql)]


def register(sql: str) -> None:
    """Have a query's sentences told, too: how an app above proves what it owes. At start only."""
    _elsewhere.append(sql)


_elsewhere: list[str] = []


# Payments and their transactions share ids, and must say the same; every wallet has one account.
_DIFFERENCES = """
WITH paid AS (
    SELECT p.*, s.account_id AS source, r.account_id AS target, t.id AS transaction_id,
           t.reason, t.reverses_id, (
               p.organization_id, p.recipient_organization_id, p.environment, p.environment,
               p.currency, p.currency
           ) IS DISTINCT FROM (
               s.organization_id, r.organization_id, s.environment, r.environment,
               sa.currency, ra.currency
           ) AS is_astray
      FROM accounts_payment p
      LEFT JOIN accounts_wallet s ON s.id = p.sender_id
      LEFT JOIN accounts_wallet r ON r.id = p.recipient_id
      LEFT JOIN ledger_account sa ON sa.id = s.account_id
      LEFT JOIN ledger_account ra ON ra.id = r.account_id
      LEFT JOIN ledger_transaction t ON t.id = p.id
)
SELECT format('payment %s: not of the organizations, environment and currency of its wallets', id)
  FROM paid WHERE is_astray
UNION ALL
SELECT format('payment %s: %s, but not in the ledger', id, status)
  FROM paid WHERE status IN ('POSTED', 'REVERSED') AND transaction_id IS NULL
UNION ALL
SELECT format('payment %s: %s, but in the ledger', id, status)
  FROM paid WHERE status NOT IN ('POSTED', 'REVERSED') AND transaction_id IS NOT NULL
UNION ALL
SELECT format('payment %s: %s in the ledger, not %s', id, reason, lower(kind))
  FROM paid WHERE reason <> lower(kind)
UNION ALL
SELECT format('payment %s: reverses %s, in the ledger %s', id,
              coalesce('payment ' || reversal_of_id, 'nothing'),
              coalesce('payment ' || reverses_id, 'nothing'))
  FROM paid WHERE transaction_id IS NOT NULL AND reversal_of_id IS DISTINCT FROM reverses_id
UNION ALL
SELECT format('payment %s: pays %s and a fee of %s, the ledger debits %s and credits %s',
              p.id, p.amount, p.fee, out.amount, into_.amount)
  FROM paid p
  JOIN ledger_entry out ON out.transaction_id = p.id AND out.account_id = p.source
  JOIN ledger_entry into_ ON into_.transaction_id = p.id AND into_.account_id = p.target
 WHERE (out.type, out.amount, into_.type, into_.amount)
       IS DISTINCT FROM ('DEBIT', p.amount + p.fee, 'CREDIT', p.amount)
UNION ALL
SELECT format('payment %s: the ledger knows other wallets', id)
  FROM paid p
 WHERE transaction_id IS NOT NULL
   AND (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = p.id
           AND e.account_id IN (p.source, p.target)) <> 2
UNION ALL
SELECT format('transaction %s: %s, but without its payment', t.id, t.reason)
  FROM ledger_transaction t
 WHERE t.reason IN ('payment', 'internal', 'reversal', 'payment_link')
   AND NOT EXISTS (SELECT 1 FROM accounts_payment p WHERE p.id = t.id)
UNION ALL
SELECT format('payment %s: %s, but its reversal says otherwise', p.id, p.status)
  FROM accounts_payment p
 WHERE (p.status = 'REVERSED') <>
       EXISTS (SELECT 1 FROM accounts_payment b WHERE b.reversal_of_id = p.id)
UNION ALL
SELECT format('payment %s: its reversal %s does not give it back', p.id, b.id)
  FROM accounts_payment p JOIN accounts_payment b ON b.reversal_of_id = p.id
 WHERE (b.sender_id, b.recipient_id, b.amount, b.fee, b.status)
       IS DISTINCT FROM (p.recipient_id, p.sender_id, p.amount, 0, 'POSTED')
UNION ALL
SELECT format('wallet %s: its account is missing, or of another book or owner', w.id)
  FROM accounts_wallet w LEFT JOIN ledger_account a ON a.id = w.account_id
 WHERE (a.book, a.owner, a.kind) IS DISTINCT FROM (w.environment, w.organization_id, 'WALLET')
UNION ALL
SELECT format('wallet %s: a default wallet, and closed', w.id)
  FROM accounts_wallet w JOIN ledger_account a ON a.id = w.account_id
 WHERE w.is_default AND a.state = 'CLOSED'
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
