"""A minimal HTTP client: persistent connections, prepared requests, almost no parsing.

It has one thread and creates no objects per request, because it shares the processors with the
measured programs.
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
_TIMEOUT_SECONDS = 30


@dataclass
class Outcome:
    """The responses. Only those within `seconds` count for the rate; all count as completed."""

    seconds: float
    in_time: int = 0
    cpu_seconds: float = math.nan  # of clients, web server and database together
    statuses: Counter = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # in seconds
    failure: bytes = b""  # the first unexpected response

    @property
    def per_second(self) -> float:
        return self.in_time / self.seconds

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class _Connection:
    __slots__ = ("expected_bytes", "received", "sent_at", "socket")

    def __init__(self, port: int):
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.expected_bytes = 0
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received, self.expected_bytes = b"", 0
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bytes | None:
        """Return the complete response, or None while a part is missing."""
        chunk = self.socket.recv(262_144)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self.received += chunk
        if not self.expected_bytes:
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return None
            length = _LENGTH.search(self.received, 0, head)
            if length is None:  # chunked
                return self.received if self.received.endswith(_LAST_CHUNK) else None
            self.expected_bytes = head + 4 + int(length[1])
        return self.received if len(self.received) >= self.expected_bytes else None


def run(
    port: int, next_request: Callable[[], bytes], *, connections: int, seconds: float, expected: int
) -> Outcome:
    """Keep every connection busy for `seconds`, then wait for the remaining responses."""
    outcome = Outcome(seconds=seconds)
    expected_status = str(expected).encode()
    with selectors.DefaultSelector() as selector:
        opened = [_Connection(port) for _ in range(connections)]
        end = time.perf_counter() + seconds
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next_request())
        busy = connections
        while busy:
            ready = selector.select(_TIMEOUT_SECONDS)
            if not ready:
                raise TimeoutError(f"no response within {_TIMEOUT_SECONDS} seconds")
            for key, _ in ready:
                connection = key.data
                received = connection.read()
                if received is None:
                    continue
                now = time.perf_counter()
                status = received[9:12]
                outcome.statuses[int(status)] += 1
                outcome.latencies.append(now - connection.sent_at)
                if status != expected_status and not outcome.failure:
                    outcome.failure = received
                if now < end:
                    outcome.in_time += 1
                    connection.send(next_request())
                else:
                    busy -= 1
    for connection in opened:
        connection.socket.close()
    return outcome


def request(method: str, path: str, *, port: int, secret: str, body: str, key: str = "") -> bytes:
    """Return the bytes of one request."""
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
