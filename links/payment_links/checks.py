"""The movements of links, and the check that links, claims, holds and transfers agree."""

from accounts.ledger import movements
from accounts.ledger.movements import Movement, Record
from accounts.payments.models import RECORD as PAYMENT
from links.payment_links.models import PURPOSE

DIFFERENCES = """
WITH claimed AS (
    SELECT link_id, count(*) AS uses FROM links_claim
     WHERE consumes_use GROUP BY link_id
), link AS (
    SELECT l.*, w.account_id AS wallet_account, a.currency AS wallet_currency,
           coalesce(c.uses, 0) AS uses
      FROM links_paymentlink l
      JOIN accounts_wallet w ON w.id = l.wallet_id
      JOIN ledger_account a ON a.id = w.account_id
      LEFT JOIN claimed c ON c.link_id = l.id
), owner AS (
    SELECT hold_id, id AS link_id FROM links_paymentlink WHERE hold_id IS NOT NULL
    UNION
    SELECT hold_id, link_id FROM links_claim WHERE hold_id IS NOT NULL
), owed AS (
    SELECT o.link_id, h.id AS hold_id, h.account_id, h.captured, h.remaining,
           coalesce(sum(c.amount) FILTER (WHERE c.status IN ('SETTLED', 'RETURNED')), 0) AS paid,
           coalesce(sum(c.amount) FILTER (WHERE c.status = 'CLAIMED'), 0) AS under_way
      FROM owner o
      JOIN ledger_hold h ON h.id = o.hold_id
      LEFT JOIN links_claim c ON c.hold_id = o.hold_id AND c.link_id = o.link_id
     GROUP BY o.link_id, h.id
)
SELECT format('link lnk_%s: its wallet holds %s, not %s', id, wallet_currency, currency)
  FROM link WHERE wallet_currency <> currency
UNION ALL
SELECT format('link lnk_%s: used %s times, but claimed %s times', id, use_count, uses)
  FROM link WHERE use_count <> uses
UNION ALL
SELECT format('link lnk_%s: SETTLED, but a claim is under way', l.id)
  FROM links_paymentlink l
  JOIN links_claim c ON c.link_id = l.id AND c.status IN ('CLAIMED', 'AWAITING_PAYMENT')
 WHERE l.status = 'SETTLED'
UNION ALL
SELECT format('link lnk_%s: claims come to %s, its hold paid %s', o.link_id, o.paid, o.captured)
  FROM owed o WHERE o.paid <> o.captured
UNION ALL
SELECT format('link lnk_%s: %s, keeps %s, %s claims under way for %s, and %s uses are left', l.id,
              l.status, o.remaining, l.amount, o.under_way, l.max_uses - l.use_count)
  FROM owed o
  JOIN link l ON l.id = o.link_id
 WHERE o.account_id <> l.wallet_account
    OR o.remaining <> o.under_way +
       CASE WHEN l.status = 'ACTIVE' AND l.hold_id = o.hold_id
            THEN l.amount * (l.max_uses - l.use_count) ELSE 0 END
UNION ALL
SELECT format('claim clm_%s: of %s, its link is of %s', c.id, c.amount, l.amount)
  FROM links_claim c JOIN links_paymentlink l ON l.id = c.link_id
 WHERE c.amount <> l.amount OR (c.consumes_use AND c.hold_id IS NULL) <> (
       c.consumes_use AND l.direction = 'RECEIVE')
UNION ALL
SELECT format('claim clm_%s: does not agree with payment %s', c.id, 'txn_' || c.payment_id)
  FROM links_claim c
  JOIN links_paymentlink l ON l.id = c.link_id
  LEFT JOIN accounts_payment p ON p.id = c.payment_id
 WHERE c.status = 'SETTLED' AND c.method = 'WALLET'
   AND (p.id, p.kind, p.sender_id, p.recipient_id, p.amount, p.fee) IS DISTINCT FROM (
       c.transaction_id, 'PAYMENT_LINK',
       CASE l.direction WHEN 'SEND' THEN l.wallet_id ELSE c.wallet_id END,
       CASE l.direction WHEN 'SEND' THEN c.wallet_id ELSE l.wallet_id END, c.amount, 0)
UNION ALL
SELECT format('claim clm_%s: %s, but its transfer %s is %s', c.id, c.status,
              'xfr_' || t.id, t.status)
  FROM links_claim c
  JOIN links_paymentlink l ON l.id = c.link_id
  LEFT JOIN accounts_transfer t ON t.id = c.transfer_id
 WHERE c.method <> 'WALLET' AND (
       (t.wallet_id, t.amount, t.rail_type, t.direction) IS DISTINCT FROM (
        l.wallet_id, c.amount, c.method,
        CASE l.direction WHEN 'SEND' THEN 'WITHDRAWAL' ELSE 'DEPOSIT' END)
    OR NOT CASE c.status
       WHEN 'CLAIMED' THEN t.status IN ('PENDING', 'PROCESSING')
       WHEN 'AWAITING_PAYMENT' THEN t.status IN ('PENDING', 'PROCESSING')
       WHEN 'SETTLED' THEN (t.status = 'COMPLETED' AND t.transaction_id = c.transaction_id)
            OR (t.status IN ('FAILED', 'CANCELLED') AND (
                SELECT bool_or(i.transaction_id = c.transaction_id) AND sum(i.amount) >= c.amount
                  FROM accounts_incomingpayment i
                 WHERE i.transfer_id = t.id AND i.transaction_id IS NOT NULL) IS TRUE)
       WHEN 'RETURNED' THEN t.status = 'RETURNED'
       ELSE t.status IN ('FAILED', 'CANCELLED') END)
UNION ALL
SELECT format('transfer xfr_%s: for a payment link, but of no claim', t.id)
  FROM accounts_transfer t
 WHERE t.purpose = 'payment_link'
   AND NOT EXISTS (SELECT 1 FROM links_claim c WHERE c.transfer_id = t.id)
UNION ALL
SELECT format('wallet wal_%s: %s claims wait for its approval, and %s approvals are pending',
              wallet_id, claims, approvals)
  FROM (SELECT wallet_id, sum(claims) AS claims, sum(approvals) AS approvals
          FROM (SELECT wallet_id, 1 AS claims, 0 AS approvals FROM links_claim
                 WHERE status = 'PENDING_APPROVAL'
                UNION ALL
                SELECT wallet_id, 0, 1 FROM accounts_approval
                 WHERE kind = 'payment_link' AND status = 'PENDING') waiting
         GROUP BY wallet_id) by_wallet
 WHERE claims <> approvals
UNION ALL
SELECT format('payment txn_%s: out of a link, but without a claim', p.id)
  FROM accounts_payment p
 WHERE p.kind = 'PAYMENT_LINK' AND p.status <> 'FAILED'
   AND NOT EXISTS (SELECT 1 FROM links_claim c WHERE c.payment_id = p.id)
"""

_HELD = "SELECT hold_id FROM links_paymentlink UNION ALL SELECT hold_id FROM links_claim"


def declare_all() -> None:
    """Declare the movements of payment links. Called once, at start."""
    movements.declare(
        Movement(
            PURPOSE,
            "Payment by link",
            "Payment link claimed by",
            "Payment link of",
            record=PAYMENT,
            check=DIFFERENCES,
            counts_as_payment=True,
        ),
        Movement(
            PURPOSE,
            "Payment link",
            record=Record("link", _HELD),
            check=DIFFERENCES,
            is_hold=True,
            total_label="Held in payment links",
        ),
    )
