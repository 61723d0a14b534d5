"""How much a request may send, and for how long: one form sends files, nothing else does."""

import re
from dataclasses import dataclass
from functools import cache

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request's body."""

    bytes: int
    seconds: int
    takes_file: bool


def limits_of(method: str, path: str) -> Limits:
    """The limits of a request to a path."""
    return _limits(method == "POST" and re.fullmatch(settings.UPLOAD_PATH, path) is not None)


@cache
def _limits(takes_file: bool) -> Limits:
    if takes_file:
        return Limits(settings.UPLOAD_LIMIT_BYTES, settings.UPLOAD_DEADLINE_SECONDS, takes_file)
    return Limits(settings.BODY_LIMIT_BYTES, settings.BODY_DEADLINE_SECONDS, takes_file)
