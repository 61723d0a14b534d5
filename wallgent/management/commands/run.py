"""Runs all of Wallgent on one machine until Ctrl-C. manage.py prepares the workspace before."""

import json
import os
import socket
import sys
import urllib.parse
import urllib.request

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import OperationalError, connection

from wallgent.celery import app as celery
from wallgent.localdev import postgres, processes, redis
from wallgent.localdev.processes import LocalServerError
from wallgent.localdev.supervisor import Supervisor
from wallgent.localdev.workspace import Workspace

_HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Start database, Redis, worker, beat and web server, and stop them all on Ctrl-C."
    requires_system_checks = []

    def handle(self, **options):
        workspace = Workspace(settings.WALLGENT_HOME)
        lock = processes.lock_file(workspace.folder / "lock")
        if lock is None:
            raise CommandError(f"Wallgent is already running in {workspace.folder}.")
        port = int(settings.PORT)
        try:
            _check_port(port)
            with Supervisor(self.stdout.write) as supervisor:
                self._start(supervisor, workspace, port)
                self._print_welcome(workspace)
                supervisor.watch()
        except LocalServerError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("Stopped. The data is kept.")
        finally:
            lock.close()

    def _start(self, supervisor: Supervisor, workspace: Workspace, port: int) -> None:
        if workspace.redis.has_url(settings.REDIS_URL):
            supervisor.start_server("redis", workspace.redis)
        else:
            redis.check_external(settings.REDIS_URL)
        if workspace.postgres.has_url(os.environ["DATABASE_URL"]):
            supervisor.start_server("postgres", workspace.postgres)
        else:
            _check_external_database()
        call_command("migrate", interactive=False, verbosity=0)
        supervisor.log("migrate", "the database is up to date")
        if settings.DEVELOPMENT:
            call_command("demo", stdout=self.stdout)
        connection.close()

        # Celery prints a long warning when it runs as root, which is fine here.
        environment = {
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore::UserWarning:celery.platforms",
        }
        options = {"cwd": settings.BASE_DIR, "env": os.environ | environment}
        for name, arguments in programs(workspace, port).items():
            # Not the scripts in bin/: their first line breaks in a path with spaces.
            supervisor.start_program(name, [sys.executable, "-m", *arguments], **options)
        supervisor.wait_for("worker", lambda: celery.control.ping(timeout=0.5))
        celery.pool.force_close_all()
        supervisor.wait_for("web", lambda: _is_ready(port))

    def _print_welcome(self, workspace: Workspace) -> None:
        demo_file = workspace.folder / "demo.json"
        self.stdout.write("")
        self.stdout.write(f"Wallgent runs at {settings.PUBLIC_ORIGIN}. Ctrl-C stops it.")
        if demo_file.exists():
            demo = json.loads(demo_file.read_text())
            self.stdout.write(
                f"  Dashboard   {demo['dashboardUrl']}\n"
                f"  Sign in     {demo['email']}, password {demo['password']}\n"
                f"  API key     {demo['apiKey']} (sandbox)\n"
                f"  Try         curl {demo['apiUrl']}/wallets "
                f"-H 'Authorization: Bearer {demo['apiKey']}'\n"
            )


def programs(workspace: Workspace, port: int) -> dict[str, list]:
    """Return the programs besides the servers, as arguments of `python -m`, in order of start."""
    worker = "--pool threads --concurrency 4 --without-mingle --without-gossip --loglevel INFO"
    beat = ["--schedule", workspace.folder / "beat", "--pidfile", "", "--loglevel", "INFO"]
    # Without the time-out, granian would never end if it is stopped while it starts.
    web = f"--interface asgi --http 1 --host {_HOST} --port {port} --workers-kill-timeout 3"
    web += " --respawn-failed-workers"  # a worker that dies must not end the others
    return {
        "worker": ["celery", "-q", "-A", "wallgent", "worker", *worker.split()],
        "beat": ["celery", "-q", "-A", "wallgent", "beat", *beat],
        "web": ["granian", *web.split(), "wallgent.asgi:application"],
    }


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise LocalServerError(
                f"Port {port} cannot be used ({error.strerror}). "
                f"Choose another one, such as PORT={port + 1} make run."
            ) from error


def _check_external_database() -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise LocalServerError(f"The database at DATABASE_URL does not answer: {error}") from error
    version = connection.pg_version // 10000
    if version < postgres.MAJOR:
        raise LocalServerError(
            f"DATABASE_URL is a PostgreSQL {version}. "
            f"Wallgent needs {postgres.MAJOR} or newer (it uses uuidv7())."
        )


def _is_ready(port: int) -> bool:
    host = urllib.parse.urlsplit(settings.PUBLIC_ORIGIN).netloc  # one of ALLOWED_HOSTS
    request = urllib.request.Request(f"http://{_HOST}:{port}/readyz", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - our own URL
            return response.status == 200
    except OSError:
        return False
