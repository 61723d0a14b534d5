"""`manage.py run`: it starts everything, stops on Ctrl-C, and keeps the data."""

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
# Variables that tests.engines sets, and a person's shell does not.
_TEST_VARIABLES = (
    "WALLGENT_HOME",
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "DEBUG",
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Checkout:
    """A workspace and the `manage.py run` that uses it."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.process = None

    def run(self):
        """Start `manage.py run`."""
        environment = {
            name: value for name, value in os.environ.items() if name not in _TEST_VARIABLES
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=workspace.CHECKOUT,
            env=environment | {"WALLGENT_HOME": str(self.folder), "PORT": str(self.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        return self.process

    def run_until_ready(self):
        """Start it and return its output up to the end of the welcome message."""
        lines = []
        for line in self.run().stdout:
            lines.append(line)
            if "Try " in line:
                return "".join(lines)
        pytest.fail("It ended: " + "".join(lines))

    def demo(self):
        return json.loads((self.folder / "demo.json").read_text())

    def get(self, path, key=""):
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    def processes(self):
        """Return the command lines of all processes with this WALLGENT_HOME, which they inherit."""
        variable = f"WALLGENT_HOME={self.folder}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if variable in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes())
            except OSError:
                continue
        return found

    def all_stop(self, seconds=10):
        """Return whether all processes end in time."""
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path / "a folder with spaces")
    yield checkout
    if checkout.process and checkout.process.poll() is None:
        checkout.process.kill()
        checkout.process.wait()
    assert checkout.all_stop()
    own = workspace.Workspace(checkout.folder)
    own.redis.destroy()
    own.postgres.destroy()
    shutil.rmtree(checkout.folder)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
class TestRun:
    def test_starts_stops_and_keeps_the_data(self, checkout):
        output = checkout.run_until_ready()
        demo = checkout.demo()
        assert demo["apiKey"] in output
        assert demo["apiUrl"] == f"http://127.0.0.1:{checkout.port}/v1"
        assert (checkout.folder / "demo.json").stat().st_mode & 0o077 == 0
        assert checkout.get("/readyz")["status"] == "ok"
        assert checkout.get("/v1/wallets", demo["apiKey"])["data"]

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

        os.killpg(checkout.process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
        assert checkout.process.wait(30) == 0
        assert checkout.processes() == []

        checkout.run_until_ready()
        assert checkout.demo() == demo
        assert checkout.get("/v1/wallets", demo["apiKey"])["data"]

        checkout.process.kill()
        assert checkout.all_stop()

    def test_busy_port_is_reported_before_anything_starts(self, checkout):
        with socket.socket() as other:
            other.bind(("127.0.0.1", checkout.port))
            other.listen()

            output, _ = checkout.run().communicate(timeout=START_SECONDS)

        assert checkout.process.returncode == 1
        assert f"Port {checkout.port} cannot be used (Address already in use)" in output
        assert "redis" not in output
