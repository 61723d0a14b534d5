"""Rate limits per organization and environment: a sliding minute, reads and writes apart."""

import time
from functools import cache

from wallgent import redis
from wallgent.errors import RateLimitExceeded

WINDOW_SECONDS = 60

# The last full minute fades as the current one fills. A refused request does not count.
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
    """Count one request of `subject` against `limit` a minute; answer the headers to send.

    Without Redis nothing is counted and nothing refused. Raises RateLimitExceeded.
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
        # The next whole second after it; rounding hides what binary fractions leave.
        error.headers = headers | {"Retry-After": str(max(1, int(round(wait, 6)) + 1))}
        raise error
    return headers


def _minutes_to_wait(limit: int, current: int, before: int) -> float:
    """How long after the current minute's beginning one more request will find room."""
    if current < limit:
        return 1 - (limit - current) / before  # when so much of the old minute has faded
    return 2 - limit / current if current else 1
