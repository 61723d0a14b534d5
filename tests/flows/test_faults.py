"""Everything that can be killed is killed while clients pay: no money is lost, doubled or stuck."""

import contextlib
import json
import os
import random
import selectors
import signal
import socket
import time

import psycopg
import pytest
from hypothesis import settings

from tests import stack as stacks
from tests.stack import wait_until
from tests.stack.load import Load

pytestmark = pytest.mark.xdist_group("stack")

CLIENTS = 4
SLOW_CLIENTS = 200
DEADLINE_SECONDS = 6
SETTLING_SECONDS = 30
PROGRAMS = ("worker", "beat", "web")
POSTGRES_ENDS = [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]  # fast, immediate, not at all


@pytest.fixture(scope="module")
def whole_stack():
    # As in production, but for shorter deadlines: nobody wants to wait for the real ones.
    deadlines = {
        "BODY_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
        "GRANIAN_HTTP1_HEADER_READ_TIMEOUT": str(DEADLINE_SECONDS * 1000),
    }
    with stacks.private(**deadlines) as stack:
        stack.payers = stack.ask("payers", CLIENTS)
        stack.start(*PROGRAMS)
        stack.wait_until_ready()
        yield stack


@pytest.fixture
def stack(whole_stack):
    """The stack, whole; and whatever a test does to it, the money is right afterwards."""
    yield whole_stack
    whole_stack.assert_running()
    assert_proven(whole_stack)


def assert_proven(stack):
    """Every committed event is placed, every change rolled up, and everything adds up."""
    waiting = "SELECT (SELECT count(*) FROM events_outboxentry), count(*) FROM ledger_unrolled"
    wait_until(
        lambda: stack.query(waiting) == [(0, 0)],
        seconds=SETTLING_SECONDS,
        why="the outbox or what is to be rolled up is stuck",
    )
    assert stack.ask("proof") == {"books": [], "chains": [], "outbox": 0, "unrolled": 0}


def assert_paid_once(stack, load):
    """Each order was acknowledged, and is in the database exactly once."""
    assert [order.key for order in load.orders if not order.payment_id] == []
    found = stack.query(
        "SELECT idempotency_key, array_agg(id), min(status), max(status) FROM accounts_payment"
        " WHERE idempotency_key = ANY(%s) GROUP BY 1",
        [order.key for order in load.orders],
    )
    assert {key for key, *_ in found} == {order.key for order in load.orders}
    assert {(len(ids), *states) for _, ids, *states in found} == {(1, "POSTED", "POSTED")}
    told = stack.query(
        "SELECT subject, count(*), count(DISTINCT organization_id) FROM events_event"
        " WHERE type = 'payment.completed' AND subject = ANY(%s) GROUP BY 1",
        [order.payment_id for order in load.orders],
    )
    assert len(told) == len(load.orders)
    assert {tuple(counts) for _, *counts in told} == {(2, 2)}


def assert_politely_refused(load):
    """Whoever was not served was told so in the contract's words, and when to come back."""
    for status, headers, content in load.refused:
        assert (status, headers["Content-Type"]) == (503, "application/json"), content
        assert headers["Retry-After"]
        assert json.loads(content)["error"]["code"] == "SERVICE_UNAVAILABLE"


def kill_at_random(stack, *names, times):
    """While clients pay, kill programs again and again, whatever they are doing."""
    with Load(stack, stack.payers) as load:
        stack.start(*(name for name in names if not stack.is_running(name)))
        for _ in range(times):
            time.sleep(random.uniform(0.1, 1.6))
            victim = random.choice(names)
            stack.kill(victim)
            stack.start(victim)
    stack.kill(*names)
    assert load.refused == load.cut_off == []
    assert_paid_once(stack, load)


