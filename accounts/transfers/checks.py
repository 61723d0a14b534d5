"""The movements of transfers, and the check that transfers, ledger and rails agree."""

from functools import partial

from accounts.ledger import movements
from accounts.ledger.movements import Movement, Record

# Selects one sentence for each difference. Until a transfer is checked again, its rail may be ahead
# of the ledger, but never behind it.
DIFFERENCES = """
WITH treasury AS (
    SELECT * FROM ledger_account WHERE kind = 'TREASURY' AND rail <> ''
), posted AS (
    SELECT id AS transfer_id, transaction_id, 'the' AS step FROM accounts_transfer
     WHERE transaction_id IS NOT NULL AND NOT (direction = 'DEPOSIT' AND rail_type = 'USDC')
    UNION ALL
    SELECT id, return_transaction_id, 'back' FROM accounts_transfer
     WHERE return_transaction_id IS NOT NULL
    UNION ALL
    SELECT transfer_id, transaction_id, 'in' FROM accounts_incomingpayment
     WHERE transaction_id IS NOT NULL
), booked AS (
    SELECT p.transfer_id, count(*) AS times,
           sum(CASE e.type WHEN 'DEBIT' THEN e.amount ELSE -e.amount END) AS amount,
           min(y.rail) AS rail, min(y.book) AS book
      FROM posted p
      JOIN ledger_entry e ON e.transaction_id = p.transaction_id
      JOIN treasury y ON y.id = e.account_id
     GROUP BY p.transfer_id
), simulated AS (
    SELECT o.reference, count(e.id) AS times, coalesce(sum(e.amount), 0) AS amount
      FROM accounts_simulatororder o
      LEFT JOIN accounts_simulatorentry e ON e.order_id = o.id
     GROUP BY o.reference
), credited AS (
    SELECT transfer_id,
           sum(amount) FILTER (WHERE kind IN ('PARTIAL', 'EXACT', 'EXCESS')) AS in_time,
           sum(amount) FILTER (WHERE transaction_id IS NOT NULL) AS amount
      FROM accounts_incomingpayment GROUP BY transfer_id
), suspense AS (
    SELECT a.id, a.book, a.currency,
           coalesce(sum(CASE e.type WHEN 'CREDIT' THEN e.amount ELSE -e.amount END), 0) AS amount
      FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id
     WHERE a.kind = 'SUSPENSE' GROUP BY a.id
), waiting AS (
    SELECT t.environment AS book, s.currency, sum(s.amount) AS amount
      FROM accounts_suspended s JOIN accounts_transfer t ON t.id = s.transfer_id
     WHERE s.ended_at IS NULL GROUP BY t.environment, s.currency
), taken AS (
    SELECT e.transaction_id, array_agg(e.account_id) AS account_ids
      FROM accounts_transfer t
      JOIN ledger_entry e ON e.transaction_id = t.return_transaction_id AND e.type = 'DEBIT'
      JOIN ledger_account a ON a.id = e.account_id AND a.kind NOT IN ('TREASURY', 'EXCHANGE')
     GROUP BY e.transaction_id
), returned AS (
    SELECT t.id, coalesce(s.wallet_id, t.wallet_id) AS owing_id, w.id AS charged_id,
           w.is_default AND w.currency = t.currency AS is_default, taken.account_ids AS taken_from,
           CASE WHEN s.id IS NULL OR s.wallet_id IS NOT NULL THEN w.account_id
                ELSE b.id END AS account_id
      FROM accounts_transfer t
      JOIN accounts_wallet w ON w.id = coalesce(t.charged_wallet_id, t.wallet_id)
      LEFT JOIN accounts_suspended s ON s.transaction_id = t.transaction_id
      LEFT JOIN suspense b ON (b.book, b.currency) = (t.environment, t.currency)
      LEFT JOIN taken ON taken.transaction_id = t.return_transaction_id
     WHERE t.direction = 'DEPOSIT' AND t.status = 'RETURNED'
), moved AS (
    SELECT t.*, t.direction = 'DEPOSIT' AND t.rail_type = 'USDC' AS awaits,
           coalesce(b.amount, 0) AS booked, coalesce(b.times, 0) AS booked_times,
           coalesce(s.amount, 0) AS simulated, coalesce(s.times, 0) AS simulated_times,
           coalesce(c.amount, 0) AS credited, coalesce(c.in_time, 0) AS in_time,
           a.currency AS wallet_currency, a.id AS account_id, b.rail AS booked_rail,
           b.book AS booked_book, d.id IS NOT NULL AS is_waiting
      FROM accounts_transfer t
      JOIN accounts_wallet w ON w.id = t.wallet_id
      JOIN ledger_account a ON a.id = w.account_id
      LEFT JOIN booked b ON b.transfer_id = t.id
      LEFT JOIN simulated s ON s.reference = t.id
      LEFT JOIN credited c ON c.transfer_id = t.id
      LEFT JOIN wallgent_duework d ON d.kind = 'process_transfer' AND d.subject = t.id
)
SELECT format('transfer xfr_%s: its wallet holds %s, not %s', id, wallet_currency, currency)
  FROM moved WHERE wallet_currency <> currency
UNION ALL
SELECT format('transfer xfr_%s: %s over %s, the ledger moved %s', id, status, amount, booked)
  FROM moved
 WHERE booked <> CASE WHEN awaits THEN credited
                      WHEN status <> 'COMPLETED' THEN 0
                      WHEN direction = 'DEPOSIT' THEN amount
                      ELSE -amount END
UNION ALL
SELECT format('transfer xfr_%s: goes by %s, the ledger moved it by %s', id, rail_type, booked_rail)
  FROM moved WHERE booked_rail <> lower(rail_type)
UNION ALL
SELECT format('transfer xfr_%s: in %s, the ledger moved it in %s', id, environment, booked_book)
  FROM moved WHERE booked_book <> environment
UNION ALL
SELECT format('transfer xfr_%s: pays out of a hold on another account', m.id)
  FROM moved m JOIN ledger_hold h ON h.id = m.hold_id
 WHERE h.account_id <> m.account_id
UNION ALL
SELECT format(
           'transfer xfr_%s: kept in suspense, and paid into wallet wal_%s, which is not its own',
           t.id, w.id)
  FROM accounts_suspended s
  JOIN accounts_transfer t ON t.id = s.transfer_id
  JOIN accounts_wallet w ON w.id = s.wallet_id
 WHERE (w.organization_id, w.environment, w.currency)
       <> (t.organization_id, t.environment, s.currency)
UNION ALL
SELECT format('transfer xfr_%s: %s, with %s of %s received', id, status, received, amount)
  FROM moved
 WHERE awaits AND (received <> in_time OR (status = 'COMPLETED') <> (received >= amount))
UNION ALL
SELECT format('transfer xfr_%s: its return does not reverse what completed it', t.id)
  FROM accounts_transfer t
  LEFT JOIN ledger_transaction l ON l.id = t.return_transaction_id
 WHERE t.return_transaction_id IS NOT NULL AND l.reverses_id IS DISTINCT FROM t.transaction_id
UNION ALL
SELECT format('transfer xfr_%s: its return was not charged to the wallet that owes it', id)
  FROM returned WHERE taken_from IS DISTINCT FROM ARRAY[account_id]
UNION ALL
SELECT format('transfer xfr_%s: its return is charged to wallet wal_%s without a reason', r.id,
              r.charged_id)
  FROM returned r
  JOIN accounts_wallet owing ON owing.id = r.owing_id
  JOIN ledger_account a ON a.id = owing.account_id
 WHERE r.charged_id <> r.owing_id
   AND NOT (r.is_default AND NOT owing.is_default AND a.state = 'CLOSED')
UNION ALL
SELECT format('transaction txn_%s: over a rail, and charged to us', e.transaction_id)
  FROM ledger_entry e
  JOIN ledger_account a ON a.id = e.account_id AND a.kind = 'EXPENSES'
 WHERE EXISTS (SELECT 1 FROM ledger_entry o JOIN treasury y ON y.id = o.account_id
                WHERE o.transaction_id = e.transaction_id)
UNION ALL
SELECT format('suspense in %s of %s: keeps %s, and %s waits there for wallets',
              b.currency, b.book, b.amount, coalesce(w.amount, 0))
  FROM suspense b LEFT JOIN waiting w ON (w.book, w.currency) = (b.book, b.currency)
 WHERE b.amount <> coalesce(w.amount, 0)
UNION ALL
SELECT format('transfer xfr_%s: the ledger does not know of its %s in suspense',
              s.transfer_id, s.amount)
  FROM accounts_suspended s
 WHERE NOT EXISTS (
       SELECT 1 FROM posted p JOIN ledger_entry e ON e.transaction_id = p.transaction_id
         JOIN ledger_account a ON a.id = e.account_id
        WHERE (p.transfer_id, p.transaction_id) = (s.transfer_id, s.transaction_id)
          AND (a.kind, e.type, e.amount, e.currency)
              = ('SUSPENSE', 'CREDIT', s.amount, s.currency))
UNION ALL
SELECT format('transaction txn_%s: over a rail, but without a transfer', e.transaction_id)
  FROM ledger_entry e
  JOIN treasury y ON y.id = e.account_id
 WHERE NOT EXISTS (SELECT 1 FROM posted p WHERE p.transaction_id = e.transaction_id)
UNION ALL
SELECT format('transfer xfr_%s: %s, and its hold keeps %s and paid %s of %s',
              m.id, m.status, h.remaining, h.captured, h.amount)
  FROM moved m JOIN ledger_hold h ON h.id = m.hold_id
 WHERE m.owns_hold AND (h.amount, h.remaining, h.captured) IS DISTINCT FROM (
           m.amount + m.fee,
           CASE WHEN m.status IN ('PENDING', 'PROCESSING') THEN m.amount + m.fee ELSE 0 END,
           CASE WHEN m.status IN ('COMPLETED', 'RETURNED') THEN m.amount + m.fee ELSE 0 END)
UNION ALL
SELECT format('hold hld_%s: keeps %s, transfers out of it need %s', h.id, h.remaining,
              sum(m.amount))
  FROM moved m JOIN ledger_hold h ON h.id = m.hold_id
 WHERE m.status IN ('PENDING', 'PROCESSING') AND NOT m.owns_hold
 GROUP BY h.id HAVING sum(m.amount) > h.remaining
UNION ALL
SELECT format('transfer xfr_%s: %s, the ledger moved %s and the simulator %s',
              id, status, booked, simulated)
  FROM moved
 WHERE provider = 'simulator' AND booked <> simulated
   AND (NOT is_waiting OR booked_times >= simulated_times)
UNION ALL
SELECT format('order sim_%s: the simulator says %s, and has moved %s', o.id, o.state, s.amount)
  FROM accounts_simulatororder o JOIN simulated s ON s.reference = o.reference
 WHERE NOT (o.direction = 'DEPOSIT' AND o.rail_type = 'USDC')
   AND s.amount <> CASE WHEN o.state <> 'COMPLETED' THEN 0
                        WHEN o.direction = 'DEPOSIT' THEN o.amount
                        ELSE -o.amount END
UNION ALL
SELECT format('order sim_%s: no transfer ordered it from the simulator as it is', o.id)
  FROM accounts_simulatororder o
  LEFT JOIN accounts_transfer t ON t.id = o.reference
 WHERE (t.organization_id, t.direction, t.rail_type, t.amount, t.environment, t.provider)
       IS DISTINCT FROM
       (o.organization_id, o.direction, o.rail_type, o.amount, 'SANDBOX', 'simulator')
"""

_POSTED = """
SELECT transaction_id FROM accounts_transfer
UNION ALL SELECT return_transaction_id FROM accounts_transfer
UNION ALL SELECT transaction_id FROM accounts_incomingpayment
UNION ALL SELECT end_transaction_id FROM accounts_suspended
"""


def declare_all() -> None:
    """Declare the movements of transfers. Called once, at start."""
    transfer = partial(Movement, record=Record("transfer", _POSTED), check=DIFFERENCES)
    held = Record("transfer", "SELECT hold_id FROM accounts_transfer")
    movements.declare(
        transfer("deposit", "Deposit"),
        transfer("withdrawal", "Withdrawal"),
        transfer("transfer_return", "Return of a transfer"),
        Movement("transfer", "Transfer", record=held, check=DIFFERENCES, is_hold=True),
    )
