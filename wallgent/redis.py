"""Redis, for data that may be lost: rate counters and wake-ups of tasks. Money never needs it."""

import logging
import time
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger("wallgent.redis")

_TIMEOUT_SECONDS = 0.25
_RETRY_SECONDS = 1.0  # without calls after a failure, so that an absent Redis slows nothing down
_unavailable_until = 0.0


@cache
def client() -> redis.Redis:
    """Return the shared client, with short time-outs and without retries."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def attempt(call, default=None):
    """Return `call(client)`, or `default` when Redis is unavailable. Raises no RedisError."""
    global _unavailable_until
    if time.monotonic() < _unavailable_until:
        return default
    try:
        return call(client())
    except redis.RedisError as error:
        _unavailable_until = time.monotonic() + _RETRY_SECONDS
        log.warning("redis unavailable: %s", type(error).__name__)
        return default
