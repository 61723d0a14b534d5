"""A task is woken once its work is committed, and nothing fails where nobody can be woken."""

import pytest
from celery import current_app
from django.db import transaction

from tests.world import forget_rates
from wallgent import redis
from wallgent.task_queue import enqueue_on_commit

pytestmark = pytest.mark.django_db(transaction=True)

TASK = "accounts.tasks.roll_up"
QUEUE = "celery"


def waiting() -> int:
    return redis.client().llen(QUEUE)


@pytest.fixture(autouse=True)
def _nothing_waits():
    yield
    forget_rates()


def test_it_is_woken_after_the_commit():
    with transaction.atomic():
        enqueue_on_commit(TASK)
        assert waiting() == 0
    assert waiting() == 1


def test_what_is_rolled_back_wakes_nobody():
    with transaction.atomic():
        enqueue_on_commit(TASK)
        transaction.set_rollback(True)
    assert waiting() == 0


def test_without_a_broker_nothing_fails(monkeypatch):
    monkeypatch.setattr(redis, "attempt", lambda call, default=None: default)
    with transaction.atomic():
        enqueue_on_commit(TASK)
    assert waiting() == 0


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError()])
def test_a_broker_that_goes_away_meanwhile_fails_nothing(monkeypatch, error, caplog):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(current_app, "send_task", fail)
    with transaction.atomic():
        enqueue_on_commit(TASK)
    assert "a wake-up was lost" in caplog.text


def test_what_was_sent_is_read_as_that_task():
    enqueue_on_commit(TASK)
    with current_app.connection_for_read() as connection:
        message = connection.SimpleQueue(QUEUE).get(timeout=2)
    message.ack()
    assert message.headers["task"] == TASK
