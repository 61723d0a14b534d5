"""A running Wallgent, as `manage.py run` starts it, for tests over HTTP and of failures."""

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
# The web server of docs/production.md, an alternative to that of `manage.py run`.
_WSGI = (
    "granian --interface wsgi --http 1 --workers 2 --blocking-threads 4 --respawn-failed-workers"
)
_INSIDE = ["-c", "import django; django.setup(); from tests.stack import inside; inside.main()"]


class Stack:
    """The programs of a workspace, each in its own process group."""

    def __init__(
        self, servers: workspace.Workspace, *, database_url: str, redis_url: str, **environment: str
    ):
        self.workspace = servers
        self.database_url = database_url
        self.port = free_port()
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "wallgent.settings",
            "WALLGENT_HOME": str(servers.folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "EMAIL_URL": "dummymail://",
            **environment,
        }
        programs = run.programs(servers, self.port)
        programs["web"] += ["--workers", "2"]
        programs["wsgi"] = [*_WSGI.split(), "--port", str(self.port), "wallgent.wsgi:application"]
        self._commands = {name: ["-m", *command] for name, command in programs.items()}
        self._commands |= {"relay": ["manage.py", "relay"], "roller": [*_INSIDE, "roll_up_forever"]}
        self._running: dict[str, subprocess.Popen] = {}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log_of(self, name: str) -> str:
        """Return the output of a program."""
        return (self.workspace.folder / f"{name}.log").read_text(errors="replace")

    def start(self, *names: str, **environment: str) -> None:
        """Start programs, with additional environment variables."""
        for name in names:
            with (self.workspace.folder / f"{name}.log").open("ab") as log:
                self._running[name] = processes.spawn(
                    [sys.executable, *self._commands[name]],
                    on_parent_exit=signal.SIGKILL,
                    cwd=workspace.CHECKOUT,
                    env=self.environment | environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    def is_running(self, name: str) -> bool:
        return name in self._running

    def kill(self, *names: str) -> None:
        """Kill programs and all their children."""
        for name in names:
            process = self._running.pop(name)
            assert process.poll() is None, f"{name} ended by itself:\n{self.log_of(name)}"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def restart_postgres(self, *, by: signal.Signals, seconds: float) -> None:
        """Stop the database and start it again after some seconds."""
        self.workspace.postgres.stop(by=by)
        time.sleep(seconds)
        wait_until(self._start_postgres)

    def _start_postgres(self) -> bool:
        """Start the database; return whether it started."""
        try:
            self.workspace.postgres.start()
        except processes.LocalServerError:  # a process of the killed server is still running
            return False
        return True

    def restart_redis(self, *, seconds: float) -> None:
        """Kill Redis and start it again after some seconds."""
        self.workspace.redis.stop(by=signal.SIGKILL)
        time.sleep(seconds)
        self.workspace.redis.start()

    def stop(self) -> None:
        """Kill all running programs."""
        for process in self._running.values():
            processes.stop(process, by=signal.SIGKILL)
        self._running.clear()

    def assert_running(self) -> None:
        """Assert that no program has ended by itself."""
        for name, process in self._running.items():
            assert process.poll() is None, f"{name} ended by itself:\n{self.log_of(name)}"

    def children_of(self, name: str) -> list[int]:
        """Return the ids of a program's child processes."""
        return _children_of(self._running[name].pid)

    def wait_until_ready(self) -> None:
        """Wait until the web server is ready."""
        wait_until(lambda: self.status("/readyz") == 200, seconds=_READY_SECONDS)

    def status(self, path: str) -> int:
        """Return the status of the response to a GET, 0 without a response."""
        try:
            with urllib.request.urlopen(self.origin + path, timeout=5) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            self.assert_running()
            return 0

    def manage(self, *arguments: str) -> None:
        """Run a management command."""
        self._run("manage.py", *arguments)

    def call(self, function: str, *arguments):
        """Return the result of a function of `inside`, which uses the database of this stack."""
        return json.loads(self._run(*_INSIDE, function, *map(json.dumps, arguments)))

    def _run(self, *arguments: str) -> str:
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
        """Return the rows of a statement in this stack's database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()


@contextmanager
def private(**environment: str) -> Iterator[Stack]:
    """Run a stack with its own PostgreSQL and Redis, as durable as in production."""
    servers, template, lock = engines.create_workspace(f"run-{os.getpid()}-stack", durable=True)
    try:
        template.copy(servers.postgres.folder)
        servers.postgres.start()
        servers.redis.start()
        stack = Stack(
            servers,
            database_url=servers.postgres.url,
            redis_url=servers.redis.url,
            **environment,
        )
        stack.manage("migrate", "--verbosity", "0")
        try:
            yield stack
        finally:
            stack.stop()
    finally:
        engines.remove(servers, lock)


@contextmanager
def on_test_servers(folder: Path, name: str, **environment: str) -> Iterator[Stack]:
    """Run a stack with its own database on the servers of this run of pytest."""
    address = os.environ["DATABASE_URL"]
    database = f"wallgent_{name}_{os.getpid()}"
    template = engines.migrated_template() or "template1"
    with psycopg.connect(address, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(sql.Identifier(database), sql.Identifier(template)))
    own = workspace.Workspace(folder)
    own.create()
    stack = Stack(
        own,
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
    """Return the URL of a database that no test flushes."""
    base, _, number = address.partition("?db=")
    return f"{base}?db={int(number) + 32}" if number else address


def _children_of(pid: int) -> list[int]:
    if sys.platform == "linux":
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    else:
        listed = processes.run(["/usr/bin/pgrep", "-P", pid]).stdout.split()
    return [int(child) for child in listed]


def free_port() -> int:
    """Return a free port on the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, *, seconds: float = 20, why: str = "timed out"):
    """Wait until `condition()` is true and return its value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, why
        time.sleep(0.05)
    return found
