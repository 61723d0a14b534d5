"""Everything on one machine, until Ctrl-C. manage.py has prepared WALLGENT_HOME before."""

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
from wallgent.localdev.processes import EngineError
from wallgent.localdev.supervisor import Supervisor
from wallgent.localdev.workspace import Home

_HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Start database, Redis, worker, beat and web server, and stop them all on Ctrl-C."
    requires_system_checks = []

    def handle(self, **options):
        home = Home(settings.WALLGENT_HOME)
        lock = processes.hold(home.folder / "lock")
        if lock is None:
            raise CommandError(f"Wallgent is already running in {home.folder}.")
        port = int(settings.PORT)
        try:
            _check_port(port)
            with Supervisor(self.stdout.write) as supervisor:
                self._start(supervisor, home, port)
                self._greet(home)
                supervisor.watch()
        except EngineError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("Stopped. The data is kept.")
        finally:
            lock.close()

    def _start(self, supervisor: Supervisor, home: Home, port: int) -> None:
        if home.redis.is_at(settings.REDIS_URL):
            supervisor.start_engine("redis", home.redis)
        else:
            redis.check_external(settings.REDIS_URL)
        if home.postgres.is_at(os.environ["DATABASE_URL"]):
            supervisor.start_engine("postgres", home.postgres)
        else:
            _check_external_database()
        call_command("migrate", interactive=False, verbosity=0)
        supervisor.say("migrate", "the database is up to date")
        if settings.DEVELOPMENT:
            call_command("demo", stdout=self.stdout)
        connection.close()

        # Celery warns of root at length, and here root is welcome.
        quiet = {
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore::UserWarning:celery.platforms",
        }
        options = {"cwd": settings.BASE_DIR, "env": os.environ | quiet}
        for name, arguments in programs(home, port).items():
            # Never the script in bin/: its first line breaks in a path with spaces.
            supervisor.start_program(name, [sys.executable, "-m", *arguments], **options)
        supervisor.wait_for("worker", lambda: celery.control.ping(timeout=0.5))
        celery.pool.force_close_all()
        supervisor.wait_for("web", lambda: _is_ready(port))

    def _greet(self, home: Home) -> None:
        demo_file = home.folder / "demo.json"
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


def programs(home: Home, port: int) -> dict[str, list]:
    """What runs beside the engines, as arguments of `python -m`, in the order of starting."""
    worker = "--pool threads --concurrency 4 --without-mingle --without-gossip --loglevel INFO"
    beat = ["--schedule", home.folder / "beat", "--pidfile", "", "--loglevel", "INFO"]
    # A granian that is told to stop while it starts would wait for ever without the timeout.
    web = f"--interface asgi --http 1 --host {_HOST} --port {port} --workers-kill-timeout 3"
    web += " --respawn-failed-workers"  # one that dies shall not take the others with it
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
            raise EngineError(
                f"Port {port} cannot be used ({error.strerror}). "
                f"Choose another one, such as PORT={port + 1} make run."
            ) from error


def _check_external_database() -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise EngineError(f"The database at DATABASE_URL does not answer: {error}") from error
    version = connection.pg_version // 10000
    if version < postgres.MAJOR:
        raise EngineError(
            f"DATABASE_URL is a PostgreSQL {version}. "
            f"Wallgent needs {postgres.MAJOR} or newer (it uses uuidv7())."
        )


def _is_ready(port: int) -> bool:
    host = urllib.parse.urlsplit(settings.PUBLIC_ORIGIN).netloc  # one that we answer to
    request = urllib.request.Request(f"http://{_HOST}:{port}/readyz", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own
            return answer.status == 200
    except OSError:
        return False
