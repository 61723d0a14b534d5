"""The one address that people and programs reach us at, which every URL leaving us starts with.

A request's Host header is whatever its sender says, so no URL is built from it.
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
    """The full URL of one of our paths."""
    return urljoin(settings.PUBLIC_ORIGIN, path)


def normalized(text: str, *, development: bool, allowed_hosts: list[str]) -> str:
    """PUBLIC_ORIGIN as browsers write it: lower case, no default port, no final slash.

    Raises ImproperlyConfigured with one line that says what is wrong and how to write it.
    """
    example = "http://127.0.0.1:8000" if development else "https://pay.example.com"
    given = text.strip().rstrip("/")
    if "@" in given:  # not repeated: there may be a password in it
        raise _refused(f"it holds a user name or an @. Write the host alone, as in {example}.")
    found = _SCHEME.fullmatch(given)
    if not found:
        wanted = f"{example.partition('://')[0]}://{given.lstrip('/')}" if given else example
        raise _refused(f"'{given}' does not start with a scheme. Write {wanted}.")
    scheme, rest = found[1].lower(), found[2]
    if scheme not in _DEFAULT_PORTS:
        raise _refused(f"'{scheme}' is not a scheme of web pages. Write {example}.")
    authority, *further = re.split(r"[/?#\\]", rest, maxsplit=1)
    if further:
        raise _refused(
            f"'{given}' has a path, a query or a fragment, and all our pages are at the root of a"
            f" host. Write {scheme}://{authority}."
        )
    if scheme == "http" and not development:
        raise _refused(
            f"'{given}' is not encrypted, and with DEBUG=0 it must be. Write https://{authority}."
        )
    parts = _AUTHORITY.fullmatch(authority.lower())
    host = _host(parts["host"]) if parts else None
    if host is None:
        raise _refused(
            f"'{authority}' is not a host name or an IP address. Write {example}; names in other"
            " scripts start with xn--."
        )
    port = _port(parts["port"])
    if port is None:
        raise _refused(
            f"'{parts['port']}' is not a port. Write a number from 1 to {_MAX_PORT}, or"
            f" {scheme}://{host} for the usual one."
        )
    if not validate_host(host, allowed_hosts):
        raise _refused(
            f"its host {host} is not among ALLOWED_HOSTS, so its pages would be refused. Add it"
            " there."
        )
    return f"{scheme}://{host}" + (f":{port}" if port not in (0, _DEFAULT_PORTS[scheme]) else "")


def _host(text: str) -> str | None:
    try:
        if text.startswith("["):
            return f"[{ipaddress.IPv6Address(text[1:-1])}]" if "%" not in text else None
        if text.replace(".", "").isdecimal():
            return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None
    return text if _NAME.fullmatch(text) else None


def _port(text: str | None) -> int | None:
    """The port, or 0 where none is given."""
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= _MAX_PORT:
        return None
    return int(text)


def _refused(why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"PUBLIC_ORIGIN is not usable: {' '.join(why.split())}")
