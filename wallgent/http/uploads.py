"""Limits on the size and duration of a request's body. Only some forms accept files."""

import re
from dataclasses import dataclass
from functools import cache

from django.conf import settings

_DASHBOARD_PATH = re.compile(r"/org_[0-9A-HJKMNP-TV-Z]{26}/(?:sandbox|production)/(.+)")
_file_paths: set[str] = set()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on the body of one request."""

    bytes: int
    seconds: int
    takes_file: bool


def accept_files(path: str) -> None:
    """Accept files at a dashboard path, such as `payment-links/bulk`. Called at start.

    nginx.conf names each of these paths, too.
    """
    assert path not in _file_paths, f"{path} is registered twice"
    _file_paths.add(path)


def limits_of(method: str, path: str) -> Limits:
    """Return the limits for a request."""
    match = _DASHBOARD_PATH.fullmatch(path) if method == "POST" else None
    return _limits(match is not None and match[1] in _file_paths)


@cache
def _limits(takes_file: bool) -> Limits:
    if takes_file:
        return Limits(settings.UPLOAD_LIMIT_BYTES, settings.UPLOAD_DEADLINE_SECONDS, takes_file)
    return Limits(settings.BODY_LIMIT_BYTES, settings.BODY_DEADLINE_SECONDS, takes_file)
