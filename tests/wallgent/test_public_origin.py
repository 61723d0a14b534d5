"""PUBLIC_ORIGIN: every valid form is normalized, and any other stops the server at start."""

import os
import subprocess
import sys
import time

import pytest
from django.core.exceptions import ImproperlyConfigured

from wallgent import public_origin
from wallgent.localdev import workspace


def normalize(text, *, development=True, allowed_hosts=("*",)):
    return public_origin.normalize(text, development=development, allowed_hosts=list(allowed_hosts))


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://pay.example.com", "https://pay.example.com"),
        ("https://pay.example.com/", "https://pay.example.com"),
        ("https://pay.example.com//", "https://pay.example.com"),
        ("  https://pay.example.com \n", "https://pay.example.com"),
        ("HTTPS://Pay.Example.COM", "https://pay.example.com"),
        ("https://pay.example.com:443", "https://pay.example.com"),
        ("https://pay.example.com:0443/", "https://pay.example.com"),
        ("https://pay.example.com:", "https://pay.example.com"),
        ("https://pay.example.com:8443", "https://pay.example.com:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0::1]", "http://[::1]"),
        ("https://xn--hst-sna.example", "https://xn--hst-sna.example"),
    ],
)
def test_valid_origin_is_normalized(written, origin):
    assert normalize(written) == origin


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "does not start with a scheme. Write http://127.0.0.1:8000."),
        ("pay.example.com", "does not start with a scheme. Write http://pay.example.com."),
        ("//pay.example.com", "does not start with a scheme. Write http://pay.example.com."),
        (
            "pay.example.com:8000",
            "does not start with a scheme. Write http://pay.example.com:8000.",
        ),
        ("https:/pay.example.com", "does not start with a scheme"),
        ("ftp://pay.example.com", "'ftp' is not a scheme of web pages"),
        ("javascript://pay.example.com", "'javascript' is not a scheme"),
        ("https://pay.example.com/wallgent", "Write https://pay.example.com."),
        ("https://pay.example.com?a=1", "has a path, a query or a fragment"),
        ("https://pay.example.com/#top", "has a path, a query or a fragment"),
        ("https://pay.example.com\\x", "has a path, a query or a fragment"),
        ("https://ada:secret@pay.example.com", "it holds a user name"),
        ("https://", "does not start with a scheme"),
        ("https://:8000", "is not a host name"),
        ("https://pay example.com", "is not a host name"),
        ("https://pay\n.example.com", "is not a host name"),
        ("https://höst.example", "start with xn--"),
        ("https://pay_1.example.com", "is not a host name"),
        ("https://-pay.example.com", "is not a host name"),
        ("https://pay..example.com", "is not a host name"),
        ("https://300.1.1.1", "is not a host name"),
        ("https://[::1", "is not a host name"),
        ("https://[::g]", "is not a host name"),
        ("https://::1", "is not a host name"),
        ("https://pay.example.com:port", "'port' is not a port. Write a number from 1 to 65535"),
        ("https://pay.example.com:0", "'0' is not a port"),
        ("https://pay.example.com:65536", "'65536' is not a port"),
        ("https://pay.example.com:80:80", "'80:80' is not a port"),
        ("https://pay.example.com:-1", "is not a port"),
    ],
)
def test_malformed_origin_is_refused_with_one_line_that_says_how_to_correct_it(written, message):
    with pytest.raises(ImproperlyConfigured) as raised:
        normalize(written)

    text = str(raised.value)
    assert text.startswith("PUBLIC_ORIGIN is not usable: ")
    assert message in text
    assert len(text.splitlines()) == 1
    assert "secret" not in text


def test_production_needs_https():
    with pytest.raises(ImproperlyConfigured, match=r"Write https://pay\.example\.com\."):
        normalize("http://pay.example.com", development=False)


@pytest.mark.parametrize("hosts", [["pay.example.com"], [".example.com"], ["*"]])
def test_host_must_be_in_allowed_hosts(hosts):
    assert normalize("https://pay.example.com:8443", allowed_hosts=hosts)
    with pytest.raises(ImproperlyConfigured, match="not among ALLOWED_HOSTS"):
        normalize("https://pay.example.com", allowed_hosts=["www.example.com"])


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PUBLIC_ORIGIN": "127.0.0.1:8000"}, "Write http://127.0.0.1:8000."),
        ({"PUBLIC_ORIGIN": "http://localhost:8000/app"}, "Write http://localhost:8000."),
        ({"ALLOWED_HOSTS": "pay.example.com"}, "its host 127.0.0.1 is not among ALLOWED_HOSTS"),
        ({"PORT": "eight"}, "PORT is 'eight'. Write a number from 1 to 65535, such as 8000."),
    ],
)
def test_make_run_fails_before_it_starts_anything(tmp_path, environment, message):
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "manage.py", "run"],
        cwd=workspace.CHECKOUT,
        env=os.environ | {"WALLGENT_HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )

    assert result.returncode == 1
    assert result.stdout == ""  # nothing was started
    (line,) = result.stderr.splitlines()
    assert line.startswith("Wallgent cannot start. ")
    assert message in line
    assert time.monotonic() - started < 30


def test_url_starts_with_the_origin(settings):
    settings.PUBLIC_ORIGIN = "https://pay.example.com"

    assert public_origin.url("/pay/abc?a=1") == "https://pay.example.com/pay/abc?a=1"
