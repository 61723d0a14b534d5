"""Clients that pay continuously and retry with the same key until they get a response."""

import contextlib
import http.client
import itertools
import json
import statistics
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

_RETRY_SECONDS = 60
_PAUSE_SECONDS = 0.1
_INTERVAL_SECONDS = 0.01  # leaves processor time for the failures that a test causes


@dataclass
class PaymentAttempt:
    """One payment, and the responses to all its requests."""

    key: str
    started: float
    responses: list = field(default_factory=list)  # (status, headers, body), or an exception
    payment_id: str | None = None
    seconds: float = 0


class Load:
    """Runs clients, each with its own wallet and connection, until the block ends or the limit."""

    def __init__(self, stack, payers: dict, *, limit: int = 1_000):
        self._stack = stack
        self._payers = payers
        self._limit = limit // len(payers["wallets"])
        self._stopping = threading.Event()
        self._run = next(_runs)
        self.attempts: list[PaymentAttempt] = []
        self._threads = [
            threading.Thread(target=self._pay, args=[wallet], daemon=True)
            for wallet in payers["wallets"]
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        """Let every client finish its current payment."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_RETRY_SECONDS + 5)
            assert not thread.is_alive(), "a client never got a response"

    @property
    def paid(self) -> list[PaymentAttempt]:
        return [attempt for attempt in self.attempts if attempt.payment_id]

    @property
    def refused(self) -> list:
        """Every response that was not 201, as (status, headers, body)."""
        return [r for r in self._responses() if not isinstance(r, Exception) and r[0] != 201]

    @property
    def cut_off(self) -> list:
        """The exception of every request whose connection broke before a response."""
        return [response for response in self._responses() if isinstance(response, Exception)]

    def _responses(self) -> Iterable:
        return itertools.chain.from_iterable(attempt.responses for attempt in self.attempts)

    def median_seconds(self) -> float:
        """Return the median duration of a payment."""
        return statistics.median(attempt.seconds for attempt in self.paid)

    def _pay(self, wallet: str) -> None:
        with contextlib.closing(_Connection(self._stack, self._payers["key"])) as connection:
            for number in range(self._limit):
                if self._stopping.wait(_INTERVAL_SECONDS):
                    return
                attempt = PaymentAttempt(f"{self._run}-{wallet}-{number}", time.monotonic())
                self.attempts.append(attempt)
                self._send_until_answered(connection, attempt, wallet)

    def _send_until_answered(self, connection, attempt: PaymentAttempt, wallet: str) -> None:
        body = {
            "from": wallet,
            "to": self._payers["shop"],
            "amount": "0.05",
            "idempotencyKey": attempt.key,
        }
        while time.monotonic() < attempt.started + _RETRY_SECONDS:
            try:
                status, headers, content = connection.post("/v1/payments", body)
            except (OSError, http.client.HTTPException) as error:
                attempt.responses.append(error)
            else:
                attempt.responses.append((status, headers, content))
                if status == 201:
                    attempt.payment_id = json.loads(content)["id"]
                    attempt.seconds = time.monotonic() - attempt.started
                if status < 500:
                    return
            time.sleep(_PAUSE_SECONDS)


_runs = itertools.count(1)


class _Connection:
    """A persistent connection, opened again when it breaks."""

    def __init__(self, stack, key: str):
        self._http = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, path: str, body: dict):
        try:
            self._http.request("POST", path, json.dumps(body), self._headers)
            response = self._http.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException):
            self._http.close()
            raise

    def close(self) -> None:
        self._http.close()
