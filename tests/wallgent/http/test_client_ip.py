"""The IP address of a request's client, behind proxies."""

import pytest
from django.test import RequestFactory

from wallgent.http import client_ip

PROXIES = ["10.0.0.0/8", "fd00::/8"]


@pytest.fixture
def ip_of(settings):
    """Return a function that returns the client's address, behind the proxies above."""
    settings.TRUSTED_PROXIES = PROXIES
    client_ip._trusted.cache_clear()

    def client_ip_of(remote: str, forwarded: str | None = None) -> str:
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        return client_ip.client_ip(RequestFactory(REMOTE_ADDR=remote).get("/", headers=headers))

    yield client_ip_of
    client_ip._trusted.cache_clear()


@pytest.mark.parametrize(
    ("remote", "forwarded", "ip"),
    [
        # X-Forwarded-For of an untrusted client is ignored.
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("203.0.113.7", "10.0.0.1", "203.0.113.7"),
        ("2001:db8::7", "10.0.0.1", "2001:db8::7"),
        # X-Forwarded-For is trusted as far as our proxies wrote it, from the right.
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", " 203.0.113.7 ", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1,203.0.113.7,10.2.3.4", "203.0.113.7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "2001:DB8:0::7", "2001:db8::7"),
        # An IPv4-mapped IPv6 address is IPv4.
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        # If every hop is a trusted proxy, the farthest one is the client.
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " ", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "fd00::2, 10.0.0.3", "fd00::2"),
        # Ports, brackets and zones are not part of an address.
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("fd00::1%eth0", "fe80::7%25en0", "fe80::7"),
        ("10.0.0.1", "203.0.113.7:x", ""),
        ("10.0.0.1", "203.0.113.7:123456", ""),
        ("10.0.0.1", "[203.0.113.7", ""),
        # A malformed address makes the client unknown.
        ("10.0.0.1", "unknown", ""),
        ("10.0.0.1", "203.0.113.7, unknown", ""),
        ("10.0.0.1", "203.0.113.7, ", ""),
        ("10.0.0.1", "\xe9", ""),
        ("10.0.0.1", ", " * 5_000, ""),
        ("", "203.0.113.7", ""),
        ("unix:", "203.0.113.7", ""),
    ],
)
def test_client_is_the_nearest_untrusted_hop(ip_of, remote, forwarded, ip):
    assert ip_of(remote, forwarded) == ip


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("fe80::7%eth0", "fe80::/64"),
        ("", "::/64"),
        ("unix:", "::/64"),
    ],
)
def test_rate_limit_key_is_never_empty(remote, network):
    request = RequestFactory(REMOTE_ADDR=remote).get("/")

    assert client_ip.client_network(request) == network


def test_forwarded_for_is_ignored_without_trusted_proxies(settings):
    settings.TRUSTED_PROXIES = []
    client_ip._trusted.cache_clear()
    request = RequestFactory(REMOTE_ADDR="127.0.0.1").get(
        "/", headers={"X-Forwarded-For": "203.0.113.7"}
    )

    assert client_ip.client_ip(request) == "127.0.0.1"
    client_ip._trusted.cache_clear()
