"""Whose request it is, behind our own proxies or not."""

import ipaddress
from functools import cache

from django.conf import settings


@cache
def _trusted():
    return [ipaddress.ip_network(text, strict=False) for text in settings.TRUSTED_PROXIES]


def client_ip(request) -> str:
    """The caller's address: the last hop that is not one of our proxies; "" when unknown.

    X-Forwarded-For is believed only as far as trusted proxies wrote it.
    """
    hops = [request.META.get("REMOTE_ADDR", "")]
    hops += reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(","))
    for hop in hops:
        address = _address(hop)
        if address is None or not any(address in network for network in _trusted()):
            return str(address or "")
    return ""


def client_network(request) -> str:
    """Whose address that is: of IPv6 anybody has a whole /64, so one of them limits nobody."""
    address = client_ip(request)
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))


def _address(text: str):
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
