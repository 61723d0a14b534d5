"""Keeps a few processes together: all start in order, and all stop when one does."""

import os
import signal
import subprocess
import threading
import time

from wallgent.localdev import processes
from wallgent.localdev.processes import EngineError

_LOOK_SECONDS = 0.2


class Supervisor:
    """Starts engines and programs, prints what they say behind their names, stops them in reverse.

    Use it with `with`, in the main thread: whatever ends the block, nothing it started stays.
    """

    def __init__(self, write):
        self._write = write
        self._writing = threading.Lock()
        self._stops = []  # (name, function), in the order of starting
        self._running: dict[str, subprocess.Popen] = {}

    def start_engine(self, name: str, engine) -> None:
        """Start a Cluster or a Server, and return when it answers."""
        self._stops.append((name, engine.stop))
        with self._output(name) as output:
            engine.start(output=output)
        self._running[name] = engine.process

    def start_program(self, name: str, command: list, **options) -> None:
        """Start a program. Its readiness is `wait_for`'s business."""
        with self._output(name) as output:
            process = processes.spawn(command, stdout=output, stderr=output, **options)
        self._running[name] = process
        self._stops.append((name, lambda: processes.stop(process)))

    def wait_for(self, name: str, is_ready, *, seconds: float = 60) -> None:
        """Return when `is_ready()`. Raises EngineError when something ends first."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self._check()
            if time.monotonic() > deadline:
                raise EngineError(f"{name} was not ready after {seconds:.0f} seconds.")
            time.sleep(_LOOK_SECONDS)

    def watch(self) -> None:
        """Run until something ends. Raises EngineError, which says what."""
        while True:
            self._check()
            time.sleep(_LOOK_SECONDS)

    def say(self, name: str, line: str) -> None:
        """Print one line behind a name."""
        with self._writing:
            try:
                self._write(f"{name:>8} | {line}")
            except OSError:  # our terminal is gone, which is no reason to stop listening
                return

    def __enter__(self) -> "Supervisor":
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.default_int_handler)  # all end like Ctrl-C
        return self

    def __exit__(self, *_):
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)  # every stop below has its own end
        for name, stop in reversed(self._stops):
            self.say(name, "stopping")
            stop()

    def _check(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                raise EngineError(f"{name} ended (exit code {process.returncode}). See above.")

    def _output(self, name: str):
        """The writing end of a pipe whose lines are printed behind the name."""
        reading, writing = os.pipe()
        threading.Thread(target=self._copy, args=(name, reading), daemon=True).start()
        return os.fdopen(writing, "wb")

    def _copy(self, name: str, reading: int) -> None:
        with os.fdopen(reading, errors="replace") as lines:
            for line in lines:
                self.say(name, line.rstrip("\n"))
