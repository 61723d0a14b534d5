"""The relay, which assigns each organization's committed events their positions in its feed.

It polls every 50 ms while idle: an index lookup in an empty table costs less than a notification
with every payment, and works with Redis down. One relay is the leader, the others are on standby.
"""

import logging
import threading

import psycopg
from django.db import connection, connections

LIMIT = 1000
IDLE_SECONDS = 0.05
STANDBY_SECONDS = 1
RETRY_SECONDS = 1

_LEADER = (1702258030, 1)  # "even" in ASCII; the pass itself takes the same with 2

# If the relay's or the server's machine fails, the other side must notice soon.
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2}
_SERVER_KEEPALIVE = "".join(f" -c tcp_{name}={value}" for name, value in _KEEPALIVE.items())

logger = logging.getLogger(__name__)


def run_once(limit: int = LIMIT) -> int:
    """Assign positions to at most `limit` committed events, all or none. Return their number."""
    with connection.cursor() as cursor:
        return _assign_positions(cursor, limit)


def run_forever(stopping: threading.Event) -> None:
    """Run as leader or standby until `stopping` is set. Survives any loss of the database."""
    while not stopping.is_set():
        try:
            with _connect() as session:
                _serve(session, stopping)
        except psycopg.Error as error:
            logger.warning("The relay lost the database and tries again: %s", error)
            stopping.wait(RETRY_SECONDS)
        except Exception:  # a relay that ended silently would stop every feed
            logger.exception("The relay failed and starts again.")
            stopping.wait(RETRY_SECONDS)


def _connect() -> psycopg.Connection:
    """Open the relay's own connection: its session holds the leader's lock.

    It must connect to PostgreSQL itself: to "direct" where "default" is a pooler.
    """
    wrapper = connections["direct" if "direct" in connections else "default"]
    params = wrapper.get_connection_params() | _KEEPALIVE | {"tcp_user_timeout": 15_000}
    params["options"] = params.get("options", "") + _SERVER_KEEPALIVE
    return psycopg.connect(**params, application_name="wallgent relay", autocommit=True)


def _serve(session: psycopg.Connection, stopping: threading.Event) -> None:
    with session.cursor() as cursor:
        while not _acquire_leadership(cursor):
            if stopping.wait(STANDBY_SECONDS):
                return
        logger.info("This relay leads.")
        while not stopping.is_set():
            if _assign_positions(cursor, LIMIT) < LIMIT:
                stopping.wait(IDLE_SECONDS)


def _acquire_leadership(cursor) -> bool:
    return cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", _LEADER).fetchone()[0]


def _assign_positions(cursor, limit: int) -> int:
    cursor.execute("SELECT events_relay(%s)", [limit])
    return cursor.fetchone()[0]
