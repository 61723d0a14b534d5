"""Whose request it is, behind our own proxies or not."""

import ipaddress
import re
from functools import cache

from django.conf import settings

UNKNOWN = "::"  # what callers without an address are counted under, all together

# Some proxies write an address as in a URL: with a port, and brackets around IPv6.
_WITH_PORT = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")
_PROXIES = 20  # that a request passes at most; a header may name thousands


@cache
def _trusted():
    return [ipaddress.ip_network(text, strict=False) for text in settings.TRUSTED_PROXIES]


def client_ip(request) -> str:
    """The caller's address: the nearest hop that is not one of our proxies; "" when unknown.

    X-Forwarded-For is believed only as far as trusted proxies wrote it. Where every hop is
    trusted, the caller is one of them: the farthest.
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
    """What limits count by: the address, or of IPv6 its /64, since one caller has all of that.

    Never empty: callers whose address is unknown share one count.
    """
    address = client_ip(request) or UNKNOWN
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


def _hops(request):
    """The addresses a request came through, as they are written, the nearest first."""
    yield request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded.strip():
        yield from reversed(forwarded.rsplit(",", _PROXIES)[-_PROXIES:])


def _address(text: str):
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found["six"] or found["four"]
    try:
        # A zone names a network card of ours, and neither limits nor columns know it.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
