"""Programs and servers are killed while clients pay: no money is lost, doubled or stuck."""

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
POSTGRES_SIGNALS = [
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGKILL,
]  # fast shutdown, immediate shutdown, crash


@pytest.fixture(scope="module")
def whole_stack():
    # As in production, but with shorter deadlines, to keep the tests fast.
    deadlines = {
        "BODY_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
        "GRANIAN_HTTP1_HEADER_READ_TIMEOUT": str(DEADLINE_SECONDS * 1000),
    }
    with stacks.private(**deadlines) as stack:
        stack.payers = stack.call("payers", CLIENTS)
        stack.start(*PROGRAMS)
        stack.wait_until_ready()
        yield stack


@pytest.fixture
def stack(whole_stack):
    """The running stack. After each test, all programs run and the money is right."""
    yield whole_stack
    whole_stack.assert_running()
    assert_consistent(whole_stack)


def assert_consistent(stack):
    """Assert that all events have positions, all changes are rolled up, and the books balance."""
    waiting = "SELECT (SELECT count(*) FROM wallgent_outboxentry), count(*) FROM ledger_unrolled"
    wait_until(
        lambda: stack.query(waiting) == [(0, 0)],
        seconds=SETTLING_SECONDS,
        why="the outbox or the roll-up is stuck",
    )
    assert stack.call("differences") == {"books": [], "chains": [], "outbox": 0, "unrolled": 0}


def assert_paid_once(stack, load):
    """Assert that each payment was acknowledged, and is in the database exactly once."""
    assert [attempt.key for attempt in load.attempts if not attempt.payment_id] == []
    found = stack.query(
        "SELECT idempotency_key, array_agg(id), min(status), max(status) FROM accounts_payment"
        " WHERE idempotency_key = ANY(%s) GROUP BY 1",
        [attempt.key for attempt in load.attempts],
    )
    assert {key for key, *_ in found} == {attempt.key for attempt in load.attempts}
    assert {(len(ids), *states) for _, ids, *states in found} == {(1, "POSTED", "POSTED")}
    recorded = stack.query(
        "SELECT subject, count(*), count(DISTINCT organization_id) FROM wallgent_event"
        " WHERE type = 'payment.completed' AND subject = ANY(%s) GROUP BY 1",
        [attempt.payment_id for attempt in load.attempts],
    )
    assert len(recorded) == len(load.attempts)
    assert {tuple(counts) for _, *counts in recorded} == {(2, 2)}


def assert_refused_with_retry_after(load):
    """Assert that each refused request got the error of the API and a Retry-After."""
    for status, headers, content in load.refused:
        assert (status, headers["Content-Type"]) == (503, "application/json"), content
        assert headers["Retry-After"]
        assert json.loads(content)["error"]["code"] == "SERVICE_UNAVAILABLE"


def kill_at_random(stack, *names, times):
    """While clients pay, kill and restart programs at random."""
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
    """Clients of which one half sends its headers, and the other its body, one byte a second."""

    _HEAD = b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\n"

    def __init__(self, port, count):
        self.responses = []  # what each disconnected client had received
        self._sockets = selectors.DefaultSelector()
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(self._HEAD)
            if number % 2:
                connection.sendall(b"Content-Length: 1000\r\n\r\n")
            self._sockets.register(connection, selectors.EVENT_READ, bytearray())

    @property
    def connected(self) -> int:
        """The number of clients that the server has not disconnected."""
        return len(self._sockets.get_map())

    def drip(self, seconds, *, until):
        """Send one byte a second on each connection, and read the responses."""
        deadline = time.monotonic() + seconds
        next_send = 0.0
        while time.monotonic() < deadline and not until():
            if time.monotonic() > next_send:
                next_send = time.monotonic() + 1
                for key in list(self._sockets.get_map().values()):
                    with contextlib.suppress(OSError):
                        key.fileobj.send(b"x")
            for key, _ in self._sockets.select(timeout=0.05):
                self._receive(key)

    def _receive(self, key):
        try:
            received = key.fileobj.recv(4096)
        except OSError:
            received = b""
        key.data.extend(received)
        if not received:
            self.responses.append(bytes(key.data))
            self._sockets.unregister(key.fileobj)
            key.fileobj.close()

    def close(self):
        for key in list(self._sockets.get_map().values()):
            key.fileobj.close()
        self._sockets.close()


def slow_clients(port):
    return contextlib.closing(SlowClients(port, SLOW_CLIENTS))


