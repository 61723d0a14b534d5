"""Child processes that end with their parent, file locks, and the unprivileged account."""

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


class LocalServerError(Exception):
    """A server cannot run. The message is one sentence that says why and what to do."""


def spawn(command, *, account=None, on_parent_exit=signal.SIGTERM, **options) -> subprocess.Popen:
    """Start a child in its own process group, so that Ctrl-C interrupts only this process.

    On Linux the child gets the signal `on_parent_exit` when the calling thread ends for any reason.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_signal_on_parent_exit(on_parent_exit),  # after setuid, which would clear it
        **_identity(account),
        **options,
    )


def run(command, *, account=None, **options) -> subprocess.CompletedProcess:
    """Run a short program and return its output. The caller checks the exit code."""
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


def _signal_on_parent_exit(signum):
    """Return the function that asks Linux for the signal, to run in the child; elsewhere None."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def set_signal():
        libc.prctl(_PR_SET_PDEATHSIG, int(signum))
        if os.getppid() != parent:  # the parent ended before prctl
            os._exit(1)

    return set_signal


def stop(process: subprocess.Popen, *, by=signal.SIGTERM, timeout_seconds: float = 10) -> None:
    """Stop a child of `spawn` and wait for it. After the time-out it is killed."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the child's own children


def command_line_of(pid: int) -> str:
    """Return the command line of a running process, or an empty string."""
    if sys.platform == "linux":
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return command.replace(b"\0", b" ").decode(errors="replace")
    return run(["/bin/ps", "-o", "command=", "-p", pid]).stdout


def unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account for a server that refuses root, or None unless this process is root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalServerError("PostgreSQL refuses to run as root: create a user named postgres.")


def can_access(account: pwd.struct_passwd, folder: Path) -> bool:
    """Return whether the account can enter the folder and all its parents."""
    return run(["/bin/sh", "-c", 'cd "$0"', folder], account=account).returncode == 0


def lock_file(path: Path, *, wait: bool = False) -> IO | None:
    """Lock a file and return it; None if it is locked already, unless `wait`.

    The lock lasts until the file is closed or the process ends.
    """
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return None
    return file
