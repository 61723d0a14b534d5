"""Money in and out of a set of wallet accounts, and what they hold for a purpose."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import Sum

from accounts.ledger.models import Hold
from wallgent import ids


class Flow(NamedTuple):
    """The money that transactions of one reason moved in or out in one period."""

    period: int  # the index of the period, from 0
    currency: str
    reason: str
    incoming: Decimal
    outgoing: Decimal
    transactions: int


def flows(account_ids: Sequence[str], *, starts: Sequence[datetime]) -> list[Flow]:
    """Add up money in and out of wallet accounts of one owner from `starts[0]` on, by its clock.

    Each period ends when the next one starts; the last one does not end. Money between two of the
    accounts is neither in nor out.
    """
    if not account_ids:
        return []
    parameters = {
        "accounts": [ids.to_uuid(id) for id in account_ids],
        "before": starts[0] - timedelta(microseconds=1),
        "starts": list(starts),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FLOWS, parameters)
        return [Flow(*row) for row in cursor.fetchall()]


def held_by_currency(account_ids: Sequence[str], *, reason: str) -> dict[str, Decimal]:
    """Add up what remains in the open holds of one reason, by currency."""
    open_holds = Hold.objects.filter(account__in=account_ids, remaining__gt=0, reason=reason)
    return dict(open_holds.values_list("account__currency").annotate(Sum("remaining")).order_by())


# OFFSET 0 keeps the planner, which cannot know how few lines that is, from reading the entries of
# all accounts instead.
_FLOWS = """
WITH net AS (
    SELECT e.transaction_id, e.currency, max(e.created_at) AS date, sum(e.amount) AS amount
      FROM unnest(%(accounts)s::uuid[]) AS account
     CROSS JOIN ledger_last_line(account, %(before)s) AS earlier
     CROSS JOIN LATERAL (
               SELECT transaction_id, currency, created_at,
                      CASE type WHEN 'CREDIT' THEN amount ELSE -amount END AS amount
                 FROM ledger_entry WHERE account_id = account AND line > earlier
               OFFSET 0
           ) e
     GROUP BY e.transaction_id, e.currency
)
SELECT width_bucket(n.date, %(starts)s::timestamptz[]) - 1, n.currency, t.reason,
       sum(greatest(n.amount, 0)), sum(greatest(-n.amount, 0)), count(*)
  FROM net n
  JOIN ledger_transaction t ON t.id = n.transaction_id
 WHERE n.amount <> 0
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
"""