class TestRedis:
    def test_payments_and_events_continue_while_it_is_down(self, stack):
        positions = "SELECT count(*) FROM wallgent_eventposition"
        with Load(stack, stack.payers) as load:
            time.sleep(0.5)
            stack.workspace.redis.stop(by=signal.SIGKILL)
            before, [(placed,)] = len(load.paid), stack.query(positions)
            wait_until(lambda: len(load.paid) > before + 20)
            wait_until(lambda: stack.query(positions)[0][0] > placed + 40)
            stack.kill("worker")
            stack.start("worker")
            [(placed,)] = stack.query(positions)
            wait_until(lambda: stack.query(positions)[0][0] > placed, why="the relay needs Redis")
            stack.workspace.redis.start()
            time.sleep(0.5)

        assert load.refused == load.cut_off == []
        assert_paid_once(stack, load)

    def test_payments_continue_while_it_hangs(self, stack):
        with Load(stack, stack.payers) as load:
            time.sleep(0.3)
            os.kill(stack.workspace.redis.pid, signal.SIGSTOP)
            before = len(load.paid)
            wait_until(lambda: len(load.paid) > before + 20)
            os.kill(stack.workspace.redis.pid, signal.SIGCONT)

        assert load.refused == load.cut_off == []
        assert_paid_once(stack, load)

    def test_restart_during_a_task_does_not_end_the_worker(self, stack):
        waiting = (
            "SELECT FROM pg_locks WHERE relation = 'ledger_unrolled'::regclass AND NOT granted"
        )
        with psycopg.connect(stack.database_url) as holder:
            holder.execute("LOCK TABLE ledger_unrolled")
            wait_until(lambda: stack.query(waiting), why="no task rolls up")
            stack.restart_redis(seconds=0.2)
        # The task is acknowledged over a lost connection. The next task rolls up these payments:
        with Load(stack, stack.payers, limit=8) as load:
            wait_until(lambda: len(load.paid) == 8)
        assert_paid_once(stack, load)


class TestPostgres:
    @pytest.mark.parametrize("by", POSTGRES_SIGNALS)
    def test_restart_loses_no_acknowledged_payment(self, stack, by):
        with Load(stack, stack.payers) as load:
            time.sleep(0.7)
            stack.restart_postgres(by=by, seconds=0.7)
            after = len(load.paid)
            wait_until(lambda: len(load.paid) > after + 50, why="payments do not continue")

        assert load.refused
        assert load.cut_off == []
        assert_refused_with_retry_after(load)
        assert_paid_once(stack, load)

    def test_restart_between_two_calls_fails_no_payment(self, stack):
        with Load(stack, stack.payers, limit=100) as load:
            wait_until(lambda: len(load.paid) == 100)
        stack.workspace.postgres.stop()
        assert (stack.status("/healthz"), stack.status("/readyz")) == (200, 503)
        stack.workspace.postgres.start()

        with Load(stack, stack.payers, limit=100) as load:
            wait_until(lambda: len(load.paid) == 100)
        assert load.refused == load.cut_off == []
        assert_paid_once(stack, load)


class TestWorkers:
    def test_workers_killed_at_random_leave_no_work_undone_or_repeated(self, stack):
        kill_at_random(stack, "worker", "relay", "roller", "beat", times=7)
        stack.start("worker", "beat")
        stack.wait_until_ready()

    def test_relay_takes_over_from_a_killed_worker(self, stack):
        stack.start("relay")
        with Load(stack, stack.payers) as load:
            time.sleep(0.5)
            stack.kill("worker")
            waiting = "SELECT count(*) FROM wallgent_outboxentry WHERE id <= %s"
            [(last,)] = stack.query("SELECT coalesce(max(id), 0) FROM wallgent_outboxentry")
            wait_until(lambda: stack.query(waiting, last) == [(0,)], seconds=10)
        assert_paid_once(stack, load)
        stack.kill("relay")
        stack.start("worker")


class TestWeb:
    def test_killed_workers_are_replaced_and_each_payment_is_made_once(self, stack):
        with Load(stack, stack.payers) as load:
            for pid in stack.children_of("web"):
                time.sleep(random.uniform(0.3, 1))
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: len(stack.children_of("web")) == 2)
            time.sleep(0.5)

        assert load.refused == []
        assert load.cut_off
        assert_paid_once(stack, load)

    def test_each_payment_is_made_once_across_a_restart(self, stack):
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
    def test_slow_clients_delay_no_payment_and_are_disconnected_in_time(self, stack):
        with Load(stack, stack.payers, limit=40) as load:
            wait_until(lambda: len(load.paid) == 40)
        baseline = load.median_seconds()

        with slow_clients(stack.port) as clients:
            with Load(stack, stack.payers, limit=40) as load:
                clients.drip(DEADLINE_SECONDS / 2, until=lambda: len(load.paid) == 40)
            assert clients.connected == SLOW_CLIENTS
            clients.drip(DEADLINE_SECONDS + 3, until=lambda: not clients.connected)
            assert clients.connected == 0
            refused = [text for text in clients.responses if text.startswith(b"HTTP/1.1 408")]
            assert len(refused) == SLOW_CLIENTS / 2
            assert all(b'"VALIDATION_ERROR"' in text for text in refused)

        assert load.median_seconds() < baseline * 4 + 0.05
        assert_paid_once(stack, load)


class TestEverything:
    @pytest.mark.hypothesis  # so that `make soak` runs it, for much longer
    @pytest.mark.timeout(3600)
    def test_random_failures_lose_or_repeat_no_payment(self, stack):
        stack.start("relay", "roller")
        with Load(stack, stack.payers, limit=100_000) as load:
            for _ in range(settings().max_examples // 4):
                time.sleep(random.uniform(0, 1))
                self.cause_failure(stack)
            stack.wait_until_ready()
        stack.kill("relay", "roller")

        assert_refused_with_retry_after(load)
        assert_paid_once(stack, load)

    def cause_failure(self, stack):
        seconds = random.uniform(0, 0.7)
        victim = random.choice(["postgres", "redis", "relay", "roller", *PROGRAMS])
        if victim == "postgres":
            stack.restart_postgres(by=random.choice(POSTGRES_SIGNALS), seconds=seconds)
        elif victim == "redis":
            stack.restart_redis(seconds=seconds)
        else:
            stack.kill(victim)
            time.sleep(seconds)
            stack.start(victim)
