"""Starts a PostgreSQL and a Redis for each run of pytest, unless the environment has their URLs.

Loaded by `-p tests.engines`, before Django loads its settings.
"""

import os
import shutil
import subprocess
import sys

import psycopg
import pytest

from wallgent.localdev import postgres, processes, workspace

_TEMPLATE = "wallgent_template"
_FOLDER = workspace.CHECKOUT / ".wallgent" / "test"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config):
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        _choose_redis_database(int(worker.removeprefix("gw")) + 1)
    else:
        try:
            _start(early_config)
        except processes.LocalServerError as error:
            raise pytest.UsageError(str(error)) from error
    return (yield)


def _start(config) -> None:
    """Start the servers and put their URLs in the environment, which xdist's workers inherit."""
    servers, template, lock = create_workspace(f"run-{os.getpid()}")
    config.add_cleanup(lambda: remove(servers, lock))
    os.environ |= {"WALLGENT_HOME": str(servers.folder), "DEBUG": "1"}
    if "DATABASE_URL" not in os.environ:
        template.copy(servers.postgres.folder)
        servers.postgres.start()
    if "REDIS_URL" not in os.environ:
        servers.redis.start()
    servers.prepare()
    for name, value in servers.read_secrets().items():
        os.environ.setdefault(name, value)


def create_workspace(name: str, *, durable: bool = False):
    """Return a new workspace, an empty cluster to copy into it, and the workspace's lock.

    A copy takes a fifth of the time of a new cluster. Workspaces of interrupted runs are removed.
    """
    workspace.Workspace(_FOLDER.parent).create()
    workspace.Workspace(_FOLDER).create()
    with processes.lock_file(_FOLDER / "lock", wait=True):
        for old in _FOLDER.glob("run-*"):
            if lock := processes.lock_file(old / "lock"):
                remove(workspace.Workspace(old), lock)
        template = postgres.Cluster(_FOLDER / "template")
        template.initialize()
        created = workspace.Workspace(_FOLDER / name, durable=durable)
        created.create()
        return created, template, processes.lock_file(created.folder / "lock")


def remove(servers: workspace.Workspace, lock) -> None:
    """Stop the servers of a workspace and delete it."""
    servers.redis.destroy()
    servers.postgres.destroy()
    shutil.rmtree(servers.folder)
    lock.close()


def migrated_template() -> str | None:
    """Return the name of a migrated template database; None on servers that we did not start.

    A copy takes a thirtieth of the time of the migrations. PostgreSQL copies a database only while
    no one is connected to it.
    """
    current = workspace.Workspace.current()
    address = os.environ["DATABASE_URL"]
    if not current.postgres.has_url(address):
        return None
    with processes.lock_file(current.folder / "migrating", wait=True) as lock:
        if not lock.read():
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {_TEMPLATE}")
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
                cwd=workspace.CHECKOUT,
                env=os.environ
                | {"DATABASE_URL": current.postgres.url_of(postgres.USER, _TEMPLATE)},
                check=True,
            )
            lock.write("done")
    return _TEMPLATE


def _choose_redis_database(number: int) -> None:
    address = os.environ["REDIS_URL"]
    if address.startswith("unix:"):
        os.environ["REDIS_URL"] = address.replace("?db=0", f"?db={number}")
