"""How due work is scheduled, and in which order workers take it."""

import importlib.util
import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from tests import due, world
from tests.accounts import rails
from tests.wallgent.due_work.conftest import (
    KIND,
    SET,
    flood,
    row_of,
    schedule,
    taken_subjects,
)
from wallgent import clock, due_work, ids, redis
from wallgent.due_work import queue, tasks
from wallgent.due_work.models import DueWork

pytestmark = pytest.mark.django_db


class TestSchedule:
    def test_there_is_one_row_for_a_kind_and_subject(self, wallet):
        first = schedule(wallet, minutes=-5)
        again = schedule(wallet, minutes=-5)

        assert (again.pk, again.version) == (first.pk, 1)
        schedule(wallet, kind=SET)
        assert DueWork.objects.count() == 2

    def test_again_makes_it_sooner_and_never_later(self, wallet):
        first = schedule(wallet, minutes=-5)
        assert schedule(wallet, minutes=-9).due_at == first.due_at
        assert schedule(wallet, minutes=-2).due_at < first.due_at

    def test_rolls_back_with_its_transaction(self, wallet):
        with transaction.atomic():
            due_work.schedule(KIND, wallet, at=clock.now(wallet))
            transaction.set_rollback(True)
        assert not DueWork.objects.exists()

    def test_canceled_work_is_not_done(self, wallet):
        schedule(wallet)
        due_work.cancel(KIND, wallet)
        assert queue.take() == []

    def test_only_sandboxes_have_a_clock(self, live_wallet):
        row = schedule(live_wallet)
        assert row.clock == DueWork.Clock.REAL
        with pytest.raises(IntegrityError), transaction.atomic():
            DueWork.objects.update(clock=DueWork.Clock.SANDBOX)

    def test_work_of_no_organization_follows_real_time(self, wallet):
        wallet.organization_id, wallet.environment = None, ""
        due_work.schedule(KIND, wallet, at=clock.real_now())
        assert taken_subjects() == [wallet.id]


