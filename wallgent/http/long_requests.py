"""Requests that keep a thread for long: few at a time, so that everybody else finds one free."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from wallgent import redis
from wallgent.actors import Actor
from wallgent.errors import RateLimitExceeded, ServiceUnavailable

PER_ORGANIZATION = 2
_RETRY_SECONDS = 5
_LEASE_SECONDS = 60  # then a place is free again though its server died

_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""

_places = threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 2))  # of this process


@contextmanager
def place(actor: Actor) -> Iterator[None]:
    """Hold one of the places for long requests: half the threads of this process.

    An organization holds two of them, over all processes; without Redis that is not counted.
    Raises RateLimitExceeded, ServiceUnavailable.
    """
    if not _places.acquire(blocking=False):
        raise _with_retry(
            ServiceUnavailable("Many files are being sent at the moment. Try again in a moment.")
        )
    try:
        with _place_of(actor.organization):
            yield
    finally:
        _places.release()


@contextmanager
def _place_of(organization) -> Iterator[None]:
    key, token, now = f"long:{organization.id}", secrets.token_hex(8), time.time()
    arguments = (now, now + _LEASE_SECONDS, token, PER_ORGANIZATION, _LEASE_SECONDS)
    if redis.attempt(lambda client: client.eval(_TAKE, 1, key, *arguments)) == 0:
        raise _with_retry(
            RateLimitExceeded(
                f"Your organization sends or downloads {PER_ORGANIZATION} files already. Try again"
                " when one of them is done."
            )
        )
    try:
        yield
    finally:
        redis.attempt(lambda client: client.zrem(key, token))


def _with_retry(error):
    error.headers = {"Retry-After": str(_RETRY_SECONDS)}
    return error
