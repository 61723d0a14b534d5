"""All of Wallgent as `manage.py run` starts it, for tests to talk to over HTTP and to break."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db.backends.postgresql.psycopg_any import sql

from tests import engines
from wallgent.localdev import processes, workspace
from wallgent.management.commands import run

_READY_SECONDS = 60
# The web server of docs/production.md, in the place of the other one.
_WSGI = (
    "granian --interface wsgi --http 1 --workers 2 --blocking-threads 4 --respawn-failed-workers"
)
_INSIDE = ["-c", "import django; django.setup(); from tests.stack import inside; inside.answer()"]


class Stack:
    """Programs on engines, each in a process group of its own."""

    def __init__(
        self, place: workspace.Home, *, database_url: str, redis_url: str, **environment: str
    ):
        self.place = place
        self.database_url = database_url
        self.port = free_port()
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "wallgent.settings",
            "WALLGENT_HOME": str(place.folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "EMAIL_URL": "dummymail://",
            **environment,
        }
        programs = run.programs(place, self.port)
        programs["web"] += ["--workers", "2"]
        programs["wsgi"] = [*_WSGI.split(), "--port", str(self.port), "wallgent.wsgi:application"]
        self._commands = {name: ["-m", *command] for name, command in programs.items()}
        self._commands |= {"relay": ["manage.py", "relay"], "roller": [*_INSIDE, "roll"]}
        self._running: dict[str, subprocess.Popen] = {}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log_of(self, name: str) -> str:
        """What a program has printed so far."""
        return (self.place.folder / f"{name}.log").read_text(errors="replace")

    def start(self, *names: str, **environment: str) -> None:
        """Start programs. `environment` is theirs alone."""
        for name in names:
            with (self.place.folder / f"{name}.log").open("ab") as log:
                self._running[name] = processes.spawn(
                    [sys.executable, *self._commands[name]],
                    on_our_death=signal.SIGKILL,
                    cwd=workspace.CHECKOUT,
                    env=self.environment | environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    def is_running(self, name: str) -> bool:
        return name in self._running

    def kill(self, *names: str) -> None:
        """End programs with all their children, as a power cut would."""
        for name in names:
            process = self._running.pop(name)
            assert process.poll() is None, f"{name} ended by itself:\n{self.log_of(name)}"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def restart_postgres(self, *, by: signal.Signals, seconds: float) -> None:
        """Let the database be away for so long."""
        self.place.postgres.stop(by=by)
        time.sleep(seconds)
        wait_until(self._postgres_starts)

    def _postgres_starts(self) -> bool:
        try:
            self.place.postgres.start()
        except processes.EngineError:  # a process of the killed one has not noticed yet
            return False
        return True

    def restart_redis(self, *, seconds: float) -> None:
        """Let Redis be away for so long."""
        self.place.redis.stop(by=signal.SIGKILL)
        time.sleep(seconds)
        self.place.redis.start()

    def stop(self) -> None:
        """End whatever runs."""
        for process in self._running.values():
            processes.stop(process, by=signal.SIGKILL)
        self._running.clear()

    def assert_running(self) -> None:
        """Nothing has ended that was not killed."""
        for name, process in self._running.items():
            assert process.poll() is None, f"{name} ended by itself:\n{self.log_of(name)}"

    def children_of(self, name: str) -> list[int]:
        """The ids of the processes that a program has started."""
        return _children_of(self._running[name].pid)

    def wait_until_ready(self) -> None:
        """Return when the web server can do its work."""
        wait_until(lambda: self.status("/readyz") == 200, seconds=_READY_SECONDS)

    def status(self, path: str) -> int:
        """The status of the answer to a GET, 0 without an answer."""
        try:
            with urllib.request.urlopen(self.origin + path, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            self.assert_running()
            return 0

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        self._call("manage.py", *arguments)

    def ask(self, question: str, *arguments):
        """What `inside` answers from this stack's own database."""
        return json.loads(self._call(*_INSIDE, question, *map(json.dumps, arguments)))

    def _call(self, *arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=workspace.CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_READY_SECONDS,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def query(self, statement: str, *values) -> list[tuple]:
        """The rows that a statement answers in this stack's database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()


@contextmanager
def private(**environment: str) -> Iterator[Stack]:
    """A stack with a PostgreSQL and a Redis of its own, as durable as in production."""
    place, template, lock = engines.claim(f"run-{os.getpid()}-stack", durable=True)
    try:
        template.copy(place.postgres.folder)
        place.postgres.start()
        place.redis.start()
        stack = Stack(
            place,
            database_url=place.postgres.url,
            redis_url=place.redis.url,
            **environment,
        )
        stack.manage("migrate", "--verbosity", "0")
        try:
            yield stack
        finally:
            stack.stop()
    finally:
        engines.remove(place, lock)


@contextmanager
def beside_the_tests(folder: Path, name: str, **environment: str) -> Iterator[Stack]:
    """A stack with a database of its own on the engines that this run of pytest uses anyway."""
    address = os.environ["DATABASE_URL"]
    database = f"wallgent_{name}_{os.getpid()}"
    template = engines.migrated() or "template1"
    with psycopg.connect(address, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(sql.Identifier(database), sql.Identifier(template)))
    place = workspace.Home(folder)
    place.make()
    stack = Stack(
        place,
        database_url=urlsplit(address)._replace(path=f"/{database}").geturl(),
        redis_url=_another_redis_database(os.environ["REDIS_URL"]),
        **environment,
    )
    try:
        stack.manage("migrate", "--verbosity", "0")
        yield stack
    finally:
        stack.stop()
        with psycopg.connect(address, autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(database)))


def _another_redis_database(address: str) -> str:
    """One that no test empties."""
    base, _, number = address.partition("?db=")
    return f"{base}?db={int(number) + 32}" if number else address


def _children_of(pid: int) -> list[int]:
    if sys.platform == "linux":
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    else:
        listed = processes.run(["/usr/bin/pgrep", "-P", pid]).stdout.split()
    return [int(child) for child in listed]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, *, seconds: float = 20, why: str = "waited in vain"):
    """The first true answer of `condition()`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, why
        time.sleep(0.05)
    return found
