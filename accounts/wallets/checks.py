"""SQL that finds wallets without their own ledger account. `check_books` runs it."""

DIFFERENCES = """
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
