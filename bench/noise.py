"""Another tenant's load, in a process of its own: `python -m bench.noise`.

Reads one line of JSON that says what to ask for, does so on several connections for some seconds,
and answers one line of JSON with how often each status came back.
"""

import contextlib
import http.client
import json
import sys
import threading
import time
from collections import Counter

from bench.stack import HOST

_PAUSE_SECONDS = 0.2  # of slow readers, after each piece
_PIECE_BYTES = 32 * 1024


def main() -> None:
    """Do what the line on standard input says."""
    load = json.loads(sys.stdin.readline())
    end = time.monotonic() + load["seconds"]
    statuses: Counter = Counter()
    threads = [
        threading.Thread(target=_ask, args=(load, end, statuses))
        for _ in range(load["connections"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(statuses), flush=True)


def _ask(load: dict, end: float, statuses: Counter) -> None:
    body = load["body"].encode() or None
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(HOST, load["port"], timeout=60)
        with contextlib.closing(connection):
            try:
                connection.request(load["method"], load["path"], body, load["headers"])
                answer = connection.getresponse()
                _read(answer, end if load["slow"] else 0)
                statuses[answer.status] += 1
            except (OSError, http.client.HTTPException) as error:
                statuses[type(error).__name__] += 1


def _read(answer, slow_until: float) -> None:
    while answer.read(_PIECE_BYTES):
        if time.monotonic() < slow_until:
            time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main()
