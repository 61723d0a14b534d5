"""Rate limits over a sliding minute, counted in Redis."""

import time
from functools import cache

from wallgent import redis
from wallgent.errors import RateLimitExceeded

WINDOW_SECONDS = 60

# Estimates the sliding minute: the count of the previous minute is weighted by the share of it that
# still lies within the last 60 seconds. A refused request does not count.
_SCRIPT = """
local current = tonumber(redis.call('GET', KEYS[1])) or 0
local before = tonumber(redis.call('GET', KEYS[2])) or 0
local limit = tonumber(ARGV[1])
local used = before * tonumber(ARGV[2]) + current
if used >= limit then return {-1, current, before} end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {math.max(0, math.floor(limit - used - 1)), current, before}
"""


@cache
def _script():
    return redis.client().register_script(_SCRIPT)


def check(*, subject: str, limit: int) -> dict[str, str]:
    """Count a request of `subject` against `limit` per minute; return the rate limit headers.

    If Redis is down, counts and refuses nothing. Raises RateLimitExceeded.
    """
    now = time.time()
    window, elapsed = divmod(now, WINDOW_SECONDS)
    keys = [f"rate:{{{subject}}}:{int(window) - back}" for back in (0, 1)]
    arguments = [limit, 1 - elapsed / WINDOW_SECONDS, WINDOW_SECONDS * 2]
    counted = redis.attempt(lambda _: _script()(keys=keys, args=arguments))
    if counted is None:
        return {}
    remaining, current, before = counted
    headers = {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(max(remaining, 0)),
        "X-RateLimit-Reset": str(int((window + 1) * WINDOW_SECONDS)),
    }
    if remaining < 0:
        error = RateLimitExceeded()
        wait = _minutes_to_wait(limit, current, before) * WINDOW_SECONDS - elapsed
        # The next whole second after that. The rounding removes errors of binary fractions.
        error.headers = headers | {"Retry-After": str(max(1, int(round(wait, 6)) + 1))}
        raise error
    return headers


def _minutes_to_wait(limit: int, current: int, before: int) -> float:
    """Return when one more request will be allowed, in minutes after the current one began."""
    if current < limit:
        # When enough of the previous minute has left the window.
        return 1 - (limit - current) / before
    return 2 - limit / current if current else 1
