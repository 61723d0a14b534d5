"""The task that processes a transfer, and the sweep that enqueues due transfers."""

import re
from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.transfers import tasks
from accounts.transfers.models import Transfer
from accounts.transfers.services import worker
from tests import world
from tests.accounts import rails
from tests.accounts.rails import stored
from wallgent import clock, ids, redis

pytestmark = pytest.mark.django_db

TASK = "accounts.transfers.tasks.process_transfer"


@pytest.fixture
def transfer(wallet):
    world.fund(wallet, "100")
    return rails.withdraw(wallet)


@pytest.fixture(autouse=True)
def _empty_queue():
    yield
    world.reset_rate_limits()


def enqueued() -> list[str]:
    """Take the ids of the transfers enqueued for workers."""
    with current_app.connection_for_read() as connection:
        queue, found = connection.SimpleQueue("celery"), []
        for _ in range(queue.qsize()):
            message = queue.get(timeout=2)
            message.ack()
            assert message.headers["task"] == TASK
            assert message.headers["expires"], "tasks would pile up while no worker runs"
            found.append(message.payload[0][0])
        return found


def test_task_processes_a_due_transfer(acme, transfer):
    tasks.process_transfer(transfer.id)
    assert stored(transfer).status == "PROCESSING"

    tasks.process_transfer(transfer.id)  # not due
    assert stored(transfer).attempts == 1

    rails.advance(acme, seconds=5)
    tasks.process_transfer(transfer.id)
    assert stored(transfer).status == "COMPLETED"


def test_task_ignores_an_unknown_transfer(db):
    tasks.process_transfer(world.unknown_id("xfr"))


def test_sweep_enqueues_only_due_transfers(acme, globex, transfer):
    later, other = (rails.deposit(transfer.wallet) for _ in range(2))
    next_hour = clock.real_now() + timedelta(hours=1)
    Transfer.objects.filter(pk__in=[later.pk, other.pk]).update(next_attempt_at=next_hour)

    assert tasks.process_due_transfers() == 1
    assert enqueued() == [transfer.id]

    rails.advance(globex, hours=2)
    assert tasks.process_due_transfers() == 1
    enqueued()

    rails.advance(acme, hours=2)
    assert tasks.process_due_transfers() == 3
    assert sorted(enqueued()) == sorted([transfer.id, later.id, other.id])


def test_sweep_does_not_read_transfers_due_later(globex, shop, transfer):
    """With 3,000 of them, and another organization's sandbox clock ahead."""
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
        with CaptureQueriesContext(connection) as queries:
            assert worker.due() == [transfer.id, ahead.id]
        for query in queries.captured_queries:
            cursor.execute(f"EXPLAIN ANALYZE {query['sql']}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            row_counts = re.findall(r"(?:actual time=\S+ rows=|Rows Removed by .*: )(\d+)", plan)
            assert max(map(int, row_counts)) < 100, plan


def test_sweep_skips_ended_transfers(acme, transfer):
    rails.settle(acme)
    assert tasks.process_due_transfers() == 0
    assert redis.client().llen("celery") == 0


def test_sweep_is_in_the_beat_schedule():
    entry = settings.CELERY_BEAT_SCHEDULE["process-due-transfers"]
    assert entry["task"] == tasks.process_due_transfers.name
    assert entry["schedule"] == entry["options"]["expires"] == tasks.SWEEP_SECONDS
