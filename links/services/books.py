"""Proof that links owe what their holds keep. Told by `check_books`, like every difference."""

DIFFERENCES = """
WITH claimed AS (
    SELECT link_id, count(*) AS uses, sum(amount) AS amount FROM links_claim GROUP BY link_id
), kept AS (
    SELECT l.*, h.amount AS promised, h.captured, h.remaining, h.account_id,
           w.account_id AS wallet_account, a.currency AS wallet_currency,
           coalesce(c.uses, 0) AS uses, coalesce(c.amount, 0) AS claimed
      FROM links_paymentlink l
      JOIN accounts_wallet w ON w.id = l.wallet_id
      JOIN ledger_account a ON a.id = w.account_id
      LEFT JOIN ledger_hold h ON h.id = l.hold_id
      LEFT JOIN claimed c ON c.link_id = l.id
)
SELECT format('link %s: its wallet holds %s, not %s', id, wallet_currency, currency)
  FROM kept WHERE wallet_currency <> currency
UNION ALL
SELECT format('link %s: used %s times, but claimed %s times', id, use_count, uses)
  FROM kept WHERE use_count <> uses
UNION ALL
SELECT format('link %s: claims come to %s, its hold paid %s', id, claimed, captured)
  FROM kept WHERE direction = 'SEND' AND claimed <> captured
UNION ALL
SELECT format('link %s: %s, keeps %s of %s for %s uses', id, status, remaining, promised,
              max_uses - use_count)
  FROM kept
 WHERE direction = 'SEND'
   AND (account_id <> wallet_account OR promised <> amount * max_uses OR remaining <>
        CASE WHEN status = 'ACTIVE' THEN amount * (max_uses - use_count) ELSE 0 END)
UNION ALL
SELECT format('claim %s: does not agree with payment %s', c.id, c.payment_id)
  FROM links_claim c
  JOIN links_paymentlink l ON l.id = c.link_id
  LEFT JOIN accounts_payment p ON p.id = c.payment_id
 WHERE c.status = 'SETTLED'
   AND (p.kind, p.sender_id, p.recipient_id, p.amount, p.fee)
       IS DISTINCT FROM ('PAYMENT_LINK', l.wallet_id, c.wallet_id, c.amount, 0)
UNION ALL
SELECT format('payment %s: out of a link, but without a claim', p.id)
  FROM accounts_payment p
 WHERE p.kind = 'PAYMENT_LINK'
   AND NOT EXISTS (SELECT 1 FROM links_claim c WHERE c.payment_id = p.id)
UNION ALL
SELECT format('hold %s: for a link that does not know it', h.id)
  FROM ledger_hold h
 WHERE h.reason = 'payment_link'
   AND NOT EXISTS (SELECT 1 FROM links_paymentlink l WHERE l.hold_id = h.id)
"""
