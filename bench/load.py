"""A light HTTP client: persistent connections, ready-made bytes, next to no parsing.

One thread, no objects per request: it must not eat the processors that it measures.
"""

import math
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.stack import HOST

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_PATIENCE_SECONDS = 30


@dataclass
class Outcome:
    """What came back. Only answers inside the window count as speed; all count as done."""

    seconds: float
    in_time: int = 0
    cpu_seconds: float = math.nan  # of everybody: clients, web and database
    statuses: Counter = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # in seconds
    failure: bytes = b""  # the first answer that was not expected

    @property
    def per_second(self) -> float:
        return self.in_time / self.seconds

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class _Connection:
    __slots__ = ("received", "sent_at", "socket", "wanted")

    def __init__(self, port: int):
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.wanted = 0
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received, self.wanted = b"", 0
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bytes | None:
        """The whole answer, or None while some of it is missing."""
        chunk = self.socket.recv(262_144)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self.received += chunk
        if not self.wanted:
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return None
            length = _LENGTH.search(self.received, 0, head)
            if length is None:  # in chunks
                return self.received if self.received.endswith(_LAST_CHUNK) else None
            self.wanted = head + 4 + int(length[1])
        return self.received if len(self.received) >= self.wanted else None


def run(
    port: int, make: Callable[[], bytes], *, connections: int, seconds: float, expected: int
) -> Outcome:
    """Keep every connection busy for `seconds`; then wait for what is still under way."""
    outcome = Outcome(seconds=seconds)
    expected_bytes = str(expected).encode()
    with selectors.DefaultSelector() as selector:
        opened = [_Connection(port) for _ in range(connections)]
        end = time.perf_counter() + seconds
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(make())
        busy = connections
        while busy:
            ready = selector.select(_PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer within {_PATIENCE_SECONDS} seconds")
            for key, _ in ready:
                connection = key.data
                received = connection.read()
                if received is None:
                    continue
                now = time.perf_counter()
                status = received[9:12]
                outcome.statuses[int(status)] += 1
                outcome.latencies.append(now - connection.sent_at)
                if status != expected_bytes and not outcome.failure:
                    outcome.failure = received
                if now < end:
                    outcome.in_time += 1
                    connection.send(make())
                else:
                    busy -= 1
    for connection in opened:
        connection.socket.close()
    return outcome


def request(method: str, path: str, *, port: int, secret: str, body: str, key: str = "") -> bytes:
    """The bytes of one request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        f"Authorization: Bearer {secret}",
        "User-Agent: bench",
    ]
    if key:
        lines.append(f"Idempotency-Key: {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")
