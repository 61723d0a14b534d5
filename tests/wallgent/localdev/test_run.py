"""`manage.py run` as a person uses it: one start, one Ctrl-C, and the data is still there."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from wallgent.localdev import workspace

pytestmark = pytest.mark.xdist_group("stack")

START_SECONDS = 60
# What the tests' own engines have put there, and a person's shell has not.
_OURS = ("WALLGENT_HOME", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "DEBUG")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Checkout:
    """A home in a path with spaces, and what runs from it."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.started = None

    def run(self):
        """Start `manage.py run`."""
        environment = {name: value for name, value in os.environ.items() if name not in _OURS}
        self.started = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=workspace.CHECKOUT,
            env=environment | {"WALLGENT_HOME": str(self.folder), "PORT": str(self.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        return self.started

    def run_until_ready(self):
        """Start it and return what it printed up to its greeting."""
        lines = []
        for line in self.run().stdout:
            lines.append(line)
            if "Try " in line:
                return "".join(lines)
        pytest.fail("It ended: " + "".join(lines))

    def demo(self):
        return json.loads((self.folder / "demo.json").read_text())

    def ask(self, path, key=""):
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def processes(self):
        """Every process that was started from this home: they all inherit its name."""
        mark = f"WALLGENT_HOME={self.folder}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes())
            except OSError:
                continue
        return found

    def is_quiet(self, seconds=10):
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path / "a home with spaces")
    yield checkout
    if checkout.started and checkout.started.poll() is None:
        checkout.started.kill()
        checkout.started.wait()
    assert checkout.is_quiet()
    place = workspace.Home(checkout.folder)
    place.redis.destroy()
    place.postgres.destroy()
    shutil.rmtree(checkout.folder)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
class TestRun:
    def test_starts_stops_and_keeps_everything(self, checkout):
        greeting = checkout.run_until_ready()
        demo = checkout.demo()
        assert demo["apiKey"] in greeting
        assert demo["apiUrl"] == f"http://127.0.0.1:{checkout.port}/v1"
        assert (checkout.folder / "demo.json").stat().st_mode & 0o077 == 0
        assert checkout.ask("/readyz")["status"] == "ok"
        assert checkout.ask("/v1/wallets", demo["apiKey"])["data"]

        second = subprocess.run(
            [sys.executable, "manage.py", "run"],
            cwd=workspace.CHECKOUT,
            env=os.environ | {"WALLGENT_HOME": str(checkout.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert "already running" in second.stderr

        os.killpg(checkout.started.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
        assert checkout.started.wait(30) == 0
        assert checkout.processes() == []

        checkout.run_until_ready()
        assert checkout.demo() == demo
        assert checkout.ask("/v1/wallets", demo["apiKey"])["data"]

        checkout.started.kill()
        assert checkout.is_quiet()

    def test_a_busy_port_is_said_before_anything_starts(self, checkout):
        with socket.socket() as other:
            other.bind(("127.0.0.1", checkout.port))
            other.listen()

            said, _ = checkout.run().communicate(timeout=START_SECONDS)

        assert checkout.started.returncode == 1
        assert f"Port {checkout.port} cannot be used (Address already in use)" in said
        assert "redis" not in said
