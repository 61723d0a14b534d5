"""The WSGI entry point, served as in production but without the proxy."""

import contextlib
import http.client
import json
import time

import pytest

from tests import stack as stacks

CALLS = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with stacks.on_test_servers(tmp_path_factory.mktemp("wsgi"), "wsgi") as stack:
        stack.start("wsgi")
        stack.wait_until_ready()
        yield stack


@pytest.mark.xdist_group("stack")
class TestServedByGranian:
    def test_request_refused_early_keeps_its_connection(self, server):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        with contextlib.closing(connection):
            for _ in range(CALLS):
                connection.putrequest("POST", "/v1/payments")
                connection.putheader("Content-Length", "500")
                connection.endheaders()
                time.sleep(0.001)  # as over a network: the headers arrive first
                connection.send(b"x" * 500)
                response = connection.getresponse()
                assert response.status == 401
                assert json.loads(response.read())["error"]["code"] == "UNAUTHORIZED"
                assert "close" not in response.headers.get("Connection", "")

    @pytest.mark.parametrize(
        "charset",
        ["=base64", "=rot13", "=undefined", "=idna", "=utf-7", "=nonsense", "*=nonsense''x"],
    )
    @pytest.mark.parametrize(
        ("path", "status"), [("/v1/wallets?q=%ff", 401), ("/account/login/?q=%ff", 200)]
    )
    def test_charset_of_the_client_is_ignored(self, server, charset, path, status):
        headers = {"Content-Type": f"application/json; charset{charset}"}

        assert send(server, "GET", path, headers).status == status

    @pytest.mark.parametrize("boundary", ["here", '"he;re"', r'"he\"re"'])
    def test_multipart_form_is_read(self, server, boundary):
        bare = boundary.strip('"').replace("\\", "")
        fields = {"csrfmiddlewaretoken": "t" * 32, "theme": "dark"}
        parts = "".join(
            f'--{bare}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        content_type = f"multipart/form-data; charset=base64; boundary={boundary}"
        headers = {"Content-Type": content_type, "Cookie": f"csrftoken={'t' * 32}"}

        response = send(server, "POST", "/preferences/theme", headers, f"{parts}--{bare}--\r\n")

        assert response.headers["Set-Cookie"].startswith("theme=dark")


def send(server, method, path, headers, body=None):
    """Send one request and return the response."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        return connection.getresponse()
