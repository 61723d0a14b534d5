"""The relay gives each organization's committed events the next place in its feed.

It looks every 50 ms while idle: an index lookup in an empty table costs less than a wake-up message
with every payment would, and it works with Redis down. One relay leads, the others stand by.
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

# When a whole machine is gone, the relay's or the server's, the other side must notice soon.
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2}
_SERVER_KEEPALIVE = "".join(f" -c tcp_{name}={value}" for name, value in _KEEPALIVE.items())

logger = logging.getLogger(__name__)


def run_once(limit: int = LIMIT) -> int:
    """Place at most `limit` committed events, all or none, and return how many they were."""
    with connection.cursor() as cursor:
        return _place(cursor, limit)


def run_forever(stopping: threading.Event) -> None:
    """Lead, or stand by to lead, until `stopping` is set; whatever happens to the database."""
    while not stopping.is_set():
        try:
            with _connect() as own:
                _serve(own, stopping)
        except psycopg.Error as error:
            logger.warning("The relay lost the database and tries again: %s", error)
            stopping.wait(RETRY_SECONDS)
        except Exception:  # a relay that dies silently would stop every feed
            logger.exception("The relay failed and starts again.")
            stopping.wait(RETRY_SECONDS)


def _connect() -> psycopg.Connection:
    """A connection of the relay's own: the lock lives as long as its session.

    It must reach PostgreSQL itself; where "default" goes through a pooler, "direct" does.
    """
    wrapper = connections["direct" if "direct" in connections else "default"]
    params = wrapper.get_connection_params() | _KEEPALIVE | {"tcp_user_timeout": 15_000}
    params["options"] = params.get("options", "") + _SERVER_KEEPALIVE
    return psycopg.connect(**params, application_name="wallgent relay", autocommit=True)


def _serve(own: psycopg.Connection, stopping: threading.Event) -> None:
    with own.cursor() as cursor:
        while not _leads(cursor):
            if stopping.wait(STANDBY_SECONDS):
                return
        logger.info("This relay leads.")
        while not stopping.is_set():
            if _place(cursor, LIMIT) < LIMIT:
                stopping.wait(IDLE_SECONDS)


def _leads(cursor) -> bool:
    return cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", _LEADER).fetchone()[0]


def _place(cursor, limit: int) -> int:
    cursor.execute("SELECT events_relay(%s)", [limit])
    return cursor.fetchone()[0]
