"""A task is enqueued when its transaction commits; an unavailable broker raises no error."""

import pytest
from celery import current_app
from django.db import transaction

from tests.world import reset_rate_limits
from wallgent import redis
from wallgent.task_queue import enqueue_on_commit

pytestmark = pytest.mark.django_db(transaction=True)

TASK = "accounts.ledger.tasks.roll_up"
QUEUE = "celery"


def queue_length() -> int:
    return redis.client().llen(QUEUE)


@pytest.fixture(autouse=True)
def _empty_queue():
    yield
    reset_rate_limits()


def test_task_is_enqueued_after_commit():
    with transaction.atomic():
        enqueue_on_commit(TASK)
        assert queue_length() == 0
    assert queue_length() == 1


def test_rollback_enqueues_nothing():
    with transaction.atomic():
        enqueue_on_commit(TASK)
        transaction.set_rollback(True)
    assert queue_length() == 0


def test_unavailable_broker_raises_no_error(monkeypatch):
    monkeypatch.setattr(redis, "attempt", lambda call, default=None: default)
    with transaction.atomic():
        enqueue_on_commit(TASK)
    assert queue_length() == 0


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError()])
def test_broker_lost_while_sending_raises_no_error(monkeypatch, error, caplog):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(current_app, "send_task", fail)
    with transaction.atomic():
        enqueue_on_commit(TASK)
    assert "a wake-up was lost" in caplog.text


def test_message_names_the_task():
    enqueue_on_commit(TASK)
    with current_app.connection_for_read() as connection:
        message = connection.SimpleQueue(QUEUE).get(timeout=2)
    message.ack()
    assert message.headers["task"] == TASK
