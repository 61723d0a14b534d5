"""Gives each run of pytest a PostgreSQL and a Redis of its own, unless the environment names them.

Loaded by `-p tests.engines`, before Django reads its settings.
"""

import os
import shutil
import subprocess
import sys

import psycopg
import pytest

from wallgent.localdev import postgres, processes, workspace

_TEMPLATE = "wallgent_template"
_ROOM = workspace.CHECKOUT / ".wallgent" / "test"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config):
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        _choose_redis_database(int(worker.removeprefix("gw")) + 1)
    else:
        try:
            _start(early_config)
        except processes.EngineError as error:
            raise pytest.UsageError(str(error)) from error
    return (yield)


def _start(config) -> None:
    """Start what is not named, and say so in the environment, which xdist's workers inherit."""
    engines, template, lock = claim(f"run-{os.getpid()}")
    config.add_cleanup(lambda: remove(engines, lock))
    os.environ |= {"WALLGENT_HOME": str(engines.folder), "DEBUG": "1"}
    if "DATABASE_URL" not in os.environ:
        template.copy(engines.postgres.folder)
        engines.postgres.start()
    if "REDIS_URL" not in os.environ:
        engines.redis.start()
    engines.prepare()
    for name, value in engines.read().items():
        os.environ.setdefault(name, value)


def claim(name: str, *, durable: bool = False):
    """A new home with its lock, and an empty cluster to copy into it.

    Copying takes a fifth of the time of making. What interrupted runs left behind is removed.
    """
    workspace.Home(_ROOM.parent).make()
    workspace.Home(_ROOM).make()
    with processes.hold(_ROOM / "lock", wait=True):
        for old in _ROOM.glob("run-*"):
            if lock := processes.hold(old / "lock"):
                remove(workspace.Home(old), lock)
        template = postgres.Cluster(_ROOM / "template")
        template.initialise()
        engines = workspace.Home(_ROOM / name, durable=durable)
        engines.make()
        return engines, template, processes.hold(engines.folder / "lock")


def remove(engines: workspace.Home, lock) -> None:
    """Take a home away, with whatever runs in it."""
    engines.redis.destroy()
    engines.postgres.destroy()
    shutil.rmtree(engines.folder)
    lock.close()


def migrated() -> str | None:
    """The database with all tables that this run copies others from. None on foreign engines.

    Copying takes a thirtieth of the time of making. It can be copied while nobody else uses it.
    """
    engines = workspace.Home.current()
    address = os.environ["DATABASE_URL"]
    if not engines.postgres.is_at(address):
        return None
    with processes.hold(engines.folder / "migrating", wait=True) as lock:
        if not lock.read():
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {_TEMPLATE}")
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
                cwd=workspace.CHECKOUT,
                env=os.environ
                | {"DATABASE_URL": engines.postgres.url_of(postgres.USER, _TEMPLATE)},
                check=True,
            )
            lock.write("done")
    return _TEMPLATE


def _choose_redis_database(number: int) -> None:
    address = os.environ["REDIS_URL"]
    if address.startswith("unix:"):
        os.environ["REDIS_URL"] = address.replace("?db=0", f"?db={number}")
