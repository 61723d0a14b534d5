"""The movement that funds wallets, and the check that wallets and their accounts agree."""

from accounts.ledger import movements
from accounts.ledger.movements import Movement, Record

DIFFERENCES = """
SELECT format('wallet wal_%s: its account is missing, or of another book or owner', w.id)
  FROM accounts_wallet w LEFT JOIN ledger_account a ON a.id = w.account_id
 WHERE (a.book, a.owner, a.kind) IS DISTINCT FROM (w.environment, w.organization_id, 'WALLET')
UNION ALL
SELECT format('wallet wal_%s: a default wallet, and closed', w.id)
  FROM accounts_wallet w JOIN ledger_account a ON a.id = w.account_id
 WHERE w.is_default AND a.state = 'CLOSED'
UNION ALL
SELECT format('wallet wal_%s: given %s, the ledger says %s', w.id, w.sandbox_funds,
              coalesce(f.amount, 0))
  FROM accounts_wallet w
  LEFT JOIN (SELECT e.account_id, sum(e.amount) AS amount
               FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
              WHERE t.reason = 'funding' AND e.type = 'CREDIT' GROUP BY e.account_id) f
         ON f.account_id = w.account_id
 WHERE w.sandbox_funds <> coalesce(f.amount, 0)
"""

# Money from the treasury to a wallet; the check adds up how much.
_FUNDED = """
SELECT given.transaction_id
  FROM accounts_wallet w
  JOIN ledger_entry given ON given.account_id = w.account_id AND given.type = 'CREDIT'
  JOIN ledger_entry source ON source.transaction_id = given.transaction_id
   AND source.type = 'DEBIT'
  JOIN ledger_account a ON a.id = source.account_id AND a.kind = 'TREASURY'
"""


def declare_all() -> None:
    """Declare the movement of wallets. Called once, at start."""
    record = Record("wallet", _FUNDED)
    movements.declare(Movement("funding", "Sandbox money", record=record, check=DIFFERENCES))
