"""The public origin: the start of every URL of this server that we show or send.

No URL is built from a request's Host header, because its sender can set it to anything.
"""

import ipaddress
import re
from urllib.parse import urljoin

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


def url(path: str) -> str:
    """Return the full URL of a path of this server."""
    return urljoin(settings.PUBLIC_ORIGIN, path)


def normalize(text: str, *, development: bool, allowed_hosts: list[str]) -> str:
    """Return PUBLIC_ORIGIN as browsers write it: lower case, no default port, no final slash.

    Raises ImproperlyConfigured with one line that says what is wrong and how to correct it.
    """
    example = "http://127.0.0.1:8000" if development else "https://pay.example.com"
    given = text.strip().rstrip("/")
    if "@" in given:  # not shown in the error: it may contain a password
        raise _unusable(f"it holds a user name or an @. Write the host alone, as in {example}.")
    found = _SCHEME.fullmatch(given)
    if not found:
        suggestion = f"{example.partition('://')[0]}://{given.lstrip('/')}" if given else example
        raise _unusable(f"'{given}' does not start with a scheme. Write {suggestion}.")
    scheme, rest = found[1].lower(), found[2]
    if scheme not in _DEFAULT_PORTS:
        raise _unusable(f"'{scheme}' is not a scheme of web pages. Write {example}.")
    authority, *path = re.split(r"[/?#\\]", rest, maxsplit=1)
    if path:
        raise _unusable(
            f"'{given}' has a path, a query or a fragment, and all our pages are at the root of a"
            f" host. Write {scheme}://{authority}."
        )
    if scheme == "http" and not development:
        raise _unusable(
            f"'{given}' is not encrypted, and with DEBUG=0 it must be. Write https://{authority}."
        )
    parts = _AUTHORITY.fullmatch(authority.lower())
    host = _host(parts["host"]) if parts else None
    if host is None:
        raise _unusable(
            f"'{authority}' is not a host name or an IP address. Write {example}; names in other"
            " scripts start with xn--."
        )
    port = _port(parts["port"])
    if port is None:
        raise _unusable(
            f"'{parts['port']}' is not a port. Write a number from 1 to {_MAX_PORT}, or"
            f" {scheme}://{host} for the usual one."
        )
    if not validate_host(host, allowed_hosts):
        raise _unusable(
            f"its host {host} is not among ALLOWED_HOSTS, so its pages would be refused. Add it"
            " there."
        )
    return f"{scheme}://{host}" + (f":{port}" if port not in (0, _DEFAULT_PORTS[scheme]) else "")


def _host(text: str) -> str | None:
    """Return the host in its normal form, or None if it is malformed."""
    try:
        if text.startswith("["):
            return f"[{ipaddress.IPv6Address(text[1:-1])}]" if "%" not in text else None
        if text.replace(".", "").isdecimal():
            return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None
    return text if _NAME.fullmatch(text) else None


def _port(text: str | None) -> int | None:
    """Return the port, 0 if none is given, or None if it is malformed."""
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= _MAX_PORT:
        return None
    return int(text)


def _unusable(reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"PUBLIC_ORIGIN is not usable: {' '.join(reason.split())}")
