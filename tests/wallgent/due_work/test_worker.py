"""Due work is done once, whatever fails, and whenever a worker is killed."""

import itertools
import os
import signal
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from accounts.wallets.models import Wallet
from tests import due, world
from tests.wallgent.due_work.conftest import (
    KIND,
    SET,
    mark,
    marks,
    row_of,
    schedule,
)
from wallgent import clock, due_work
from wallgent.due_work import queue, worker
from wallgent.due_work.models import DueWork

pytestmark = pytest.mark.django_db


def fail(rows):
    raise RuntimeError("with details that are not stored")


@pytest.fixture
def wallets(acme):
    return [world.make_wallet(acme, f"Wallet {number}") for number in range(5)]


def test_due_work_is_done_once(wallets):
    for wallet in wallets:
        schedule(wallet)
    assert [worker.work(), worker.work()] == [5, 0]
    assert [marks(wallet) for wallet in wallets] == [1] * 5


class TestFailure:
    def test_is_tried_again_after_growing_pauses(self, wallet, handlers):
        handlers[KIND] = fail
        schedule(wallet)
        pauses = []
        for _ in range(9):
            DueWork.objects.update(due_at=clock.real_now())
            assert worker.work() == 1
            pauses.append(round((row_of(wallet).due_at - clock.real_now()).total_seconds()))

        row = row_of(wallet)
        assert (row.failures, row.error, row.leased_until) == (9, "RuntimeError", None)
        assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, 60]

    def test_success_forgets_it(self, wallet, handlers):
        handlers[KIND] = fail
        schedule(wallet)
        worker.work()
        handlers[KIND] = lambda rows: due_work.reschedule(rows[0], rows[0].now + timedelta(days=1))
        DueWork.objects.update(due_at=clock.real_now())
        worker.work()
        assert (row_of(wallet).failures, row_of(wallet).error) == (0, "")

    def test_a_row_that_the_handler_left_is_tried_again(self, wallet, handlers):
        handlers[KIND] = lambda rows: None
        schedule(wallet)
        worker.work()
        assert (row_of(wallet).failures, row_of(wallet).error) == (1, "not finished")

    @pytest.mark.parametrize("bad", [[0], [0, 1, 2, 3], [4]])
    def test_of_a_set_does_not_delay_its_other_rows(self, wallets, handlers, bad, caplog):
        broken = {wallets[number].id for number in bad}

        def handle(rows):
            if broken & {worker.subject_id(row) for row in rows}:
                fail(rows)
            mark(rows)

        handlers[SET] = handle
        for wallet in wallets:
            schedule(wallet, kind=SET)
        worker.work()

        for wallet in wallets:
            assert marks(wallet) == (wallet.id not in broken)
            assert (wallet.id in caplog.text) == (wallet.id in broken)

    def test_after_some_of_a_set_were_done_leaves_those_alone(self, wallets, handlers):
        def handle(rows):
            mark(rows[:2])
            fail(rows)

        handlers[SET] = handle
        for wallet in wallets[:3]:
            schedule(wallet, kind=SET)
        worker.work()

        assert sum(marks(wallet) for wallet in wallets) == 2
        assert DueWork.objects.get().failures == 1

    def test_lock_of_one_subject_does_not_delay_the_others(self, wallets, handlers):
        def handle(rows):
            if wallets[2].id in {worker.subject_id(row) for row in rows}:
                raise OperationalError("lock timeout") from LockNotAvailable()
            mark(rows)

        handlers[SET] = handle
        for wallet in wallets:
            schedule(wallet, kind=SET)
        worker.work()
        assert [marks(wallet) for wallet in wallets] == [1, 1, 0, 1, 1]
        assert row_of(wallets[2], SET).error == "LockNotAvailable"

    def test_lost_database_is_waited_for_once(self, wallets, handlers):
        sets = []

        def handle(rows):
            sets.append(len(rows))
            raise OperationalError("gone")

        handlers[SET] = handle
        for wallet in wallets:
            schedule(wallet, kind=SET)
        worker.work()
        assert sets == [5]
        assert set(DueWork.objects.values_list("failures", "error")) == {(1, "OperationalError")}

    def test_rows_are_not_tried_alone_after_the_deadline(self, wallets, handlers, monkeypatch):
        real_now, sets = clock.real_now, []

        def handle(rows):
            sets.append(len(rows))
            later = real_now() + timedelta(seconds=31)
            monkeypatch.setattr(clock, "real_now", lambda: later)
            fail(rows)

        handlers[SET] = handle
        for wallet in wallets:
            schedule(wallet, kind=SET)
        worker.handle(queue.take())
        assert sets == [5]
        assert not DueWork.objects.exclude(leased_until=None).exists()


def test_work_ends_in_time_for_other_tasks(wallets, handlers, monkeypatch):
    wake_ups = []
    monkeypatch.setattr(queue, "wake", lambda: wake_ups.append(1))
    monkeypatch.setattr(worker, "WORK_SECONDS", 0)
    for wallet in wallets:
        schedule(wallet)
    wake_ups.clear()
    assert worker.work() == 1
    assert len(wake_ups) == 2  # another worker may help, and this one continues later


def _work_until_killed(number: int) -> bool:
    """Work in another process, killed before its n-th statement. Return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        inherited, connection.connection = connection.connection, None  # still the parent's
        remaining = itertools.count(number, -1)

        def kill(execute, *arguments):
            if next(remaining) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*arguments)

        status = 1
        try:
            with connection.execute_wrapper(kill):
                worker.work()
            status = 0
        finally:
            os._exit(status if inherited else 2)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [KIND, SET])
def test_work_is_done_once_whenever_its_worker_is_killed(acme, kind):
    """While it takes a lease, handles the rows, or finishes them."""
    for number in itertools.count(1):
        wallets = [world.make_wallet(acme, f"Wallet {number}") for _ in range(3)]
        for wallet in wallets:
            schedule(wallet, kind=kind)
        was_killed = _work_until_killed(number)
        due.lapse_leases()
        worker.work()
        assert [marks(wallet) for wallet in wallets] == [1] * 3, number
        assert not DueWork.objects.exists()
        if not was_killed:
            break
    assert number > 8


@pytest.mark.django_db(transaction=True)
def test_concurrent_workers_do_work_once(acme, globex):
    wallets = [
        world.make_wallet(owner, f"Wallet {n}") for owner in (acme, globex) for n in range(10)
    ]
    for wallet in wallets:
        schedule(wallet)
        schedule(wallet, kind=SET)
    handled = world.in_parallel(4, lambda n: worker.work())
    assert sum(handled) == 40
    assert {marks(wallet) for wallet in wallets} == {2}


@pytest.mark.django_db(transaction=True)
def test_a_sooner_request_waits_for_no_worker_and_no_subject(wallet, handlers):
    """A handler locks the subject and then the row; a request during it cannot deadlock with it."""

    def handle(rows):
        Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)
        world.in_parallel(1, lambda n: schedule(wallet))
        due_work.finish(*rows)

    handlers[KIND] = transaction.atomic(handle)
    schedule(wallet)
    worker.handle(queue.take())
    assert (row_of(wallet).version, row_of(wallet).leased_until) == (1, None)
