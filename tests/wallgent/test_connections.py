"""What becomes of a thread's database connection when the other end is gone or gives up."""

import time

import psycopg
import pytest
from django.db import Error, connection, transaction

from accounts.organizations.models import Organization
from wallgent import connections
from wallgent.api import errors

pytestmark = pytest.mark.django_db(transaction=True)


def backend():
    """The server process at the other end."""
    with connection.cursor() as cursor:
        return cursor.execute("SELECT pg_backend_pid()").fetchone()[0]


def end(pid):
    """End a server process, and return when it is gone."""
    with another() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def another():
    """A connection beside this thread's own."""
    return psycopg.connect(**connection.get_connection_params(), autocommit=True)


class TestDropDead:
    def test_a_living_connection_is_kept(self):
        before = backend()

        connections.drop_dead()

        assert connection.connection is not None
        assert backend() == before

    def test_a_dead_one_is_replaced_before_it_is_used(self):
        before = backend()
        end(before)

        connections.drop_dead()

        assert connection.connection is None
        assert backend() != before

    def test_one_that_we_closed_ourselves_is_replaced(self):
        backend()
        connection.connection.close()

        connections.drop_dead()

        assert backend()

    def test_one_that_got_a_notice_meanwhile_is_kept(self):
        before = backend()
        with connection.cursor() as cursor:
            cursor.execute("LISTEN news")
        with another() as other:
            other.execute("NOTIFY news")
        time.sleep(0.1)

        connections.drop_dead()

        assert backend() == before

    def test_without_a_connection_none_is_made(self):
        connection.close()

        connections.drop_dead()

        assert connection.connection is None


class TestPassingTroubles:
    """What will go on in a moment is no bug of ours: 503, never 500."""

    def refusal_of(self, *statements, pause=0):
        with pytest.raises(Error) as raised:
            self.run(statements, pause)
        refusal = errors.translate(raised.value)
        assert backend(), "the thread can go on"
        return refusal.status, refusal.code

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
    def test_time_outs(self, limit):
        statements = [f"SET LOCAL {limit} = '50ms'", "SELECT pg_sleep(0.01)", "SELECT pg_sleep(1)"]

        assert self.refusal_of(*statements, pause=0.1) == (503, "SERVICE_UNAVAILABLE")

    def test_a_server_that_only_reads(self):
        statements = ["SET LOCAL transaction_read_only = on", "DELETE FROM accounts_organization"]

        assert self.refusal_of(*statements) == (503, "SERVICE_UNAVAILABLE")
        assert not Organization.objects.exists()

    def test_a_lost_connection(self):
        statements = ["SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1"]

        assert self.refusal_of(*statements) == (503, "SERVICE_UNAVAILABLE")

    def test_a_statement_after_a_failed_one_is_a_bug(self):
        with transaction.atomic(), connection.cursor() as cursor:
            with pytest.raises(Error):
                cursor.execute("SELECT 1 / 0")
            with pytest.raises(Error) as raised:
                cursor.execute("SELECT 1")
            transaction.set_rollback(True)

        assert errors.translate(raised.value).status == 500
