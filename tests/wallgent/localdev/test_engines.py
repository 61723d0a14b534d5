"""The embedded PostgreSQL and Redis: access needs the password, and no data is lost."""

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
from wallgent.localdev.processes import LocalServerError


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    cluster = postgres.Cluster(tmp_path_factory.mktemp("blank") / "postgres")
    cluster.initialize()
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
    """Start a Python process; return it and its first line of output."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = os.environ | {"PYTHONPATH": str(workspace.CHECKOUT)} | variables
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    return process, process.stdout.readline().strip()


def ends(pid, seconds=10):
    """Return whether a process ends in time."""
    deadline = time.monotonic() + seconds
    while processes.command_line_of(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class TestPostgres:
    def test_data_survives_a_restart(self, cluster):
        cluster.start()
        url = cluster.url
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT uuidv7() AS id")
        cluster.stop()

        cluster.start()

        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)

    def test_wrong_password_is_refused(self, cluster):
        cluster.start()
        password = cluster.url.split(":")[2].split("@")[0]

        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(cluster.url.replace(password, "guess"))

        folder = cluster.url.split("host=")[1]
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700

    def test_application_user_is_not_a_superuser(self, cluster):
        cluster.start()

        with psycopg.connect(cluster.url) as connection:
            assert connection.execute("SHOW is_superuser").fetchone() == ("off",)

    def test_data_of_another_version_is_refused(self, cluster):
        (cluster.folder / "data" / "PG_VERSION").write_text("15\n")

        with pytest.raises(
            LocalServerError, match="made by PostgreSQL 15, and this is PostgreSQL 18"
        ):
            cluster.start()

    def test_second_start_is_refused(self, cluster):
        cluster.start()

        with pytest.raises(LocalServerError, match="in use by another process"):
            postgres.Cluster(cluster.folder).start()

    def test_server_ends_when_its_parent_is_killed(self, cluster):
        parent, pid = run_python(
            """
            import os, time
            from wallgent.localdev.postgres import Cluster
            cluster = Cluster(os.environ["FOLDER"])
            cluster.start()
            print(cluster.pid, flush=True)
            time.sleep(60)
            """,
            FOLDER=str(cluster.folder),
        )
        parent.kill()
        parent.wait()

        cluster.start()  # at once, while the other server may still be stopping

        assert ends(int(pid))

    def test_stale_pid_of_another_process_is_not_killed(self, cluster):
        (cluster.folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")

        cluster.start()

        assert cluster.pid != os.getpid()


class TestRedis:
    def test_data_survives_a_restart(self, server):
        server.start()
        with redis_client.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        server.stop()

        server.start()

        with redis_client.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"

    def test_missing_redis_is_reported(self, monkeypatch):
        monkeypatch.setattr(redis.shutil, "which", lambda name: None)
        monkeypatch.setattr(redis.importlib.util, "find_spec", lambda name: None)

        with pytest.raises(LocalServerError, match=r"Redis is missing. Install redis-server"):
            redis.program()

    def test_old_redis_is_reported(self, monkeypatch, tmp_path):
        old = tmp_path / "redis-server"
        old.write_text("#!/bin/sh\necho Redis server v=5.0.14 sha=0:0\n")
        old.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(redis.importlib.util, "find_spec", lambda name: None)

        with pytest.raises(LocalServerError, match=r"redis-server is 5\.0"):
            redis.program()

    def test_unreachable_redis_url_is_reported(self):
        with pytest.raises(LocalServerError, match="REDIS_URL does not answer"):
            redis.check_external("redis://127.0.0.1:1")


class TestSockets:
    def test_folder_open_to_others_is_refused(self, tmp_path):
        folder = sockets.folder_for(tmp_path, owner=os.geteuid())
        folder.chmod(0o755)
        try:
            with pytest.raises(LocalServerError, match="made by somebody else"):
                sockets.folder_for(tmp_path, owner=os.geteuid())
        finally:
            folder.rmdir()


class TestWorkspace:
    @pytest.fixture(autouse=True)
    def external_servers(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/else")
        monkeypatch.setenv("REDIS_URL", "redis://somewhere")

    def test_secrets_are_generated_once_and_private(self, tmp_path):
        own = workspace.Workspace(tmp_path / "home")
        own.prepare()
        first = own.read_secrets()
        own.prepare()

        assert own.read_secrets() == first
        assert set(first) == {"DEBUG", "SECRET_KEY", "ENCRYPTION_KEYS"}
        assert stat.S_IMODE(own.secrets_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(own.folder.stat().st_mode) & 0o066 == 0

    def test_copied_workspace_has_its_own_urls(self, tmp_path, monkeypatch):
        monkeypatch.delenv("REDIS_URL")
        old, new = workspace.Workspace(tmp_path / "old"), workspace.Workspace(tmp_path / "new")
        old.prepare()
        shutil.copytree(old.folder, new.folder)
        new.prepare()

        assert new.read_secrets()["SECRET_KEY"] == old.read_secrets()["SECRET_KEY"]
        assert new.read_secrets()["REDIS_URL"] != old.read_secrets()["REDIS_URL"]
        old.redis.destroy()
        new.redis.destroy()

    def test_production_gets_no_generated_secrets(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DEBUG", "0")
        own = workspace.Workspace(tmp_path / "home")
        own.prepare()

        assert not own.secrets_file.exists()


class TestProcesses:
    def test_stop_kills_the_process_after_the_timeout(self):
        script = "import signal, time; signal.signal(15, 1); print(flush=True); time.sleep(60)"
        process = processes.spawn(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()

        processes.stop(process, timeout_seconds=0.1)

        assert process.returncode == -signal.SIGKILL
