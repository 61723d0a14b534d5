"""Child processes that never outlive us, and the account that may not be root."""

import contextlib
import ctypes
import fcntl
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1


class EngineError(Exception):
    """Says in one sentence what is wrong and what to do about it."""


def spawn(command, *, account=None, on_our_death=signal.SIGTERM, **options) -> subprocess.Popen:
    """Start a child in a process group of its own, so that Ctrl-C reaches only us.

    On Linux it gets `on_our_death` when the thread that called this ends, however it ends.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_death_watch(on_our_death),  # after setuid, which would clear it
        **_identity(account),
        **options,
    )


def run(command, *, account=None, **options) -> subprocess.CompletedProcess:
    """Run a short program to its end, with what it printed. The caller reads its exit code."""
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        **_identity(account),
        **options,
    )


def _identity(account: pwd.struct_passwd | None) -> dict:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _death_watch(on_our_death):
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def watch():
        libc.prctl(_PR_SET_PDEATHSIG, int(on_our_death))
        if os.getppid() != parent:  # we died before the child could ask
            os._exit(1)

    return watch


def stop(process: subprocess.Popen, *, by=signal.SIGTERM, patience_seconds: float = 10) -> None:
    """Ask a child of `spawn` to end, insist when patience is over, and see it gone."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what the child itself left behind


def command_of(pid: int) -> str:
    """The command line of a running process, or nothing."""
    if sys.platform == "linux":
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return command.replace(b"\0", b" ").decode(errors="replace")
    return run(["/bin/ps", "-o", "command=", "-p", pid]).stdout


def unprivileged() -> pwd.struct_passwd | None:
    """Whom a server that refuses root runs as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EngineError("PostgreSQL refuses to run as root: create a user named postgres.")


def can_enter(account: pwd.struct_passwd, folder: Path) -> bool:
    """Whether the account can reach the folder through all its parents."""
    return run(["/bin/sh", "-c", 'cd "$0"', folder], account=account).returncode == 0


def hold(path: Path, *, wait: bool = False) -> IO | None:
    """Take a lock that lasts until the returned file is closed or we die; None if it is taken."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return None
    return file