class SlowClients:
    """Half of them write their headers a byte a second, the other half their body."""

    _HEAD = b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\n"

    def __init__(self, port, count):
        self.told = []  # what each that was sent away had been told
        self._sockets = selectors.DefaultSelector()
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(self._HEAD)
            if number % 2:
                connection.sendall(b"Content-Length: 1000\r\n\r\n")
            self._sockets.register(connection, selectors.EVENT_READ, bytearray())

    @property
    def connected(self) -> int:
        """How many the server has not sent away yet."""
        return len(self._sockets.get_map())

    def drip(self, seconds, *, until):
        """Send a byte a second on each connection, and see who is sent away meanwhile."""
        deadline = time.monotonic() + seconds
        next_drop = 0.0
        while time.monotonic() < deadline and not until():
            if time.monotonic() > next_drop:
                next_drop = time.monotonic() + 1
                for key in list(self._sockets.get_map().values()):
                    with contextlib.suppress(OSError):
                        key.fileobj.send(b"x")
            for key, _ in self._sockets.select(timeout=0.05):
                self._listen(key)

    def _listen(self, key):
        try:
            heard = key.fileobj.recv(4096)
        except OSError:
            heard = b""
        key.data.extend(heard)
        if not heard:
            self.told.append(bytes(key.data))
            self._sockets.unregister(key.fileobj)
            key.fileobj.close()

    def close(self):
        for key in list(self._sockets.get_map().values()):
            key.fileobj.close()
        self._sockets.close()


def slow_clients(port):
    return contextlib.closing(SlowClients(port, SLOW_CLIENTS))


class TestRedis:
    def test_away_it_stops_no_payment_and_no_event(self, stack):
        places = "SELECT count(*) FROM events_eventposition"
        with Load(stack, stack.payers) as load:
            time.sleep(0.5)
            stack.place.redis.stop(by=signal.SIGKILL)
            before, [(placed,)] = len(load.paid), stack.query(places)
            wait_until(lambda: len(load.paid) > before + 20)
            wait_until(lambda: stack.query(places)[0][0] > placed + 40)
            stack.kill("worker")
            stack.start("worker")
            [(placed,)] = stack.query(places)
            wait_until(lambda: stack.query(places)[0][0] > placed, why="the relay needs Redis")
            stack.place.redis.start()
            time.sleep(0.5)

        assert load.refused == load.cut_off == []
        assert_paid_once(stack, load)

    def test_hanging_it_stops_no_payment(self, stack):
        with Load(stack, stack.payers) as load:
            time.sleep(0.3)
            os.kill(stack.place.redis.pid, signal.SIGSTOP)
            before = len(load.paid)
            wait_until(lambda: len(load.paid) > before + 20)
            os.kill(stack.place.redis.pid, signal.SIGCONT)

        assert load.refused == load.cut_off == []
        assert_paid_once(stack, load)

    def test_restarted_under_a_running_task_it_ends_no_worker(self, stack):
        waits = "SELECT FROM pg_locks WHERE relation = 'ledger_unrolled'::regclass AND NOT granted"
        with psycopg.connect(stack.database_url) as holder:
            holder.execute("LOCK TABLE ledger_unrolled")
            wait_until(lambda: stack.query(waits), why="no task rolls up")
            stack.restart_redis(seconds=0.2)
        # Done, the task is acknowledged over a connection that is gone. The next one rolls this up:
        with Load(stack, stack.payers, limit=8) as load:
            wait_until(lambda: len(load.paid) == 8)
        assert_paid_once(stack, load)


class TestPostgres:
    @pytest.mark.parametrize("by", POSTGRES_ENDS)
    def test_restarted_it_loses_nothing_that_was_acknowledged(self, stack, by):
        with Load(stack, stack.payers) as load:
            time.sleep(0.7)
            stack.restart_postgres(by=by, seconds=0.7)
            after = len(load.paid)
            wait_until(lambda: len(load.paid) > after + 50, why="payments do not come back")

        assert load.refused
        assert load.cut_off == []
        assert_politely_refused(load)
        assert_paid_once(stack, load)

    def test_restarted_between_two_calls_nobody_notices(self, stack):
        with Load(stack, stack.payers, limit=100) as load:
            wait_until(lambda: len(load.paid) == 100)
        stack.place.postgres.stop()
        assert (stack.status("/healthz"), stack.status("/readyz")) == (200, 503)
        stack.place.postgres.start()

        with Load(stack, stack.payers, limit=100) as load:
            wait_until(lambda: len(load.paid) == 100)
        assert load.refused == load.cut_off == []
        assert_paid_once(stack, load)


