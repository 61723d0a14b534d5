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
