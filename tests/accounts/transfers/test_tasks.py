"""The worker's part: one task for a transfer, and a sweep that finds those nobody was woken for."""

import re
from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import tasks
from accounts.transfers.models import Transfer
from accounts.transfers.services import worker
from tests import world
from tests.accounts import rails
from tests.accounts.rails import stored
from wallgent import clock, ids, redis

pytestmark = pytest.mark.django_db

TASK = "accounts.tasks.attend_transfer"


@pytest.fixture
def transfer(wallet):
    world.fund(wallet, "100")
    return rails.withdraw(wallet)


@pytest.fixture(autouse=True)
def _nothing_waits():
    yield
    world.forget_rates()


def handed_out() -> list[str]:
    """The ids of the transfers that workers are told to look after."""
    with current_app.connection_for_read() as connection:
        queue, found = connection.SimpleQueue("celery"), []
        for _ in range(queue.qsize()):
            message = queue.get(timeout=2)
            message.ack()
            assert message.headers["task"] == TASK
            assert message.headers["expires"], "it would pile up while the workers are away"
            found.append(message.payload[0][0])
        return found


def test_a_task_does_what_is_due(acme, transfer):
    tasks.attend_transfer(transfer.id)
    assert stored(transfer).status == "PROCESSING"

    tasks.attend_transfer(transfer.id)  # not due
    assert stored(transfer).attempts == 1

    rails.advance(acme, seconds=5)
    tasks.attend_transfer(transfer.id)
    assert stored(transfer).status == "COMPLETED"


def test_a_task_of_a_transfer_that_is_not_there_does_nothing(db):
    tasks.attend_transfer(world.unknown_id("xfr"))


def test_the_sweep_hands_out_what_is_due_and_nothing_else(acme, globex, transfer):
    later, other = (rails.deposit(transfer.wallet) for _ in range(2))
    far = clock.real_now() + timedelta(hours=1)
    Transfer.objects.filter(pk__in=[later.pk, other.pk]).update(next_attempt_at=far)

    assert tasks.attend_transfers() == 1
    assert handed_out() == [transfer.id]

    rails.advance(globex, hours=2)
    assert tasks.attend_transfers() == 1
    handed_out()

    rails.advance(acme, hours=2)
    assert tasks.attend_transfers() == 3
    assert sorted(handed_out()) == sorted([transfer.id, later.id, other.id])


def test_the_sweep_does_not_read_what_is_due_much_later(globex, shop, transfer):
    """However much there is, and though somebody else's sandbox lives ahead."""
    ahead = rails.deposit(shop)
    Transfer.objects.filter(pk=ahead.pk).update(
        next_attempt_at=clock.real_now() + timedelta(hours=1)
    )
    rails.advance(globex, hours=2)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_transfer SELECT (jsonb_populate_record(t, jsonb_build_object("
            " 'id', gen_random_uuid(),"
            " 'next_attempt_at', now() + interval '30 minutes' + n * interval '1 second'))).*"
            " FROM accounts_transfer t, generate_series(1, 3000) n WHERE t.id = %s",
            [ids.to_uuid(transfer.id)],
        )
        cursor.execute("ANALYZE accounts_transfer")
        with CaptureQueriesContext(connection) as asked:
            assert worker.due() == [transfer.id, ahead.id]
        for query in asked.captured_queries:
            cursor.execute(f"EXPLAIN ANALYZE {query['sql']}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            read = re.findall(r"(?:actual time=\S+ rows=|Rows Removed by .*: )(\d+)", plan)
            assert max(map(int, read)) < 100, plan


def test_what_has_ended_is_not_looked_at_again(acme, transfer):
    rails.settle(acme)
    assert tasks.attend_transfers() == 0
    assert redis.client().llen("celery") == 0


def test_the_sweep_is_on_the_timetable():
    entry = settings.CELERY_BEAT_SCHEDULE["attend-transfers"]
    assert entry["task"] == tasks.attend_transfers.name
    assert entry["schedule"] == entry["options"]["expires"] == tasks.SWEEP_SECONDS
