"""The movements of payments, and the check that payments and the ledger agree."""

from functools import partial

from accounts.ledger import movements
from accounts.ledger.movements import Movement
from accounts.payments.models import RECORD

# A payment and its ledger transaction have the same id and must agree.
DIFFERENCES = """
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
SELECT format('payment txn_%s: not of the organizations, environment and currency of its wallets',
              id)
  FROM paid WHERE is_astray
UNION ALL
SELECT format('payment txn_%s: %s, but not in the ledger', id, status)
  FROM paid WHERE status IN ('POSTED', 'REVERSED') AND transaction_id IS NULL
UNION ALL
SELECT format('payment txn_%s: %s, but in the ledger', id, status)
  FROM paid WHERE status NOT IN ('POSTED', 'REVERSED') AND transaction_id IS NOT NULL
UNION ALL
SELECT format('payment txn_%s: %s in the ledger, not %s', id, reason, lower(kind))
  FROM paid WHERE reason <> lower(kind)
UNION ALL
SELECT format('payment txn_%s: reverses %s, in the ledger %s', id,
              coalesce('payment txn_' || reversal_of_id, 'nothing'),
              coalesce('payment txn_' || reverses_id, 'nothing'))
  FROM paid WHERE transaction_id IS NOT NULL AND reversal_of_id IS DISTINCT FROM reverses_id
UNION ALL
SELECT format('payment txn_%s: pays %s and a fee of %s, the ledger debits %s and credits %s',
              p.id, p.amount, p.fee, out.amount, into_.amount)
  FROM paid p
  JOIN ledger_entry out ON out.transaction_id = p.id AND out.account_id = p.source
  JOIN ledger_entry into_ ON into_.transaction_id = p.id AND into_.account_id = p.target
 WHERE (out.type, out.amount, into_.type, into_.amount)
       IS DISTINCT FROM ('DEBIT', p.amount + p.fee, 'CREDIT', p.amount)
UNION ALL
SELECT format('payment txn_%s: the ledger knows other wallets', id)
  FROM paid p
 WHERE transaction_id IS NOT NULL
   AND (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = p.id
           AND e.account_id IN (p.source, p.target)) <> 2
UNION ALL
SELECT format('payment txn_%s: %s, but its reversal says otherwise', p.id, p.status)
  FROM accounts_payment p
 WHERE (p.status = 'REVERSED') <>
       EXISTS (SELECT 1 FROM accounts_payment b WHERE b.reversal_of_id = p.id)
UNION ALL
SELECT format('payment txn_%s: its reversal txn_%s does not give it back', p.id, b.id)
  FROM accounts_payment p JOIN accounts_payment b ON b.reversal_of_id = p.id
 WHERE (b.sender_id, b.recipient_id, b.amount, b.fee, b.status)
       IS DISTINCT FROM (p.recipient_id, p.sender_id, p.amount, 0, 'POSTED')
"""


def declare_all() -> None:
    """Declare the movements of payments. Called once, at start."""
    payment = partial(Movement, record=RECORD, check=DIFFERENCES)
    movements.declare(
        payment(
            "payment",
            "Payment",
            "Payment to",
            "Payment from",
            counts_as_payment=True,
            has_fee=True,
        ),
        payment(
            "internal",
            "Transfer between wallets of one organization",
            "Transfer to",
            "Transfer from",
        ),
        payment("reversal", "Refund", "Refund to", "Refund from"),
    )
