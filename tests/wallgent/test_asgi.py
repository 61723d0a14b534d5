"""The ASGI entry point, served for real: slow, huge and vanishing clients disturb nobody."""

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


def ask(port, method="GET", path="/healthz", body=None, **headers):
    """The status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers, encode_chunked=hasattr(body, "__next__"))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def send(port, text):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(text)
    return connection


@pytest.mark.xdist_group("stack")
class TestServedByGranian:
    def test_slow_senders_delay_nobody_and_are_refused_in_time(self, port):
        head = b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        slow = [send(port, head) for _ in range(SLOW_CLIENTS)]
        durations = []
        for _ in range(3):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"1")
            started = time.monotonic()
            assert ask(port)[0] == 200
            durations.append(time.monotonic() - started)
            time.sleep(0.5)

        assert max(durations) < DEADLINE_SECONDS / 2  # held threads would be free later
        answer = slow[0].recv(2000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "VALIDATION_ERROR"
        for connection in slow:
            connection.close()

    @pytest.mark.parametrize("announced", [True, False])
    def test_a_large_body_is_refused_in_words(self, port, announced):
        body = bytes(2 * 1024 * 1024) if announced else iter([bytes(8192)] * 256)
        headers = {} if announced else {"Transfer-Encoding": "chunked"}

        status, headers, answer = ask(port, "POST", "/v1/payments", body, **headers)

        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(answer)["error"]["code"] == "PAYLOAD_TOO_LARGE"

    def test_a_huge_body_is_not_even_read(self, port):
        head = b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
        with send(port, head) as client:
            assert client.recv(2000).startswith(b"HTTP/1.1 413 ")

    def test_vanishing_clients_hold_no_thread(self, port):
        for _ in range(30):
            send(
                port, b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12"
            ).close()
            send(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").close()

        assert ask(port)[0] == 200

    def test_a_connection_is_kept_alive(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            for _ in range(3):
                connection.request("GET", "/healthz")
                assert connection.getresponse().read() == b'{"status": "ok"}'

    def test_a_query_of_raw_bytes_is_no_error(self, port):
        with send(port, b"GET /healthz?q=\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
            assert client.recv(2000).startswith(b"HTTP/1.1 200 ")

    def test_a_websocket_is_refused_politely(self, port):
        upgrade = (
            b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with send(port, upgrade) as client:
            assert client.recv(2000).startswith(b"HTTP/1.1 403 ")


class TestHandsOver:
    """What the WSGI application gets to see."""

    @pytest.fixture
    def seen(self, monkeypatch):
        requests = []

        def application(environ, start_response):
            requests.append(environ | {"body": environ["wsgi.input"].read()})
            start_response("200 OK", [])
            return [b""]

        monkeypatch.setattr(asgi, "_in_a_thread", WSGIMiddleware(application))
        return requests

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

    def test_the_whole_body_and_the_query_as_they_came(self, seen):
        part = {"type": "http.request", "body": b"12", "more_body": True}
        self.deliver(part, part, {"type": "http.request", "body": b"3"})

        assert seen[0]["body"] == b"12123"
        assert seen[0]["QUERY_STRING"] == "a=%20&b=+"

    def test_the_length_of_a_body_that_came_in_chunks(self, seen):
        part = {"type": "http.request", "body": b"12", "more_body": True}
        headers = [(b"transfer-encoding", b"chunked")]
        self.deliver(part, {"type": "http.request", "body": b"3"}, headers=headers)

        assert seen[0]["CONTENT_LENGTH"] == "3"
        assert "HTTP_TRANSFER_ENCODING" not in seen[0]

    def test_no_header_that_passes_for_a_proxys(self, seen):
        headers = [(b"x_forwarded_for", b"1.1.1.1"), (b"x-request-id", b"abc")]
        self.deliver({"type": "http.request"}, headers=headers)

        assert "HTTP_X_FORWARDED_FOR" not in seen[0]
        assert seen[0]["HTTP_X_REQUEST_ID"] == "abc"

    def test_nothing_of_a_client_that_left(self, seen):
        part = {"type": "http.request", "body": b"12", "more_body": True}
        sent = self.deliver(part, {"type": "http.disconnect"})

        assert (seen, sent) == ([], [])


class TestFiles:
    """One form takes more than any other body."""

    BULK = "/org_01ARZ3NDEKTSV4RRFFQ69G5FAV/sandbox/payment-links/bulk"

    seen = TestHandsOver.seen
    deliver = staticmethod(TestHandsOver.deliver)

    @staticmethod
    def megabytes(count):
        part = {"type": "http.request", "body": bytes(1024 * 1024), "more_body": True}
        return [part] * count + [{"type": "http.request"}]

    def test_of_five_megabytes_arrive_there(self, seen):
        self.deliver(*self.megabytes(5), path=self.BULK)

        assert len(seen[0]["body"]) == 5 * 1024 * 1024

    @pytest.mark.parametrize(
        "path", ["/v1/payments", BULK + "/", BULK + "/x", "/x" + BULK, BULK[:-1], BULK + "\n"]
    )
    def test_arrive_nowhere_else(self, seen, path):
        sent = self.deliver(*self.megabytes(2), path=path)

        assert (seen, sent[0]["status"]) == ([], 413)

    def test_larger_still_lead_back_to_the_form_that_says_so(self, seen):
        sent = self.deliver(*self.megabytes(6), path=self.BULK)

        assert (seen, sent[0]["status"]) == ([], 303)
        assert (b"location", self.BULK.encode() + b"?too-large=1") in sent[0]["headers"]

    def test_are_few_at_a_time(self, seen, monkeypatch):
        monkeypatch.setattr(asgi._Place, "taken", asgi._FILES_AT_ONCE)

        busy = self.deliver(*self.megabytes(2), path=self.BULK)
        small = self.deliver({"type": "http.request", "body": b"1"}, path=self.BULK)

        assert busy[0]["status"] == 303
        assert (b"location", self.BULK.encode() + b"?busy=1") in busy[0]["headers"]
        assert small[0]["status"] == 200
        assert asgi._Place.taken == asgi._FILES_AT_ONCE

    def test_give_their_place_back_whatever_happens(self, seen):
        self.deliver(*self.megabytes(5), path=self.BULK)
        self.deliver(*self.megabytes(6), path=self.BULK)
        self.deliver(*self.megabytes(2)[:2], {"type": "http.disconnect"}, path=self.BULK)

        assert asgi._Place.taken == 0
