"""Installs the published Python clients: in a separate Python, with a folder for each version.

Their package is named wallgent, like ours, so the two never share an environment.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from wallgent.localdev import processes, workspace

VERSIONS = ("0.3.0", "0.2.0", "0.1.1")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

_FOLDER = workspace.CHECKOUT / ".wallgent" / "clients"
_STAMP = _FOLDER / "installed"


class NotInstalled(Exception):
    """The clients cannot be installed. The message says why."""


def install() -> None:
    """Install the clients, unless they are installed in these versions. Raises NotInstalled."""
    workspace.Workspace(_FOLDER.parent).create()
    with processes.lock_file(_FOLDER.with_name("clients.lock"), wait=True):
        wanted = "\n".join([sys.version, *VERSIONS, REQUIREMENTS.read_text()])
        if _STAMP.exists() and _STAMP.read_text() == wanted:
            return
        sys.stderr.write("Installing the published clients, once.\n")
        shutil.rmtree(_FOLDER, ignore_errors=True)
        _run("-m", "venv", "--without-pip", _python().parents[1])
        _pip("--python", _python(), "install", "--requirement", REQUIREMENTS)
        for version in VERSIONS:
            _pip("install", "--no-deps", "--target", _FOLDER / version, f"wallgent=={version}")
        _STAMP.write_text(wanted)


def run(version: str, *arguments, input: str) -> str:
    """Run a Python in which `wallgent` is this version of the client. Return its output."""
    # None of our variables: neither the settings nor a proxy, which could not reach loopback.
    environment = {
        "PYTHONPATH": str(_FOLDER / version),
        "PYTHONUTF8": "1",
        "SSL_CERT_DIR": str(_FOLDER),  # no certificates: loading them takes longer than a scenario
    }
    result = subprocess.run(
        [_python(), "-B", *arguments],
        cwd=_FOLDER,
        env=environment,
        input=input,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _python() -> Path:
    return _FOLDER / "python" / "bin" / "python"


def _pip(*arguments) -> None:
    _run("-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*arguments) -> None:
    command = [sys.executable, *map(str, arguments)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": ""}
    )
    if result.returncode:
        raise NotInstalled(
            f"The published clients cannot be installed: {' '.join(command)} failed.\n"
            f"{result.stderr}"
        )


if __name__ == "__main__":
    try:
        install()
    except NotInstalled as error:
        sys.exit(str(error))
