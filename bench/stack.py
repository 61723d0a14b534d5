"""A temporary workspace with durable servers, and the measured programs."""

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

FOLDER = workspace.CHECKOUT / ".wallgent" / "bench"
HOST = "127.0.0.1"
_START_SECONDS = 60
# Variables with a database or secrets of others, which the bench must not use.
_REMOVED_VARIABLES = (
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "DEBUG",
    "LOG_FORMAT",
)


@contextlib.contextmanager
def servers():
    """Run PostgreSQL and Redis in a new workspace, with their URLs in the environment."""
    workspace.Workspace(FOLDER.parent).create()
    workspace.Workspace(FOLDER).create()
    for name in _REMOVED_VARIABLES:
        os.environ.pop(name, None)
    with fresh_workspace("servers") as own:
        own.prepare()
        os.environ |= {"WALLGENT_HOME": str(own.folder), "LOG_FORMAT": "json"}
        own.redis.start()
        own.postgres.start()
        yield own


@contextlib.contextmanager
def fresh_workspace(name: str):
    """Create an empty workspace and remove it at the end; if we are killed, the next run does."""
    for old in FOLDER.glob(f"{name}-*"):
        if lock := processes.lock_file(old / "bench.lock"):
            _remove(workspace.Workspace(old), lock)
    own = workspace.Workspace(FOLDER / f"{name}-{os.getpid()}")
    own.create()
    lock = processes.lock_file(own.folder / "bench.lock")
    try:
        yield own
    finally:
        _remove(own, lock)


def _remove(own: workspace.Workspace, lock) -> None:
    own.redis.destroy()
    own.postgres.destroy()
    shutil.rmtree(own.folder)
    lock.close()


@contextlib.contextmanager
def web(folder: Path, *, threads: int, workers: int = 2):
    """Run the WSGI entry point with granian; yield its port."""
    port = free_port()
    options = f"--interface wsgi --http 1 --host {HOST} --port {port} --no-access-log"
    options += f" --workers {workers} --blocking-threads {threads}"
    command = ["-m", "granian", *options.split(), "wallgent.wsgi:application"]
    with program(command, log=folder / "web.log", env={"WEB_THREADS": str(threads)}):
        wait_until_ready(port)
        yield port


@contextlib.contextmanager
def worker(folder: Path):
    """Run the Celery worker, which includes the relay, and beat, as `make run` does."""
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
    """Run a Python program inside the block, with its output in `log`."""
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
        processes.stop(process, by=signal.SIGINT, timeout_seconds=30)


def wait_until_ready(port: int) -> None:
    """Wait until /readyz responds with 200."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=5) as response:
                if response.status == 200:
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def free_port() -> int:
    """Return a free port on the loopback interface."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
