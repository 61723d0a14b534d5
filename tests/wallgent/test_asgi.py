"""The ASGI entry point, served by granian: slow, huge and disconnecting clients delay no other."""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time

import pytest
from a2wsgi import WSGIMiddleware

from wallgent import asgi
from wallgent.localdev import processes, workspace

SLOW_CLIENTS = 200
DEADLINE_SECONDS = 4


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def port():
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--http", "1"]
    server = processes.spawn(
        [*command, "--port", port, "wallgent.asgi:application"],
        cwd=workspace.CHECKOUT,
        env=os.environ | {"BODY_DEADLINE_SECONDS": str(DEADLINE_SECONDS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            break
        time.sleep(0.05)
    yield port
    processes.stop(server)


def request(port, method="GET", path="/healthz", body=None, **headers):
    """Return the status, headers and body of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers, encode_chunked=hasattr(body, "__next__"))
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def send(port, text):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(text)
    return connection


@pytest.mark.xdist_group("stack")
class TestServedByGranian:
    def test_slow_senders_delay_no_other_client_and_are_refused_in_time(self, port):
        head = b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        slow = [send(port, head) for _ in range(SLOW_CLIENTS)]
        durations = []
        for _ in range(3):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"1")
            started = time.monotonic()
            assert request(port)[0] == 200
            durations.append(time.monotonic() - started)
            time.sleep(0.5)

        assert max(durations) < DEADLINE_SECONDS / 2  # occupied threads would be free only later
        response = slow[0].recv(2000)
        assert response.startswith(b"HTTP/1.1 408 ")
        assert json.loads(response.partition(b"\r\n\r\n")[2])["error"]["code"] == "VALIDATION_ERROR"
        for connection in slow:
            connection.close()

    @pytest.mark.parametrize("has_length", [True, False])
    def test_large_body_is_refused_with_an_error(self, port, has_length):
        body = bytes(2 * 1024 * 1024) if has_length else iter([bytes(8192)] * 256)
        headers = {} if has_length else {"Transfer-Encoding": "chunked"}

        status, headers, response = request(port, "POST", "/v1/payments", body, **headers)

        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(response)["error"]["code"] == "PAYLOAD_TOO_LARGE"

    def test_huge_body_is_refused_before_it_is_read(self, port):
        head = b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
        with send(port, head) as client:
            assert client.recv(2000).startswith(b"HTTP/1.1 413 ")

    def test_disconnected_clients_occupy_no_thread(self, port):
        for _ in range(30):
            send(
                port, b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12"
            ).close()
            send(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").close()

        assert request(port)[0] == 200

    def test_connection_is_kept_alive(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            for _ in range(3):
                connection.request("GET", "/healthz")
                assert connection.getresponse().read() == b'{"status": "ok"}'

    def test_query_with_raw_bytes_is_accepted(self, port):
        with send(port, b"GET /healthz?q=\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
            assert client.recv(2000).startswith(b"HTTP/1.1 200 ")

    def test_websocket_is_refused_with_403(self, port):
        upgrade = (
            b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with send(port, upgrade) as client:
            assert client.recv(2000).startswith(b"HTTP/1.1 403 ")


class TestWsgiEnviron:
    """The environ that the WSGI application receives."""

    @pytest.fixture
    def environs(self, monkeypatch):
        received = []

        def application(environ, start_response):
            received.append(environ | {"body": environ["wsgi.input"].read()})
            start_response("200 OK", [])
            return [b""]

        monkeypatch.setattr(asgi, "_wsgi_in_threads", WSGIMiddleware(application))
        return received

    @staticmethod
    def deliver(*messages, headers=(), path="/v1/payments"):
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "query_string": b"a=%20&b=+",
            "headers": list(headers),
        }
        sent = []

        async def serve():
            waiting = iter(messages)

            async def receive():
                return next(waiting)

            async def send(message):
                sent.append(message)

            await asgi.application(scope, receive, send)

        asyncio.run(serve())
        return sent

    def test_has_the_whole_body_and_the_raw_query(self, environs):
        part = {"type": "http.request", "body": b"12", "more_body": True}
        self.deliver(part, part, {"type": "http.request", "body": b"3"})

        assert environs[0]["body"] == b"12123"
        assert environs[0]["QUERY_STRING"] == "a=%20&b=+"

    def test_has_the_length_of_a_chunked_body(self, environs):
        part = {"type": "http.request", "body": b"12", "more_body": True}
        headers = [(b"transfer-encoding", b"chunked")]
        self.deliver(part, {"type": "http.request", "body": b"3"}, headers=headers)

        assert environs[0]["CONTENT_LENGTH"] == "3"
        assert "HTTP_TRANSFER_ENCODING" not in environs[0]

    def test_has_no_header_that_could_be_taken_for_a_proxys(self, environs):
        headers = [(b"x_forwarded_for", b"1.1.1.1"), (b"x-request-id", b"abc")]
        self.deliver({"type": "http.request"}, headers=headers)

        assert "HTTP_X_FORWARDED_FOR" not in environs[0]
        assert environs[0]["HTTP_X_REQUEST_ID"] == "abc"

    def test_is_not_created_for_a_disconnected_client(self, environs):
        part = {"type": "http.request", "body": b"12", "more_body": True}
        sent = self.deliver(part, {"type": "http.disconnect"})

        assert (environs, sent) == ([], [])


class TestUploads:
    """The only form whose body may be larger than the normal limit."""

    BULK = "/org_01ARZ3NDEKTSV4RRFFQ69G5FAV/sandbox/payment-links/bulk"

    environs = TestWsgiEnviron.environs
    deliver = staticmethod(TestWsgiEnviron.deliver)

    @staticmethod
    def megabytes(count):
        part = {"type": "http.request", "body": bytes(1024 * 1024), "more_body": True}
        return [part] * count + [{"type": "http.request"}]

    def test_file_of_five_megabytes_is_accepted(self, environs):
        self.deliver(*self.megabytes(5), path=self.BULK)

        assert len(environs[0]["body"]) == 5 * 1024 * 1024

    @pytest.mark.parametrize(
        "path", ["/v1/payments", BULK + "/", BULK + "/x", "/x" + BULK, BULK[:-1], BULK + "\n"]
    )
    def test_other_paths_refuse_large_bodies(self, environs, path):
        sent = self.deliver(*self.megabytes(2), path=path)

        assert (environs, sent[0]["status"]) == ([], 413)

    def test_too_large_file_redirects_to_the_form_with_an_error(self, environs):
        sent = self.deliver(*self.megabytes(6), path=self.BULK)

        assert (environs, sent[0]["status"]) == ([], 303)
        assert (b"location", self.BULK.encode() + b"?too-large=1") in sent[0]["headers"]

    def test_number_at_once_is_limited(self, environs, monkeypatch):
        monkeypatch.setattr(asgi._UploadSlot, "used", asgi._MAX_UPLOADS)

        busy = self.deliver(*self.megabytes(2), path=self.BULK)
        small = self.deliver({"type": "http.request", "body": b"1"}, path=self.BULK)

        assert busy[0]["status"] == 303
        assert (b"location", self.BULK.encode() + b"?busy=1") in busy[0]["headers"]
        assert small[0]["status"] == 200
        assert asgi._UploadSlot.used == asgi._MAX_UPLOADS

    def test_slots_are_always_released(self, environs):
        self.deliver(*self.megabytes(5), path=self.BULK)
        self.deliver(*self.megabytes(6), path=self.BULK)
        self.deliver(*self.megabytes(2)[:2], {"type": "http.disconnect"}, path=self.BULK)

        assert asgi._UploadSlot.used == 0
