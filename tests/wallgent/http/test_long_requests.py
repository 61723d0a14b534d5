"""Requests that occupy a thread for long: few for an organization, half the threads for all."""

import threading
from contextlib import ExitStack

import pytest

from tests import world
from wallgent.http import long_requests


@pytest.fixture
def actor(acme):
    return world.actor_for(acme)


class TestPlace:
    def test_an_organization_holds_two(self, actor, globex, monkeypatch):
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(10))
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(long_requests.place(actor))
            with pytest.raises(long_requests.RateLimitExceeded), long_requests.place(actor):
                pass
            stack.enter_context(long_requests.place(world.actor_for(globex)))
        with long_requests.place(actor):
            pass

    def test_all_organizations_together_hold_half_the_threads(
        self, actor, globex, settings, monkeypatch
    ):
        assert long_requests._places._initial_value == settings.WEB_THREADS // 2
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(1))

        with (
            long_requests.place(actor),
            pytest.raises(long_requests.ServiceUnavailable) as caught,
            long_requests.place(world.actor_for(globex)),
        ):
            pass

        assert caught.value.headers == {"Retry-After": "5"}

    def test_the_place_of_a_server_that_died_is_free_again(self, actor, monkeypatch):
        redis = long_requests.redis.client()
        redis.zadd(f"long:{actor.organization.id}", {"a": 1, "b": 2})

        with long_requests.place(actor):
            pass

    def test_without_redis_an_organization_is_not_counted(self, actor, monkeypatch):
        monkeypatch.setattr(long_requests.redis, "attempt", lambda call, default=None: default)
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(4))

        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(long_requests.place(actor))
