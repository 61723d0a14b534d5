import pytest
from django.test import RequestFactory

from wallgent.http import client_ip

PROXIES = ["10.0.0.0/8", "fd00::/8"]


@pytest.fixture
def ip_of(settings):
    """A function that tells whose request it is, behind the proxies above."""
    settings.TRUSTED_PROXIES = PROXIES
    client_ip._trusted.cache_clear()

    def tell(remote: str, forwarded: str | None = None) -> str:
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        return client_ip.client_ip(RequestFactory(REMOTE_ADDR=remote).get("/", headers=headers))

    yield tell
    client_ip._trusted.cache_clear()


@pytest.mark.parametrize(
    ("remote", "forwarded", "ip"),
    [
        # A stranger's word about itself counts for nothing.
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("203.0.113.7", "10.0.0.1", "203.0.113.7"),
        ("2001:db8::7", "10.0.0.1", "2001:db8::7"),
        # Our proxies' word counts as far as they wrote it, from the right.
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", " 203.0.113.7 ", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1,203.0.113.7,10.2.3.4", "203.0.113.7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "2001:DB8:0::7", "2001:db8::7"),
        # IPv4 in IPv6 clothes is IPv4.
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        # Where every hop is ours, the farthest one calls.
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
        # What cannot be told is told as nothing, never as somebody.
        ("10.0.0.1", "unknown", ""),
        ("10.0.0.1", "203.0.113.7, unknown", ""),
        ("10.0.0.1", "203.0.113.7, ", ""),
        ("10.0.0.1", "\xe9", ""),
        ("10.0.0.1", ", " * 5_000, ""),
        ("", "203.0.113.7", ""),
        ("unix:", "203.0.113.7", ""),
    ],
)
def test_whose_request_it_is(ip_of, remote, forwarded, ip):
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
def test_what_limits_count_by_is_never_empty(remote, network):
    request = RequestFactory(REMOTE_ADDR=remote).get("/")

    assert client_ip.client_network(request) == network


def test_without_proxies_of_our_own_nobody_is_believed(settings):
    settings.TRUSTED_PROXIES = []
    client_ip._trusted.cache_clear()
    request = RequestFactory(REMOTE_ADDR="127.0.0.1").get(
        "/", headers={"X-Forwarded-For": "203.0.113.7"}
    )

    assert client_ip.client_ip(request) == "127.0.0.1"
    client_ip._trusted.cache_clear()
