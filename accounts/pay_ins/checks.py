"""Proof that every mandate authorizes a debit that was ordered; `check_books` runs it.

A debit may have no mandate: mandates can be erased.
"""

DIFFERENCES = """
SELECT format('mandate mnd_%s: there is no bank debit of %s for %s', m.id, m.amount, m.reference)
  FROM accounts_mandate m
 WHERE NOT EXISTS (
       SELECT 1 FROM accounts_transfer t
        WHERE (t.purpose, t.reference, t.organization_id, t.environment, t.amount)
            = (m.purpose, m.reference, m.organization_id, m.environment, m.amount)
          AND t.direction = 'DEPOSIT' AND t.rail_type <> 'USDC')
"""