class TestWakeUp:
    @pytest.fixture(autouse=True)
    def _empty_queue(self):
        yield
        world.reset_rate_limits()

    def test_only_of_work_that_is_due(self, wallet, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            schedule(wallet, minutes=-5)
        assert redis.client().llen("celery") == 0

        with django_capture_on_commit_callbacks(execute=True):
            schedule(wallet)
        assert redis.client().llen("celery") == 1

    def test_when_a_sandbox_clock_is_advanced(self, acme, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            rails.advance(acme, hours=1)
        assert redis.client().llen("celery") == 1

    def test_a_sweep_every_second_heals_a_lost_one(self):
        entry = settings.CELERY_BEAT_SCHEDULE["do-due-work"]
        assert entry["task"] == tasks.do_due_work.name
        assert entry["schedule"] == entry["options"]["expires"] == 1


class TestOrder:
    def test_the_earliest_is_first(self, wallet, savings):
        schedule(savings, minutes=1)
        schedule(wallet, minutes=2)
        assert [*taken_subjects(), *taken_subjects()] == [wallet.id, savings.id]

    def test_work_that_is_not_due_waits(self, wallet):
        schedule(wallet, seconds=-5)
        assert queue.take() == []

    @pytest.mark.parametrize("follows", ["REAL", "SANDBOX"])
    def test_a_flood_of_one_organization_does_not_delay_another(self, acme, shop, follows):
        flood(acme, 5_000, follows=follows)
        flood(acme, 50_000, follows="REAL", kind=SET)
        schedule(shop)

        # Acme's two clocks and Globex's one have a turn each.
        taken = [taken_subjects() for _ in range(3)]

        assert [shop.id] in taken

    def test_organizations_have_turns(self, acme, globex):
        for organization in (acme, globex):
            flood(organization, 10)
        owners = [queue.take()[0].organization for _ in range(8)]
        assert owners[:2] in ([acme, globex], [globex, acme])
        assert owners == owners[:2] * 4

    def test_a_set_holds_as_many_of_each_organization(self, acme, globex):
        flood(acme, 100, kind=SET)
        flood(globex, 100, kind=SET)
        owners = [row.organization for row in queue.take()]
        assert (owners.count(acme), owners.count(globex)) == (5, 5)

    def test_one_organization_fills_a_set_alone(self, acme):
        flood(acme, 100, kind=SET)
        assert len(queue.take()) == 10

    def test_a_set_is_of_one_kind(self, wallet, savings, shop):
        schedule(wallet, kind=SET, minutes=3)
        schedule(savings, kind=SET, minutes=1)
        schedule(wallet, kind=KIND, minutes=2)
        assert {row.kind for row in queue.take()} == {SET}

    def test_a_worker_can_take_some_kinds_alone(self, wallet, savings):
        schedule(wallet, kind=SET, minutes=2)
        schedule(savings, minutes=1)
        assert [row.kind for row in queue.take(KIND)] == [KIND]

    def test_kinds_of_another_version_of_the_code_wait(self, acme, wallet):
        flood(acme, 5, kind="unknown", follows="SANDBOX")
        schedule(wallet)
        assert [taken_subjects(), taken_subjects()] == [[wallet.id], []]


class TestSandboxClock:
    def test_advancing_it_makes_work_due(self, acme, wallet, shop, live_wallet):
        for owned in (wallet, shop, live_wallet):
            schedule(owned, hours=-1)
        rails.advance(acme, hours=2)
        assert [taken_subjects(), taken_subjects()] == [[wallet.id], []]

    def test_work_by_real_time_does_not_follow_it(self, acme, wallet):
        schedule(wallet, real_time=True, hours=-1)
        rails.advance(acme, hours=2)
        assert queue.take() == []

    def test_what_became_due_is_done_in_order(self, acme, wallet, savings):
        """Also what is scheduled on the way, and also with several workers."""
        third = world.make_wallet(acme, "Third")
        schedule(wallet, hours=-1)
        schedule(savings, hours=-3)
        rails.advance(acme, days=1)

        [first] = queue.take()
        assert (first.subject, queue.take()) == (ids.to_uuid(wallet.id), [])
        due_work.schedule(KIND, third, at=first.due_at + timedelta(hours=1))
        due_work.finish(first)

        [second] = queue.take()
        assert (second.subject, queue.take()) == (ids.to_uuid(third.id), [])
        due_work.finish(second)
        assert taken_subjects() == [savings.id]

    def test_what_is_due_at_the_same_time_is_done_side_by_side(self, acme, wallet, savings):
        schedule(wallet, hours=-1)
        schedule(savings, hours=-1)
        rails.advance(acme, hours=2)
        assert len([*queue.take(), *queue.take()]) == 2


class TestLease:
    def test_lasts_until_it_lapses(self, wallet):
        schedule(wallet)
        assert taken_subjects() == [wallet.id]
        assert taken_subjects() == []
        due.lapse_leases()
        assert taken_subjects() == [wallet.id]

    def test_that_lapses_counts_as_a_failure_and_then_waits(self, wallet):
        schedule(wallet)
        queue.take()
        due.lapse_leases()
        [row] = queue.take()
        assert (row.failures, row_of(wallet).error) == (1, "lease lapsed")
        due.lapse_leases()
        assert queue.take() == []  # it seems to kill its workers
        assert (row_of(wallet).failures, row_of(wallet).leased_until) == (2, None)
        DueWork.objects.update(due_at=row.now)

        [row] = queue.take()
        due_work.reschedule(row, row.now)
        assert (row_of(wallet).failures, row_of(wallet).error) == (0, "")

    def test_row_that_lapsed_is_taken_without_the_others_of_a_set(self, acme):
        wallets = [world.make_wallet(acme) for _ in range(3)]
        schedule(wallets[0], kind=SET, seconds=9)
        queue.take()
        due.lapse_leases()
        for wallet in wallets[1:]:
            schedule(wallet, kind=SET)

        assert taken_subjects() == [wallets[0].id]
        assert sorted(taken_subjects()) == sorted(wallet.id for wallet in wallets[1:])

    def test_ends_when_the_row_is_rescheduled(self, wallet):
        schedule(wallet)
        [row] = queue.take()
        due_work.reschedule(row, row.now - timedelta(seconds=1))
        assert taken_subjects() == [wallet.id]

    @pytest.mark.parametrize("minutes", [0, -5])
    def test_a_request_during_it_is_not_lost(self, wallet, minutes):
        schedule(wallet)
        [row] = queue.take()
        schedule(wallet, minutes=minutes)

        if minutes:
            due_work.reschedule(row, row.now + timedelta(days=1))
        else:
            due_work.finish(row)

        assert taken_subjects() == [wallet.id]
        due_work.finish(*DueWork.objects.all())
        assert row_of(wallet) is None

    def test_a_late_worker_does_not_end_the_lease_of_the_next(self, wallet):
        schedule(wallet)
        [late] = queue.take()
        due.lapse_leases()
        [row] = queue.take()

        due_work.finish(late)
        due_work.reschedule(late, late.now)
        queue.postpone(late, error="late")

        assert row_of(wallet).leased_until == row.leased_until
        assert queue.take() == []

    def test_run_now_makes_it_due_but_not_for_two_workers(self, wallet):
        queue.run_now(schedule(wallet, days=-1))
        [row] = queue.take()
        queue.run_now(row_of(wallet))
        assert queue.take() == []

        due_work.reschedule(row, row.now + timedelta(days=1))
        assert len(queue.take()) == 1


class TestCost:
    def test_statements_do_not_grow_with_the_work(self, acme, globex):
        def count(rows):
            for organization in (acme, globex):
                flood(organization, rows, kind=SET)
            with CaptureQueriesContext(connection) as captured:
                queue.take()
            return len(captured)

        assert count(1) == count(500)

    @pytest.mark.parametrize("is_due", [False, True])
    def test_waiting_rows_are_not_read(self, acme, wallet, shop, is_due):
        """With 20,000 of them that wait, and as many that are due at a time that is not reached."""
        flood(acme, 20_000)
        flood(acme, 20_000, follows="SANDBOX")
        DueWork.objects.filter(clock="REAL").update(due_at=clock.real_now() + timedelta(days=1))
        DueWork.objects.filter(clock="SANDBOX").update(due_at=clock.real_now())
        if is_due:
            schedule(wallet, hours=1)
            queue.take()  # what is due later waits for it
            schedule(shop)
        else:
            DueWork.objects.update(due_at=clock.real_now() + timedelta(days=1))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE wallgent_duework")
            with CaptureQueriesContext(connection) as captured:
                assert len(queue.take()) == is_due
            for sql in (query["sql"] for query in captured if "WITH lane" in query["sql"]):
                cursor.execute(f"EXPLAIN ANALYZE {sql}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
                read = re.findall(r"(?:actual time=\S+ rows=|Rows Removed by .*: )(\d+)", plan)
                assert max(map(int, read)) < 100, plan


@pytest.mark.django_db(transaction=True)
def test_concurrent_workers_take_each_row_once(acme, globex):
    for organization in (acme, globex):
        flood(organization, 30, kind=SET)

    def work(number):
        taken = []
        while rows := queue.take():
            taken += [row.pk for row in rows]
        return taken

    taken = [pk for pks in world.in_parallel(4, work) for pk in pks]

    assert sorted(taken) == sorted(DueWork.objects.values_list("pk", flat=True))
    DueWork.objects.all().delete()


def test_every_process_begins_at_another_lane():
    first, second = (_imported_again(queue) for _ in range(2))

    assert first._last_lane != second._last_lane


def _imported_again(module):
    spec = importlib.util.spec_from_file_location("another_process", module.__file__)
    another = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(another)
    return another
