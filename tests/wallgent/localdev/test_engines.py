"""The engines that make run and make test start: nobody else gets in, and nothing is lost."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time

import psycopg
import pytest
import redis as redis_client

from wallgent.localdev import postgres, processes, redis, sockets, workspace
from wallgent.localdev.processes import EngineError


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    cluster = postgres.Cluster(tmp_path_factory.mktemp("blank") / "postgres")
    cluster.initialise()
    yield cluster
    cluster.destroy()


@pytest.fixture
def cluster(blank, tmp_path):
    cluster = blank.copy(tmp_path / "postgres", durable=False)
    yield cluster
    cluster.destroy()


@pytest.fixture
def server(tmp_path):
    server = redis.Server(tmp_path / "redis")
    yield server
    server.destroy()


def run_python(code, **variables):
    """A Python process of its own, whose first line of output has come."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = os.environ | {"PYTHONPATH": str(workspace.CHECKOUT)} | variables
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    return process, process.stdout.readline().strip()


def is_gone(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while processes.command_of(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class TestPostgres:
    def test_data_outlives_a_restart(self, cluster):
        cluster.start()
        address = cluster.url
        with psycopg.connect(address) as connection:
            connection.execute("CREATE TABLE kept AS SELECT uuidv7() AS id")
        cluster.stop()

        cluster.start()

        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)

    def test_lets_nobody_in_without_the_password(self, cluster):
        cluster.start()
        password = cluster.url.split(":")[2].split("@")[0]

        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(cluster.url.replace(password, "guess"))

        folder = cluster.url.split("host=")[1]
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700

    def test_the_application_is_no_superuser(self, cluster):
        cluster.start()

        with psycopg.connect(cluster.url) as connection:
            assert connection.execute("SHOW is_superuser").fetchone() == ("off",)

    def test_a_foreign_version_is_explained(self, cluster):
        (cluster.folder / "data" / "PG_VERSION").write_text("15\n")

        with pytest.raises(EngineError, match="made by PostgreSQL 15, and this is PostgreSQL 18"):
            cluster.start()

    def test_a_second_starter_is_refused(self, cluster):
        cluster.start()

        with pytest.raises(EngineError, match="in use by another process"):
            postgres.Cluster(cluster.folder).start()

    def test_a_killed_starter_leaves_no_server(self, cluster):
        starter, pid = run_python(
            """
            import os, time
            from wallgent.engines.postgres import Cluster
            cluster = Cluster(os.environ["FOLDER"])
            cluster.start()
            print(cluster.pid, flush=True)
            time.sleep(60)
            """,
            FOLDER=str(cluster.folder),
        )
        starter.kill()
        starter.wait()

        cluster.start()  # at once, while the other one may still be ending

        assert is_gone(int(pid))

    def test_a_stale_pid_of_somebody_else_is_left_alone(self, cluster):
        (cluster.folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")

        cluster.start()

        assert cluster.pid != os.getpid()


class TestRedis:
    def test_data_outlives_a_restart(self, server):
        server.start()
        with redis_client.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        server.stop()

        server.start()

        with redis_client.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"

    def test_a_missing_redis_is_explained(self, monkeypatch):
        monkeypatch.setattr(redis.shutil, "which", lambda name: None)
        monkeypatch.setattr(redis.importlib.util, "find_spec", lambda name: None)

        with pytest.raises(EngineError, match=r"Redis is missing. Install redis-server"):
            redis.program()

    def test_an_old_redis_is_explained(self, monkeypatch, tmp_path):
        old = tmp_path / "redis-server"
        old.write_text("#!/bin/sh\necho Redis server v=5.0.14 sha=0:0\n")
        old.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(redis.importlib.util, "find_spec", lambda name: None)

        with pytest.raises(EngineError, match=r"redis-server is 5\.0"):
            redis.program()

    def test_an_address_where_nothing_answers_is_explained(self):
        with pytest.raises(EngineError, match="REDIS_URL does not answer"):
            redis.check_external("redis://127.0.0.1:1")


class TestSockets:
    def test_a_folder_that_others_can_enter_is_refused(self, tmp_path):
        folder = sockets.folder_for(tmp_path, owner=os.geteuid())
        folder.chmod(0o755)
        try:
            with pytest.raises(EngineError, match="made by somebody else"):
                sockets.folder_for(tmp_path, owner=os.geteuid())
        finally:
            folder.rmdir()


class TestHome:
    @pytest.fixture(autouse=True)
    def engines_are_named(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/else")
        monkeypatch.setenv("REDIS_URL", "redis://somewhere")

    def test_secrets_are_made_once_and_private(self, tmp_path):
        place = workspace.Home(tmp_path / "home")
        place.prepare()
        first = place.read()
        place.prepare()

        assert place.read() == first
        assert set(first) == {"DEBUG", "SECRET_KEY", "ENCRYPTION_KEYS"}
        assert stat.S_IMODE(place.secrets_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.folder.stat().st_mode) & 0o066 == 0

    def test_a_copied_home_has_addresses_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.delenv("REDIS_URL")
        old, new = workspace.Home(tmp_path / "old"), workspace.Home(tmp_path / "new")
        old.prepare()
        shutil.copytree(old.folder, new.folder)
        new.prepare()

        assert new.read()["SECRET_KEY"] == old.read()["SECRET_KEY"]
        assert new.read()["REDIS_URL"] != old.read()["REDIS_URL"]
        old.redis.destroy()
        new.redis.destroy()

    def test_production_gets_no_made_up_secrets(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DEBUG", "0")
        place = workspace.Home(tmp_path / "home")
        place.prepare()

        assert not place.secrets_file.exists()


class TestProcesses:
    def test_stop_insists_when_patience_is_over(self):
        deaf = "import signal, time; signal.signal(15, 1); print(flush=True); time.sleep(60)"
        process = processes.spawn(
            [sys.executable, "-c", deaf],
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()

        processes.stop(process, patience_seconds=0.1)

        assert process.returncode == -signal.SIGKILL
