"""Money in and out of a set of wallet accounts, and what they hold for a purpose."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from accounts.ledger.models import Hold
from wallgent import ids

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Flow(NamedTuple):
    """The money that transactions of one reason moved in or out in one period."""

    period: int  # the index of the period, from 0
    currency: str
    reason: str
    incoming: Decimal
    outgoing: Decimal
    transactions: int


def flows(
    account_ids: Sequence[str], *, starts: Sequence[datetime], ahead=timedelta(0)
) -> list[Flow]:
    """Add up money in and out of wallet accounts from `starts[0]` on.

    Each period ends when the next one starts; the last one does not end. Money between two of the
    accounts is neither in nor out. `ahead` is how far their owner's clock runs ahead: clocks only
    move forward, so nothing dated since `starts[0]` was posted before the real time
    `starts[0] - ahead`.
    """
    if not account_ids:
        return []
    parameters = {
        "accounts": [ids.to_uuid(id) for id in account_ids],
        "earliest": _first_id_at(starts[0] - ahead),
        "starts": list(starts),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FLOWS, parameters)
        return [Flow(*row) for row in cursor.fetchall()]


def held_by_currency(account_ids: Sequence[str], *, reason: str) -> dict[str, Decimal]:
    """Add up what remains in the open holds of one reason, by currency."""
    open_holds = Hold.objects.filter(account__in=account_ids, remaining__gt=0, reason=reason)
    return dict(open_holds.values_list("account__currency").annotate(Sum("remaining")).order_by())


def _first_id_at(instant: datetime) -> UUID:
    """Return the smallest UUIDv7 of the instant."""
    return UUID(int=max((instant - _EPOCH) // timedelta(milliseconds=1), 0) << 80)


# The lines of an account are numbered in order of time, and the ids of their entries are in the
# same order. So a binary search finds the first line to read with the existing index (account,
# line): about twenty lookups in a million lines, no further index for each payment to write, and no
# earlier line is read. OFFSET 0 keeps the planner, which cannot know how few rows that is, from
# reading the entries of all accounts instead.
_FLOWS = """
WITH RECURSIVE page (account_id, low, high) AS (
    SELECT id, 1::bigint, lines + 1 FROM ledger_account WHERE id = ANY (%(accounts)s)
  UNION ALL
    SELECT p.account_id,
           CASE WHEN e.id < %(earliest)s THEN e.line + 1 ELSE p.low END,
           CASE WHEN e.id < %(earliest)s THEN p.high ELSE e.line END
      FROM page p
      JOIN ledger_entry e ON e.account_id = p.account_id AND e.line = (p.low + p.high) / 2
     WHERE p.low < p.high
), net AS (
    SELECT e.transaction_id, e.currency, sum(e.amount) AS amount
      FROM page p
     CROSS JOIN LATERAL (
               SELECT transaction_id, currency,
                      CASE type WHEN 'CREDIT' THEN amount ELSE -amount END AS amount
                 FROM ledger_entry WHERE account_id = p.account_id AND line >= p.low
               OFFSET 0
           ) e
     WHERE p.low = p.high
     GROUP BY e.transaction_id, e.currency
)
SELECT width_bucket(t.created_at, %(starts)s::timestamptz[]) - 1, n.currency, t.reason,
       sum(greatest(n.amount, 0)), sum(greatest(-n.amount, 0)), count(*)
  FROM net n
  JOIN ledger_transaction t ON t.id = n.transaction_id
 WHERE t.created_at >= (%(starts)s::timestamptz[])[1] AND n.amount <> 0
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
"""
