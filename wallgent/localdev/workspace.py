"""WALLGENT_HOME: the folder of a checkout's own database, Redis, secrets and demo.json."""

import os
import secrets
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from wallgent.localdev import postgres, redis
from wallgent.localdev.processes import EngineError

CHECKOUT = Path(__file__).resolve().parents[2]

_HEADER = """\
# Written by `make run`, and kept: whoever has these keys can read what the database encrypts.
# DATABASE_URL and REDIS_URL are written anew at each start. Set your own in the environment.
"""


class Home:
    """What a checkout needs to run, made on the first start and kept after it."""

    def __init__(self, folder: Path, *, durable: bool = True):
        self.folder = Path(folder).absolute()
        self.postgres = postgres.Cluster(self.folder / "postgres", durable=durable)
        self.redis = redis.Server(self.folder / "redis", durable=durable)

    @classmethod
    def current(cls) -> "Home":
        """The home that WALLGENT_HOME names, else the one in this checkout."""
        return cls(Path(os.environ.get("WALLGENT_HOME") or CHECKOUT / ".wallgent"))

    @property
    def secrets_file(self) -> Path:
        return self.folder / "secrets.env"

    def prepare(self) -> None:
        """Write secrets.env: addresses, and made-up secrets that are kept from then on.

        With DEBUG=0 in the environment nothing is made up: production names its own.
        """
        self.make()
        if os.environ.get("DEBUG", "1").lower() in ("0", "false", "no", "off", ""):
            return
        values = self._made_up() | self.read() | self._addresses()
        lines = [f"{name}={value}\n" for name, value in values.items()]
        draft = self.secrets_file.with_name("secrets.env.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_HEADER + "".join(lines))
        draft.replace(self.secrets_file)

    def make(self) -> None:
        """Make the folder, closed to others as far as the database's account allows."""
        # Started by root, the database runs as somebody else and must pass through to its own.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self.folder.mkdir(mode=mode, parents=True, exist_ok=True)

    def read(self) -> dict[str, str]:
        """What secrets.env says."""
        if not self.secrets_file.exists():
            return {}
        lines = self.secrets_file.read_text().splitlines()
        pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip() for name, value in pairs}

    @staticmethod
    def _made_up() -> dict[str, str]:
        return {
            "DEBUG": "1",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        }

    def _addresses(self) -> dict[str, str]:
        addresses = {}
        if "DATABASE_URL" not in os.environ:
            self.postgres.prepare()
            addresses["DATABASE_URL"] = self.postgres.url
        if "REDIS_URL" not in os.environ:
            self.redis.prepare()
            addresses["REDIS_URL"] = self.redis.url
        return addresses


def prepare() -> None:
    """Prepare the current home, or end this program with one line that says what is wrong."""
    try:
        Home.current().prepare()
    except (EngineError, OSError) as error:
        sys.exit(str(error))
