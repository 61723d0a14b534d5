"""Taking turns: of transactions that count before they insert, one counts at a time."""

from django.db import connection


def take(*subject: str) -> None:
    """Wait until every other transaction that has taken this turn has ended; then it is ours.

    Take it before counting, with the caller's other locks taken already, and read afterwards. A
    turn ends with its transaction.
    """
    assert connection.in_atomic_block, "a turn lasts as long as its transaction"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ["\n".join(subject)]
        )
