"""Posting transactions: the only way to change a balance."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import connection

from accounts.ledger import movements
from wallgent import ids
from wallgent.money import PLACES, ZERO

_POST = (
    "SELECT * FROM ledger_post(%s, %s, %s, %s::uuid[], %s::text[], %s::text[], %s::uuid[],"
    " %s::interval[], %s::int[], %s::uuid[], %s::text[], %s::numeric[], %s::text[])"
)


@dataclass(frozen=True, slots=True)
class Move:
    """An amount (> 0) to debit from one account and credit to another (account ids)."""

    debit: str
    credit: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A transaction to post. Posting its `id` again with the same moves does nothing.

    `recipient_ahead` is how far the clock of the credited wallet's owner runs ahead; None if the
    payer owns that wallet, too.
    """

    id: str
    moves: tuple[Move, ...]
    reason: str
    memo: str = ""
    reverses: str | None = None
    recipient_ahead: timedelta | None = None


class Refused(Exception):
    """The ledger refuses posting `item` (from 0) of a set on `account_id`; `outcome` says why."""

    def __init__(self, outcome: str, item: int, account_id: str, available, needed):
        super().__init__(f"{outcome} on {account_id}")
        self.outcome = outcome
        self.item = item
        self.account_id = account_id
        self.available = available
        self.needed = needed


def post(id: str, *moves: Move, book: str, reason: str, ahead=timedelta(0), **fields) -> None:
    """Post one transaction, in the caller's atomic block.

    `ahead` is how far the payer's clock runs ahead. Raises Refused.
    """
    post_set([Posting(id=id, moves=moves, reason=reason, **fields)], book=book, ahead=ahead)


def post_set(
    postings: Iterable[Posting], *, book: str, ahead=timedelta(0), forced: bool = False
) -> None:
    """Post several transactions of one book in order, all or none, in the caller's atomic block.

    A forced posting is not refused for missing funds or a freeze: the missing amount becomes debt
    of the account. Raises Refused; a closed or full account refuses forced postings, too.
    Raises NotDeclared for a reason that is no declared movement. `ahead` is as in `post`.
    """
    assert connection.in_atomic_block, "a refusal must be able to roll back"
    postings = list(postings)
    assert postings, "there is something to post"
    movements.require(posting.reason for posting in postings)
    entries = _entries(postings)
    arguments = [
        book,
        ahead,
        forced,
        _array(ids.to_uuid(posting.id) for posting in postings),
        [posting.reason for posting in postings],
        [posting.memo for posting in postings],
        _array(
            ids.to_uuid(posting.reverses) if posting.reverses else "NULL" for posting in postings
        ),
        _array(_interval(posting.recipient_ahead) for posting in postings),
        _array(item for item, _, _, _ in entries),
        _array(ids.to_uuid(account_id) for _, account_id, _, _ in entries),
        _array(type for _, _, type, _ in entries),
        _array(entries.values()),
        _array(currency for _, _, _, currency in entries),
    ]
    with connection.cursor() as cursor:
        cursor.execute(_POST, arguments)
        outcome, item, account_id, available, needed = cursor.fetchone()
    if outcome not in ("POSTED", "REPEATED"):
        account = ids.to_text("acc", account_id) if account_id else ""
        raise Refused(outcome, (item or 1) - 1, account, available, needed)


def _array(values: Iterable) -> str:
    """Format a PostgreSQL array of values that need no quotes.

    The driver would adapt each element; for ids, numbers and fixed words, joining is enough.
    """
    return f"{{{','.join(map(str, values))}}}"


def _interval(duration: timedelta | None) -> str:
    return "NULL" if duration is None else f"{duration // timedelta(microseconds=1)}us"


def _entries(postings: list[Posting]) -> dict[tuple[int, str, str, str], Decimal]:
    """Sum the moves: one amount for each item (from 1), account, side and currency."""
    entries: dict[tuple[int, str, str, str], Decimal] = {}
    for item, posting in enumerate(postings, 1):
        assert posting.moves, "a transaction has at least one move"
        for move in posting.moves:
            assert move.amount > 0, "a move has a positive amount"
            # More decimals would be rounded in one place and not in another.
            assert move.amount.as_tuple().exponent >= -PLACES, "a move has at most 8 decimals"
            for account_id, type in ((move.debit, "DEBIT"), (move.credit, "CREDIT")):
                key = (item, account_id, type, move.currency)
                entries[key] = entries.get(key, ZERO) + move.amount
    return entries


def roll_up(limit: int = 10_000) -> int:
    """Add up to `limit` waiting changes to the balances of system accounts. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_roll(%s)", [limit])
        return cursor.fetchone()[0]
