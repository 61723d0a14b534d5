"""Input that is cheap to send and was costly to serve: each is refused, or served, in no time."""

import io
import json
import time
from contextlib import contextmanager

import pytest
from django.core.handlers.wsgi import WSGIRequest

from accounts.organizations.sign_in import forms as sign_in_forms
from tests import world
from wallgent import ids, wsgi
from wallgent.http import client_ip
from wallgent.imports import tables
from wallgent.mail import addresses

MARKS = "\u0301\u0327"  # two kinds in turn are what normalizing must sort


@contextmanager
def no_time():
    """Raise AssertionError when the block keeps a processor busy for a second."""
    started = time.process_time()
    yield
    assert time.process_time() - started < 1


class TestApi:
    @pytest.mark.parametrize("field", ["seconds", "days"])
    @pytest.mark.parametrize("number", [b"1e999999", b"1e99999999", b"9" * 1_000_000], ids=len)
    def test_a_huge_number_where_an_integer_is_read(self, api, field, number):
        with no_time():
            answer = api.post(
                "/v1/sandbox/clock/advance", raw=b'{"%b": %b}' % (field.encode(), number)
            )

        assert (answer.status_code, world.error_of(answer)) == (400, "VALIDATION_ERROR")

    def test_a_megabyte_of_lists(self, api):
        with no_time():
            answer = api.post("/v1/wallets", raw=b"[" + b"[]," * 349_000 + b"[]]")

        assert (answer.status_code, world.error_of(answer)) == (400, "VALIDATION_ERROR")

    def test_metadata_of_many_lists(self, api):
        body = {"name": "A", "metadata": {"a": [[]] * 1_000}}

        answer = api.post("/v1/wallets", body)

        assert (answer.status_code, world.error_of(answer)) == (400, "VALIDATION_ERROR")
        assert "at most 100 values" in answer.json()["error"]["message"]


class TestPages:
    def test_a_routing_number_of_combining_marks(self, db, client):
        with no_time():
            answer = client.get("/pay/checks", {"routing": "1" + MARKS * 20_000})

        assert answer.json()["error"]

    def test_a_passkey_of_many_lists(self):
        with pytest.raises(json.JSONDecodeError, match="more than 10,000 values"):
            sign_in_forms._StrictJsonDecoder().decode("[" + "[]," * 10_000 + "[]]")

    def test_an_address_in_a_form_of_combining_marks(self, acme, wallet):
        person = world.browser(world.make_member(acme))
        fields = {"submission": ids.new("sub"), "wallet": wallet.id, "amount": "5"}
        fields |= {"direction": "SEND", "emails": "a" + MARKS * 25_000}

        with no_time():
            answer = person.post(f"/{acme.id}/sandbox/payment-links/new", fields)

        assert answer.status_code == 422


class TestFiles:
    def test_a_cell_of_combining_marks(self):
        with no_time():
            assert addresses.normalize("A" + MARKS * 60_000).startswith("a")

    @pytest.mark.parametrize("blank", ["\n", ";", "\t", "\r\n", '"\n', ";'"])
    def test_a_cell_of_blanks(self, blank):
        cell = blank * (130_000 // len(blank))

        with no_time():
            assert tables.escaped(f"x{cell}") == f"x{cell}"


class TestHeaders:
    @pytest.mark.parametrize(
        "parameters", [';a="' + ";" * 60_000, ";a=b" * 60_000], ids=["open", "many"]
    )
    def test_a_content_type_of_many_parameters(self, parameters):
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/v1/wallets",
            "CONTENT_TYPE": f"application/json{parameters}",
            "wsgi.input": io.BytesIO(),
        }
        with no_time():
            wsgi._drop_charset(environ)
            assert WSGIRequest(environ).content_type == ""

    def test_thousands_of_forwarded_addresses(self, rf):
        forwarded = ",".join(f"10.0.{n // 250}.{n % 250}" for n in range(10_000))
        request = rf.get("/", headers={"x-forwarded-for": forwarded})

        hops = list(client_ip._hops(request))

        assert hops[:2] == ["127.0.0.1", "10.0.39.249"]
        assert len(hops) == 21
