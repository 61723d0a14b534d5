"""A thread's database connection when the server closes it or refuses to go on."""

import time

import psycopg
import pytest
from django.db import Error, connection, transaction

from accounts.organizations.models import Organization
from wallgent import connections
from wallgent.api import errors

pytestmark = pytest.mark.django_db(transaction=True)


def backend_pid():
    """Return the id of the server process of this connection."""
    with connection.cursor() as cursor:
        return cursor.execute("SELECT pg_backend_pid()").fetchone()[0]


def terminate(pid):
    """Terminate a server process and wait until it is gone."""
    with new_connection() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def new_connection():
    """Return a second connection, besides this thread's."""
    return psycopg.connect(**connection.get_connection_params(), autocommit=True)


class TestCloseDead:
    def test_live_connection_is_kept(self):
        before = backend_pid()

        connections.close_dead()

        assert connection.connection is not None
        assert backend_pid() == before

    def test_dead_connection_is_replaced_before_it_is_used(self):
        before = backend_pid()
        terminate(before)

        connections.close_dead()

        assert connection.connection is None
        assert backend_pid() != before

    def test_connection_closed_on_our_side_is_replaced(self):
        backend_pid()
        connection.connection.close()

        connections.close_dead()

        assert backend_pid()

    def test_connection_with_an_unread_notification_is_kept(self):
        before = backend_pid()
        with connection.cursor() as cursor:
            cursor.execute("LISTEN news")
        with new_connection() as other:
            other.execute("NOTIFY news")
        time.sleep(0.1)

        connections.close_dead()

        assert backend_pid() == before

    def test_no_connection_is_opened(self):
        connection.close()

        connections.close_dead()

        assert connection.connection is None


class TestTemporaryFailures:
    """A database error that passes by itself is a 503, never a 500."""

    def error_of(self, *statements, pause=0):
        with pytest.raises(Error) as raised:
            self.run(statements, pause)
        error = errors.translate(raised.value)
        assert backend_pid(), "the thread cannot use its connection"
        return error.status, error.code

    @transaction.atomic
    def run(self, statements, pause):
        for statement in statements:
            with connection.cursor() as cursor:
                cursor.execute(statement)
            time.sleep(pause)

    @pytest.mark.parametrize(
        "limit",
        ["idle_in_transaction_session_timeout", "transaction_timeout", "statement_timeout"],
    )
    def test_timeout_is_a_503(self, limit):
        statements = [f"SET LOCAL {limit} = '50ms'", "SELECT pg_sleep(0.01)", "SELECT pg_sleep(1)"]

        assert self.error_of(*statements, pause=0.1) == (503, "SERVICE_UNAVAILABLE")

    def test_read_only_server_is_a_503(self):
        statements = ["SET LOCAL transaction_read_only = on", "DELETE FROM accounts_organization"]

        assert self.error_of(*statements) == (503, "SERVICE_UNAVAILABLE")
        assert not Organization.objects.exists()

    def test_lost_connection_is_a_503(self):
        statements = ["SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1"]

        assert self.error_of(*statements) == (503, "SERVICE_UNAVAILABLE")

    def test_statement_after_a_failed_one_is_a_500(self):
        with transaction.atomic(), connection.cursor() as cursor:
            with pytest.raises(Error):
                cursor.execute("SELECT 1 / 0")
            with pytest.raises(Error) as raised:
                cursor.execute("SELECT 1")
            transaction.set_rollback(True)

        assert errors.translate(raised.value).status == 500
