"""Advisory locks for transactions that count rows before they insert one."""

from django.db import connection


def acquire(*subject: str) -> None:
    """Lock `subject` until the end of the transaction; wait while another transaction has the lock.

    Acquire it after the caller's other locks and before counting, and read only afterwards.
    """
    assert connection.in_atomic_block, "the lock ends with its transaction"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ["\n".join(subject)]
        )
