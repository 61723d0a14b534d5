"""A temporary home with durable engines of its own, and the processes that are measured."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from wallgent.localdev import processes, workspace

ROOM = workspace.CHECKOUT / ".wallgent" / "bench"
HOST = "127.0.0.1"
_START_SECONDS = 60
# What would lead us to a database or to secrets that are not the bench's own.
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "DEBUG", "LOG_FORMAT")


@contextlib.contextmanager
def engines():
    """A fresh home whose PostgreSQL and Redis run; the environment points Django at them."""
    workspace.Home(ROOM.parent).make()
    workspace.Home(ROOM).make()
    for name in _FOREIGN:
        os.environ.pop(name, None)
    with fresh_home("engines") as own:
        own.prepare()
        os.environ |= {"WALLGENT_HOME": str(own.folder), "LOG_FORMAT": "json"}
        own.redis.start()
        own.postgres.start()
        yield own


@contextlib.contextmanager
def fresh_home(name: str):
    """An empty home, removed with its engines at the end, and by the next run if we are killed."""
    for old in ROOM.glob(f"{name}-*"):
        if lock := processes.hold(old / "bench.lock"):
            _remove(workspace.Home(old), lock)
    own = workspace.Home(ROOM / f"{name}-{os.getpid()}")
    own.make()
    lock = processes.hold(own.folder / "bench.lock")
    try:
        yield own
    finally:
        _remove(own, lock)


def _remove(own: workspace.Home, lock) -> None:
    own.redis.destroy()
    own.postgres.destroy()
    shutil.rmtree(own.folder)
    lock.close()


@contextlib.contextmanager
def web(folder: Path, *, threads: int, workers: int = 2):
    """The WSGI entry point under granian; yields its port."""
    port = free_port()
    options = f"--interface wsgi --http 1 --host {HOST} --port {port} --no-access-log"
    options += f" --workers {workers} --blocking-threads {threads}"
    command = ["-m", "granian", *options.split(), "wallgent.wsgi:application"]
    with program(command, log=folder / "web.log", env={"WEB_THREADS": str(threads)}):
        wait_until_ready(port)
        yield port


@contextlib.contextmanager
def worker(folder: Path):
    """The Celery worker, with the relay in it, and beat, as `make run` starts them."""
    pool = "--pool threads --concurrency 4 --without-mingle --without-gossip"
    celery = ["-m", "celery", "-q", "-A", "wallgent"]
    beat = ["beat", "--schedule", str(folder / "beat"), "--pidfile", ""]
    with (
        program([*celery, "worker", *pool.split()], log=folder / "worker.log"),
        program([*celery, *beat], log=folder / "beat.log"),
    ):
        yield


@contextlib.contextmanager
def program(arguments: list, *, log: Path, env: dict | None = None):
    """A Python program that runs inside the block; its output goes to `log`."""
    with log.open("ab") as output:
        process = processes.spawn(
            [sys.executable, *arguments],
            cwd=workspace.CHECKOUT,
            env=os.environ | (env or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        processes.stop(process, by=signal.SIGINT, patience_seconds=30)


def wait_until_ready(port: int) -> None:
    """Return when /readyz answers 200."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def free_port() -> int:
    """A port on loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
