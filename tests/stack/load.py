"""Clients that pay all the time, and come back with the same key when they got no answer."""

import contextlib
import http.client
import itertools
import json
import statistics
import threading
import time
from dataclasses import dataclass, field

_ORDER_SECONDS = 60
_PAUSE_SECONDS = 0.1
_THINKING_SECONDS = 0.01  # so that the server's machine has time for what a test does to it


@dataclass
class Order:
    """One payment to make, and all that was heard about it."""

    key: str
    started: float
    answers: list = field(default_factory=list)  # (status, headers, body), or an OSError
    payment_id: str | None = None
    seconds: float = 0


class Load:
    """A few clients, each with a wallet and a connection of its own, until `stop` or the limit."""

    def __init__(self, stack, payers: dict, *, limit: int = 1_000):
        self._stack = stack
        self._payers = payers
        self._limit = limit // len(payers["wallets"])
        self._stopping = threading.Event()
        self._run = next(_runs)
        self.orders: list[Order] = []
        self._threads = [
            threading.Thread(target=self._pay, args=[wallet], daemon=True)
            for wallet in payers["wallets"]
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        """Let every client finish the order it has begun."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_ORDER_SECONDS + 5)
            assert not thread.is_alive(), "a client never got an answer"

    @property
    def paid(self) -> list[Order]:
        return [order for order in self.orders if order.payment_id]

    @property
    def refused(self) -> list:
        """Every answer that was not 201, as (status, headers, body)."""
        answers = itertools.chain.from_iterable(order.answers for order in self.orders)
        return [a for a in answers if not isinstance(a, Exception) and a[0] != 201]

    @property
    def cut_off(self) -> list:
        """Every time that a connection broke instead of answering."""
        answers = itertools.chain.from_iterable(order.answers for order in self.orders)
        return [answer for answer in answers if isinstance(answer, Exception)]

    def median_seconds(self) -> float:
        """How long a payment took."""
        return statistics.median(order.seconds for order in self.paid)

    def _pay(self, wallet: str) -> None:
        with contextlib.closing(_Connection(self._stack, self._payers["key"])) as connection:
            for number in range(self._limit):
                if self._stopping.wait(_THINKING_SECONDS):
                    return
                order = Order(f"{self._run}-{wallet}-{number}", time.monotonic())
                self.orders.append(order)
                self._insist(connection, order, wallet)

    def _insist(self, connection, order: Order, wallet: str) -> None:
        body = {
            "from": wallet,
            "to": self._payers["shop"],
            "amount": "0.05",
            "idempotencyKey": order.key,
        }
        while time.monotonic() < order.started + _ORDER_SECONDS:
            try:
                status, headers, content = connection.post("/v1/payments", body)
            except (OSError, http.client.HTTPException) as error:
                order.answers.append(error)
            else:
                order.answers.append((status, headers, content))
                if status == 201:
                    order.payment_id = json.loads(content)["id"]
                    order.seconds = time.monotonic() - order.started
                if status < 500:
                    return
            time.sleep(_PAUSE_SECONDS)


_runs = itertools.count(1)


class _Connection:
    """One that is kept, and made anew when it breaks."""

    def __init__(self, stack, key: str):
        self._http = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, path: str, body: dict):
        try:
            self._http.request("POST", path, json.dumps(body), self._headers)
            answer = self._http.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self._http.close()
            raise

    def close(self) -> None:
        self._http.close()
