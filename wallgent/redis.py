"""Redis for what may be lost: rate counters and wake-ups. Money never waits for it."""

import logging
import time
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger("wallgent.redis")

_TIMEOUT_SECONDS = 0.25
_REST_SECONDS = 1.0  # after a failure, so that an absent Redis slows nothing down
_resting_until = 0.0


@cache
def client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def attempt(call, default=None):
    """What `call(client)` returns, or `default` when Redis is away. Never raises for Redis."""
    global _resting_until
    if time.monotonic() < _resting_until:
        return default
    try:
        return call(client())
    except redis.RedisError as error:
        _resting_until = time.monotonic() + _REST_SECONDS
        log.warning("redis unavailable: %s", type(error).__name__)
        return default
