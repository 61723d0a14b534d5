"""Runs a group of processes: they start in order, and all stop when one ends."""

import os
import signal
import subprocess
import threading
import time

from wallgent.localdev import processes
from wallgent.localdev.processes import LocalServerError

_POLL_SECONDS = 0.2


class Supervisor:
    """Starts servers and programs, prints their output with their names, and stops them in reverse.

    A context manager for the main thread. However the block ends, everything it started is stopped.
    """

    def __init__(self, write):
        self._write = write
        self._write_lock = threading.Lock()
        self._stops = []  # (name, function), in the order of start
        self._running: dict[str, subprocess.Popen] = {}

    def start_server(self, name: str, server) -> None:
        """Start a Cluster or a Server, and wait until it is ready."""
        self._stops.append((name, server.stop))
        with self._output(name) as output:
            server.start(output=output)
        self._running[name] = server.process

    def start_program(self, name: str, command: list, **options) -> None:
        """Start a program, without waiting for it. See `wait_for`."""
        with self._output(name) as output:
            process = processes.spawn(command, stdout=output, stderr=output, **options)
        self._running[name] = process
        self._stops.append((name, lambda: processes.stop(process)))

    def wait_for(self, name: str, is_ready, *, seconds: float = 60) -> None:
        """Wait until `is_ready()`. Raises LocalServerError on time-out or when a process ends."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self._check()
            if time.monotonic() > deadline:
                raise LocalServerError(f"{name} was not ready after {seconds:.0f} seconds.")
            time.sleep(_POLL_SECONDS)

    def watch(self) -> None:
        """Wait until a process ends. Raises LocalServerError, which names it."""
        while True:
            self._check()
            time.sleep(_POLL_SECONDS)

    def log(self, name: str, line: str) -> None:
        """Print one line with the name of its source."""
        with self._write_lock:
            try:
                self._write(f"{name:>8} | {line}")
            except OSError:  # the terminal is closed, but the pipe must still be read
                return

    def __enter__(self) -> "Supervisor":
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.default_int_handler)  # all of them act like Ctrl-C
        return self

    def __exit__(self, *_):
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)  # the stops below have time-outs of their own
        for name, stop in reversed(self._stops):
            self.log(name, "stopping")
            stop()

    def _check(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                raise LocalServerError(f"{name} ended (exit code {process.returncode}). See above.")

    def _output(self, name: str):
        """Return the writing end of a pipe whose lines are printed with the name."""
        reading, writing = os.pipe()
        threading.Thread(target=self._copy, args=(name, reading), daemon=True).start()
        return os.fdopen(writing, "wb")

    def _copy(self, name: str, reading: int) -> None:
        with os.fdopen(reading, errors="replace") as lines:
            for line in lines:
                self.log(name, line.rstrip("\n"))