class TestWorkers:
    def test_killed_at_any_moment_they_leave_nothing_undone_or_done_twice(self, stack):
        kill_at_random(stack, "worker", "relay", "roller", "beat", times=7)
        stack.start("worker", "beat")
        stack.wait_until_ready()

    def test_a_relay_alone_takes_over_where_a_worker_fell(self, stack):
        stack.start("relay")
        with Load(stack, stack.payers) as load:
            time.sleep(0.5)
            stack.kill("worker")
            waiting = "SELECT count(*) FROM events_outboxentry WHERE id <= %s"
            [(last,)] = stack.query("SELECT coalesce(max(id), 0) FROM events_outboxentry")
            wait_until(lambda: stack.query(waiting, last) == [(0,)], seconds=10)
        assert_paid_once(stack, load)
        stack.kill("relay")
        stack.start("worker")


class TestWeb:
    def test_killed_workers_are_replaced_and_each_order_is_paid_once(self, stack):
        with Load(stack, stack.payers) as load:
            for pid in stack.children_of("web"):
                time.sleep(random.uniform(0.3, 1))
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: len(stack.children_of("web")) == 2)
            time.sleep(0.5)

        assert load.refused == []
        assert load.cut_off
        assert_paid_once(stack, load)

    def test_killed_whole_it_comes_back_and_each_order_is_paid_once(self, stack):
        with Load(stack, stack.payers) as load:
            time.sleep(0.5)
            stack.kill("web")
            time.sleep(0.2)
            stack.start("web")
            stack.wait_until_ready()
            time.sleep(0.3)

        assert load.refused == []
        assert load.cut_off
        assert_paid_once(stack, load)


class TestSlowClients:
    def test_they_delay_no_payment_and_are_sent_away_in_time(self, stack):
        with Load(stack, stack.payers, limit=40) as load:
            wait_until(lambda: len(load.paid) == 40)
        undisturbed = load.median_seconds()

        with slow_clients(stack.port) as clients:
            with Load(stack, stack.payers, limit=40) as load:
                clients.drip(DEADLINE_SECONDS / 2, until=lambda: len(load.paid) == 40)
            assert clients.connected == SLOW_CLIENTS
            clients.drip(DEADLINE_SECONDS + 3, until=lambda: not clients.connected)
            assert clients.connected == 0
            refused = [answer for answer in clients.told if answer.startswith(b"HTTP/1.1 408")]
            assert len(refused) == SLOW_CLIENTS / 2
            assert all(b'"VALIDATION_ERROR"' in answer for answer in refused)

        assert load.median_seconds() < undisturbed * 4 + 0.05
        assert_paid_once(stack, load)


class TestEverything:
    @pytest.mark.hypothesis  # so that `make soak` plays it, for much longer
    @pytest.mark.timeout(3600)
    def test_killed_in_any_order_no_order_is_lost_or_paid_twice(self, stack):
        stack.start("relay", "roller")
        with Load(stack, stack.payers, limit=100_000) as load:
            for _ in range(settings().max_examples // 4):
                time.sleep(random.uniform(0, 1))
                self.strike(stack)
            stack.wait_until_ready()
        stack.kill("relay", "roller")

        assert_politely_refused(load)
        assert_paid_once(stack, load)

    def strike(self, stack):
        away = random.uniform(0, 0.7)
        victim = random.choice(["postgres", "redis", "relay", "roller", *PROGRAMS])
        if victim == "postgres":
            stack.restart_postgres(by=random.choice(POSTGRES_ENDS), seconds=away)
        elif victim == "redis":
            stack.restart_redis(seconds=away)
        else:
            stack.kill(victim)
            time.sleep(away)
            stack.start(victim)
