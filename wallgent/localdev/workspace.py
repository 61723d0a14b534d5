"""The workspace: the folder WALLGENT_HOME with the database, Redis, secrets.env and demo.json."""

import os
import secrets
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from wallgent.localdev import postgres, redis
from wallgent.localdev.processes import LocalServerError

CHECKOUT = Path(__file__).resolve().parents[2]

_HEADER = """\
# Written by `make run`, and kept: whoever has these keys can read what the database encrypts.
# DATABASE_URL and REDIS_URL are written anew at each start. Set your own in the environment.
"""


class Workspace:
    """The servers and secrets of a checkout, created at the first start and kept."""

    def __init__(self, folder: Path, *, durable: bool = True):
        self.folder = Path(folder).absolute()
        self.postgres = postgres.Cluster(self.folder / "postgres", durable=durable)
        self.redis = redis.Server(self.folder / "redis", durable=durable)

    @classmethod
    def current(cls) -> "Workspace":
        """Return the workspace in WALLGENT_HOME, by default the one in this checkout."""
        return cls(Path(os.environ.get("WALLGENT_HOME") or CHECKOUT / ".wallgent"))

    @property
    def secrets_file(self) -> Path:
        return self.folder / "secrets.env"

    def prepare(self) -> None:
        """Write secrets.env: the servers' URLs, and secrets that are generated once and kept.

        With DEBUG=0 in the environment nothing is written: production sets its own.
        """
        self.create()
        if os.environ.get("DEBUG", "1").lower() in ("0", "false", "no", "off", ""):
            return
        values = self._new_secrets() | self.read_secrets() | self._urls()
        lines = [f"{name}={value}\n" for name, value in values.items()]
        draft = self.secrets_file.with_name("secrets.env.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_HEADER + "".join(lines))
        draft.replace(self.secrets_file)

    def create(self) -> None:
        """Create the folder, as private as the account of the database allows."""
        # If we are root, the database runs as another account, which must be able to enter.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self.folder.mkdir(mode=mode, parents=True, exist_ok=True)

    def read_secrets(self) -> dict[str, str]:
        """Return the variables in secrets.env."""
        if not self.secrets_file.exists():
            return {}
        lines = self.secrets_file.read_text().splitlines()
        pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip() for name, value in pairs}

    @staticmethod
    def _new_secrets() -> dict[str, str]:
        return {
            "DEBUG": "1",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        }

    def _urls(self) -> dict[str, str]:
        """Return the URLs of our own servers, for those that the environment does not set."""
        urls = {}
        if "DATABASE_URL" not in os.environ:
            self.postgres.prepare()
            urls["DATABASE_URL"] = self.postgres.url
        if "REDIS_URL" not in os.environ:
            self.redis.prepare()
            urls["REDIS_URL"] = self.redis.url
        return urls


def prepare() -> None:
    """Prepare the current workspace, or exit with one line that says what is wrong."""
    try:
        Workspace.current().prepare()
    except (LocalServerError, OSError) as error:
        sys.exit(str(error))
