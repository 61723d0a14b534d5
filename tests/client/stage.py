"""The fixture of a scenario. Here `wallgent` is a published client, not our server."""

import asyncio
import importlib.util
import inspect
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx

import wallgent

IS_FIRST = wallgent.__version__.startswith("0.1")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _load_models():
    """Load the newest client's models, which the responses of older clients must fit, too."""
    folder = Path(wallgent.__file__).parents[2] / "0.3.0" / "wallgent"
    spec = importlib.util.spec_from_file_location("client_models", folder / "models.py")
    models = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = models  # where pydantic looks up the names in annotations
    spec.loader.exec_module(models)
    return models


models = _load_models()


class Stage:
    """The organization of one scenario, with keys of every kind, and a stranger."""

    def __init__(self, kind: str, origin: str, cast: dict):
        self.origin = origin
        self.organization = cast["organization"]
        self.member = cast["member"]
        self.main = cast["main"]  # the default wallet of the organization
        self.wallet = cast["wallet"]  # has 1,000
        self.held = cast["held"]  # has 100, of which 40 are on hold
        self.live_wallet = cast["live_wallet"]
        self.shop = cast["shop"]  # the stranger's
        self.keys = cast["keys"]
        self._is_async = kind == "async"
        self.client = self.client_of("sandbox")
        self.stranger = self.client_of("stranger")

    def client_of(self, name: str):
        """Return a client with one of the organization's keys."""
        return self.connect(self.keys[name])

    def connect(self, secret: str):
        """Return a client with a key. The calls of an async client are awaited here."""
        if IS_FIRST:
            client = wallgent.Wallgent(secret, base_url=self.origin)
            return _AsyncMethods(client) if self._is_async else client
        if self._is_async:
            return _Awaited(wallgent.AsyncWallgent(secret, base_url=f"{self.origin}/v1"))
        return wallgent.Wallgent(secret, base_url=f"{self.origin}/v1")

    def post(
        self, path: str, body: dict | None = None, *, key: str | None = "sandbox"
    ) -> httpx.Response:
        """Send a request that the client has no method for, or whose whole response is needed."""
        return httpx.post(f"{self.origin}/v1{path}", json=body, headers=self._headers(key))

    def get(self, path: str, *, key: str | None = "sandbox") -> httpx.Response:
        return httpx.get(f"{self.origin}/v1{path}", headers=self._headers(key))

    def _headers(self, key: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[key]}"} if key else {}

    def freeze(self, wallet_id: str) -> None:
        assert self.post(f"/wallets/{wallet_id}/freeze").status_code == 200

    def available(self, wallet_id: str) -> str:
        return self.client.wallets.get_balance(wallet_id)["available"]


class _Awaited:
    """Makes an AsyncWallgent look like a Wallgent: each call is awaited on one event loop."""

    def __init__(self, wrapped, loop=None):
        self._wrapped = wrapped
        self._loop = loop or asyncio.new_event_loop()

    def __getattr__(self, name):
        found = getattr(self._wrapped, name)
        if not inspect.iscoroutinefunction(found):
            return _Awaited(found, self._loop)
        return lambda *given, **named: self._loop.run_until_complete(found(*given, **named))


class _AsyncMethods:
    """Replaces the methods of a 0.1 client by its coroutines: create by acreate."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, noun):
        resource = getattr(self._client, noun)
        return _Awaited(_Prefixed(resource))


class _Prefixed:
    def __init__(self, resource):
        self._resource = resource

    def __getattr__(self, name):
        return getattr(self._resource, f"a{name}")


class Refusal:
    """The error of a refused call, set when it was raised."""

    error: wallgent.WallgentError

    @property
    def details(self) -> dict:
        return self.error.details


@contextmanager
def refused(error: type, *, status: int, code: str):
    """Assert that the block raises this class of error, and not a subclass."""
    refusal = Refusal()
    try:
        yield refusal
    except wallgent.WallgentError as raised:
        assert type(raised) is error, repr(raised)
        raised_code = raised.code if IS_FIRST else raised.error_code
        assert (raised.status_code, raised_code) == (status, code), repr(raised)
        assert len(str(raised)) > 20, "a refusal is a sentence"
        refusal.error = raised
    else:
        raise AssertionError(f"{error.__name__} was not raised")


def pages_of(method, *given, **named):
    """Yield every page of a list, as the client's own Page."""
    cursor = None
    for _ in range(50):
        page = wallgent.Page.from_dict(method(*given, cursor=cursor, **named))
        yield page
        cursor = page.next_cursor
        if not page.has_more:
            assert cursor is None
            return
        assert cursor
    raise AssertionError("the list never ends")


def ids_of(items) -> list[str]:
    return [item["id"] for item in items]
