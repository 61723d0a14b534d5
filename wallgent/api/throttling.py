"""Rate limits per organization and environment: a sliding minute, reads and writes apart."""

import time
from functools import cache

from wallgent import redis
from wallgent.errors import RateLimitExceeded

WINDOW_SECONDS = 60

# The last full minute fades as the current one fills. A refused request does not count.
_SCRIPT = """
local used = (tonumber(redis.call('GET', KEYS[2])) or 0) * tonumber(ARGV[2])
           + (tonumber(redis.call('GET', KEYS[1])) or 0)
local limit = tonumber(ARGV[1])
if used >= limit then return -1 end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return math.floor(limit - used - 1)
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
    remaining = redis.attempt(lambda _: _script()(keys=keys, args=arguments))
    if remaining is None:
        return {}
    headers = {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(max(remaining, 0)),
        "X-RateLimit-Reset": str(int((window + 1) * WINDOW_SECONDS)),
    }
    if remaining < 0:
        error = RateLimitExceeded()
        # Enough of the old minute has faded by then for at least one more request.
        wait = max(1, int(WINDOW_SECONDS / max(limit, 1)) + 1)
        error.headers = headers | {"Retry-After": str(wait)}
        raise error
    return headers
