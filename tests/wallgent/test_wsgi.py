"""The WSGI entry point, served as in production but for the proxy in front."""

import contextlib
import http.client
import json
import time

import pytest

from tests import stack as stacks

CALLS = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with stacks.beside_the_tests(tmp_path_factory.mktemp("wsgi"), "wsgi") as stack:
        stack.start("wsgi")
        stack.wait_until_ready()
        yield stack


@pytest.mark.xdist_group("stack")
class TestServedByGranian:
    def test_who_is_refused_early_keeps_the_connection(self, server):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        with contextlib.closing(connection):
            for _ in range(CALLS):
                connection.putrequest("POST", "/v1/payments")
                connection.putheader("Content-Length", "500")
                connection.endheaders()
                time.sleep(0.001)  # as it comes over a network: the head first
                connection.send(b"x" * 500)
                answer = connection.getresponse()
                assert answer.status == 401
                assert json.loads(answer.read())["error"]["code"] == "UNAUTHORIZED"
                assert "close" not in answer.headers.get("Connection", "")

    @pytest.mark.parametrize(
        "charset",
        ["=base64", "=rot13", "=undefined", "=idna", "=utf-7", "=nonsense", "*=nonsense''x"],
    )
    @pytest.mark.parametrize(
        ("path", "status"), [("/v1/wallets?q=%ff", 401), ("/account/login/?q=%ff", 200)]
    )
    def test_an_encoding_that_a_client_names_is_not_used(self, server, charset, path, status):
        kind = f"application/json; charset{charset}"

        assert ask(server, "GET", path, {"Content-Type": kind}).status == status

    @pytest.mark.parametrize("boundary", ["here", '"he;re"', r'"he\"re"'])
    def test_a_form_of_several_parts_is_read(self, server, boundary):
        bare = boundary.strip('"').replace("\\", "")
        fields = {"csrfmiddlewaretoken": "t" * 32, "theme": "dark"}
        parts = "".join(
            f'--{bare}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        kind = f"multipart/form-data; charset=base64; boundary={boundary}"
        headers = {"Content-Type": kind, "Cookie": f"csrftoken={'t' * 32}"}

        answer = ask(server, "POST", "/preferences/theme", headers, f"{parts}--{bare}--\r\n")

        assert answer.headers["Set-Cookie"].startswith("theme=dark")


def ask(server, method, path, headers, body=None):
    """The answer to one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        return connection.getresponse()
