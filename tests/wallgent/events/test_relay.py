"""The relay: positions are complete and in order, whatever is killed meanwhile."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection, transaction

from tests.wallgent.events import feeds
from tests.wallgent.events.feeds import actor_of, in_threads, record_things, run_sql
from wallgent import events
from wallgent.events import chain, relay
from wallgent.events.models import Event, EventPosition, OutboxEntry

pytestmark = pytest.mark.django_db(transaction=True)

SESSIONS = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'wallgent relay'"
)
HERE = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
LEADERS = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1702258030 AND objid = 1"
    f" AND granted AND {HERE}"
)
# Unlike pg_stat_activity, pg_locks is read anew within a transaction.
BLOCKED = (
    "SELECT pid FROM pg_locks WHERE relation = 'wallgent_eventposition'::regclass"
    f" AND NOT granted AND {HERE}"
)


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch):
    feeds.declare(monkeypatch)


@pytest.fixture
def acme():
    return feeds.organization("Acme")


@pytest.fixture
def shop():
    return feeds.organization("Shop")


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)
    return found


def all_have_positions() -> bool:
    return not OutboxEntry.objects.exists()


def positions(organization) -> list[int]:
    return [event.position for event in Event.objects.after(organization, 0)]


def assert_complete(organization, count):
    assert positions(organization) == list(range(1, count + 1))
    assert chain.verify(organization) == []


@contextmanager
def relaying():
    """Run a relay in a thread of this process."""
    stopping = threading.Event()
    thread = threading.Thread(target=relay.run_forever, args=[stopping])
    thread.start()
    try:
        yield thread
    finally:
        stopping.set()
        thread.join(timeout=10)
    assert not thread.is_alive()


@contextmanager
def process(*command, **environment):
    """Run a program of the project on the database of the test."""
    database = connection.settings_dict
    user, password = quote(database["USER"]), quote(database["PASSWORD"])
    url = f"postgres://{user}:{password}@/{database['NAME']}?host={quote(database['HOST'])}"
    if not database["HOST"].startswith("/"):
        url = (
            f"postgres://{user}:{password}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
        )
    started = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | {"DATABASE_URL": url} | environment,
        cwd=settings.BASE_DIR,
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        wait_until(lambda: not run_sql(SESSIONS))


class TestOnePass:
    def test_committed_events_get_positions_in_order(self, acme, shop):
        record_things(actor_of(acme), 3)
        record_things(actor_of(shop), 2)

        assert [relay.run_once(limit=4), relay.run_once(), relay.run_once()] == [4, 1, 0]

        assert_complete(acme, 3)
        assert_complete(shop, 2)
        feed = Event.objects.after(acme, 0)
        assert [event.subject for event in feed] == ["thing_0", "thing_1", "thing_2"]
        assert all_have_positions()

    def test_late_commit_gets_a_later_position(self, acme):
        recorded, go_on = threading.Event(), threading.Event()

        def slow_writer():
            with transaction.atomic():
                events.record("thing.made", "slow", actor=actor_of(acme))
                recorded.set()
                go_on.wait(10)

        def passes():
            recorded.wait(10)
            record_things(actor_of(acme))
            before = relay.run_once()
            go_on.set()
            return before

        _, before = in_threads(slow_writer, passes)

        assert [before, relay.run_once()] == [1, 1]
        assert [event.subject for event in Event.objects.after(acme, 0)] == ["thing_0", "slow"]

    def test_failed_pass_changes_nothing(self, acme):
        record_things(actor_of(acme), 3)

        with transaction.atomic():
            assert relay.run_once() == 3
            transaction.set_rollback(True)

        assert (OutboxEntry.objects.count(), EventPosition.objects.count()) == (3, 0)
        assert relay.run_once() == 3
        assert_complete(acme, 3)

    def test_only_one_pass_runs_at_a_time(self, acme):
        record_things(actor_of(acme), 3)
        inside, go_on = threading.Event(), threading.Event()

        def first():
            with transaction.atomic():
                count = relay.run_once(limit=1)
                inside.set()
                go_on.wait(10)
            return count

        def second():
            inside.wait(10)
            count = relay.run_once()
            go_on.set()
            return count

        assert in_threads(first, second) == [1, 0]
        assert relay.run_once() == 2
        assert_complete(acme, 3)

    def test_readers_see_each_event_once_and_in_order_while_others_write(self, acme, shop):
        writers, each = 8, 25
        total = writers * each

        def write(number):
            for nth in range(each):
                with transaction.atomic():
                    events.record(
                        "thing.made",
                        f"thing_{number}_{nth}",
                        actor=actor_of(acme),
                        organizations=[acme, shop],
                    )
                    if random.random() < 0.2:  # commits in another order than it started
                        time.sleep(0.005)

        def follow(organization):
            seen, position = [], 0
            while len(seen) < total:
                for event in Event.objects.after(organization, position)[:10]:
                    seen.append(event.subject)
                    position = event.position
                time.sleep(0.002)
            return seen

        with relaying():
            calls = [lambda number=number: write(number) for number in range(writers)]
            *_, first, second = in_threads(*calls, lambda: follow(acme), lambda: follow(shop))

        expected = {f"thing_{number}_{nth}" for number in range(writers) for nth in range(each)}
        for seen in (first, second):
            assert len(seen) == total
            assert set(seen) == expected
            for number in range(writers):  # the events of one writer stay in order
                own = [subject for subject in seen if subject.startswith(f"thing_{number}_")]
                assert own == [f"thing_{number}_{nth}" for nth in range(each)]
        assert_complete(acme, total)
        assert_complete(shop, total)


class TestRunForever:
    def test_event_gets_its_position_within_two_seconds(self, acme):
        with relaying():
            wait_until(lambda: run_sql(LEADERS))
            started = time.monotonic()
            record_things(actor_of(acme))
            wait_until(all_have_positions)

        assert time.monotonic() - started < 2
        assert_complete(acme, 1)

    def test_only_one_of_two_relays_leads(self, acme):
        with relaying(), relaying():
            record_things(actor_of(acme), 100)
            wait_until(all_have_positions)
            assert len(run_sql(LEADERS)) == 1

        assert_complete(acme, 100)

    def test_relay_recovers_when_its_session_is_killed(self, acme, caplog):
        with relaying():
            for _ in range(2):
                (leader,) = wait_until(lambda: run_sql(LEADERS))
                run_sql("SELECT pg_terminate_backend(%s)", leader)
                record_things(actor_of(acme))
                wait_until(all_have_positions)

        assert_complete(acme, 2)
        assert "The relay lost the database" in caplog.text

    def test_standby_takes_over(self, acme):
        with relaying():
            with relaying():
                wait_until(lambda: len(run_sql(SESSIONS)) == 2 and run_sql(LEADERS))
            record_things(actor_of(acme))
            wait_until(all_have_positions)

        assert_complete(acme, 1)

    def test_error_does_not_end_the_relay(self, acme, monkeypatch, caplog):
        assign_positions, failures = relay._assign_positions, iter([RuntimeError("surprise")])

        def fail_once(cursor, limit):
            for failure in failures:
                raise failure
            return assign_positions(cursor, limit)

        monkeypatch.setattr(relay, "_assign_positions", fail_once)
        record_things(actor_of(acme))

        with relaying():
            wait_until(all_have_positions)

        assert "surprise" in caplog.text

    def test_relay_waits_for_an_unavailable_database(self, acme, monkeypatch, caplog):
        connect = relay.psycopg.connect
        unreachable = [{"host": "/nonexistent"}, {"dbname": "nonexistent"}]
        monkeypatch.setattr(
            relay.psycopg,
            "connect",
            lambda **params: connect(**params | (unreachable.pop() if unreachable else {})),
        )
        record_things(actor_of(acme))

        with relaying():
            wait_until(all_have_positions)

        assert caplog.text.count("The relay lost the database") == 2


class TestProcesses:
    def test_relay_killed_during_a_pass_loses_no_event(self, acme):
        record_things(actor_of(acme), 50)

        # Its pass is blocked at the insert, after it has deleted the outbox rows.
        with process("manage.py", "relay") as killed, transaction.atomic():
            run_sql("LOCK TABLE wallgent_eventposition IN SHARE MODE")
            (session,) = wait_until(lambda: run_sql(BLOCKED))
            killed.kill()
            killed.wait()
            run_sql("SELECT pg_terminate_backend(%s)", session)
        assert OutboxEntry.objects.count() == 50

        assert relay.run_once() == 50
        assert_complete(acme, 50)

    def test_relays_killed_at_any_time_lose_no_event(self, acme):
        done = threading.Event()

        def write():
            count = 0
            while not done.is_set():
                record_things(actor_of(acme), 20)
                count += 20
            return count

        def kill():
            try:
                for _ in range(3):
                    before = EventPosition.objects.count()
                    with process("manage.py", "relay"):
                        wait_until(lambda seen=before: EventPosition.objects.count() > seen)
                        time.sleep(random.random() / 20)
            finally:
                done.set()

        count, _ = in_threads(write, kill)
        while relay.run_once():
            pass

        assert_complete(acme, count)

    def test_command_stops_on_sigterm(self):
        with process("manage.py", "relay") as running:
            wait_until(lambda: run_sql(LEADERS))
            running.send_signal(signal.SIGTERM)

            assert running.wait(timeout=10) == 0

    def test_worker_runs_the_relay_without_a_broker(self, acme):
        record_things(actor_of(acme))
        worker = ["-m", "celery", "-A", "wallgent", "worker", "--pool", "threads", "-c", "1"]

        with process(*worker, REDIS_URL="unix:///nonexistent/redis.sock?db=0") as running:
            wait_until(all_have_positions)
            assert running.poll() is None
            running.send_signal(signal.SIGTERM)
            running.wait(timeout=20)

        assert_complete(acme, 1)
