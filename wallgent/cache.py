"""Django's cache in Redis, for data that may be lost. Without Redis the cache is empty."""

import json
import math

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from wallgent import redis


class Cache(BaseCache):
    """A cache of JSON values: unlike pickles, they cannot run code if Redis is compromised.

    Without Redis, `get` finds nothing and `add` reports success: rates are not counted, no caller
    is limited, and locks are not waited for.
    """

    def __init__(self, location, params):
        super().__init__(params)

    def get(self, key, default=None, version=None):
        text = redis.attempt(lambda client: client.get(self.make_and_validate_key(key, version)))
        return default if text is None else json.loads(text)

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        self._put(key, value, timeout, version)

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        return self._put(key, value, timeout, version, nx=True) is not False

    def touch(self, key, timeout=DEFAULT_TIMEOUT, version=None):
        key = self.make_and_validate_key(key, version)
        if (milliseconds := self._milliseconds(timeout)) is None:
            return bool(redis.attempt(lambda client: client.persist(key) or client.exists(key)))
        return bool(redis.attempt(lambda client: client.pexpire(key, milliseconds)))

    def delete(self, key, version=None):
        key = self.make_and_validate_key(key, version)
        return bool(redis.attempt(lambda client: client.delete(key)))

    def has_key(self, key, version=None):
        key = self.make_and_validate_key(key, version)
        return bool(redis.attempt(lambda client: client.exists(key)))

    def _put(self, key, value, timeout, version, **options):
        """Store a value; return whether it was stored, or None when Redis is unavailable."""
        key = self.make_and_validate_key(key, version)
        text, milliseconds = json.dumps(value), self._milliseconds(timeout)
        if milliseconds is not None and milliseconds <= 0:
            self.delete(key)
            return True
        return redis.attempt(lambda client: bool(client.set(key, text, px=milliseconds, **options)))

    def _milliseconds(self, timeout):
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else math.ceil(timeout * 1000)
