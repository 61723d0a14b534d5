"""The IP address of a request's client, with or without trusted proxies in front."""

import ipaddress
import re
from functools import cache

from django.conf import settings

UNKNOWN = "::"  # the shared network of callers whose address is unknown

# Some proxies write an address as in a URL: with a port, and brackets around IPv6.
_WITH_PORT = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")
_PROXIES = 20  # that a request passes at most; a header may name thousands


@cache
def _trusted():
    return [ipaddress.ip_network(text, strict=False) for text in settings.TRUSTED_PROXIES]


def client_ip(request) -> str:
    """Return the caller's address: the nearest hop that is not a trusted proxy, or "" if unknown.

    X-Forwarded-For is trusted only as far as trusted proxies wrote it. If every hop is trusted, the
    caller is the farthest one.
    """
    farthest = ""
    for hop in _hops(request):
        address = _address(hop)
        if address is None:
            return ""
        farthest = str(address)
        if not any(address in network for network in _trusted()):
            break
    return farthest


def client_network(request) -> str:
    """Return the key for rate limits: the IPv4 address, or the /64 of an IPv6 address.

    A single caller usually has a whole /64. Callers whose address is unknown share one key.
    """
    address = client_ip(request) or UNKNOWN
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


def _hops(request):
    """Yield the addresses that a request came through, unparsed, the nearest first."""
    yield request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded.strip():
        yield from reversed(forwarded.rsplit(",", _PROXIES)[-_PROXIES:])


def _address(text: str):
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found["six"] or found["four"]
    try:
        # A zone names one of our network interfaces; rate limits and columns do not accept it.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
