"""Helpers for tests. Most use the same services and HTTP API as the product."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from django.apps import apps
from django.db import connection
from django.test import Client as DjangoClient

from accounts.ledger import chart, holds, journal, movements
from accounts.ledger import checks as books
from accounts.ledger.movements import Movement, Record
from accounts.organizations import permissions
from accounts.organizations.models import Membership, Organization, User
from accounts.organizations.services import api_keys, organizations
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent import clock, ids, redis
from wallgent.actors import Actor, ActorType
from wallgent.environments import Environment
from wallgent.events.models import Event

OUR_APPS = (
    "wallgent",
    "ledger",
    "accounts",
    "billing",
    "issuing",
    "links",
)

# Money that tests move or hold without a record that explains it.
for _reason, _is_hold in (("test", False), ("given", False), ("test", True), ("card", True)):
    _every = Record("test", f"SELECT id FROM ledger_{'hold' if _is_hold else 'transaction'}")
    movements.declare(Movement(_reason, _reason.capitalize(), record=_every, is_hold=_is_hold))


def make_organization(name: str, **fields) -> Organization:
    """Create an organization with limits too high to matter in a test."""
    organization = organizations.create(
        name=name, email=f"owner@{name.lower()}.example", plan=fields.pop("plan", "ENTERPRISE")
    )
    fields = {"custom_reads_per_minute": 10**6, "custom_writes_per_minute": 10**6} | fields
    Organization.objects.filter(pk=organization.pk).update(**fields)
    organization.refresh_from_db()
    return organization


def actor_for(organization: Organization, environment: str = "SANDBOX", **fields) -> Actor:
    """Return an actor with every permission in the organization."""
    fields = {"permissions": frozenset(permissions.ALL)} | fields
    return Actor(
        organization=organization, environment=environment, type=ActorType.SYSTEM, **fields
    )


def activate_production(organization: Organization) -> None:
    organization.production_activated_at = clock.real_now()
    organization.save()


def make_member(organization: Organization, role: str = Membership.Role.OWNER, **fields) -> User:
    """Create a user who is a member of the organization."""
    fields.setdefault("email", f"{ids.new('usr').lower()}@example.com")
    user = User.objects.create_user(**fields)
    Membership.objects.create(organization=organization, user=user, role=role)
    return user


def browser(user: User, **options) -> DjangoClient:
    """Return a browser in which the user is signed in."""
    client = DjangoClient(**options)
    client.force_login(user)
    return client


def make_key(organization: Organization, environment: str = "SANDBOX", **fields) -> str:
    """Create an API key, by default with every permission, and return its secret."""
    if environment == Environment.PRODUCTION and not organization.production_activated_at:
        activate_production(organization)
    _, secret = api_keys.create(actor=actor_for(organization, environment), **fields)
    return secret


def make_wallet(
    organization: Organization,
    name: str = "Wallet",
    *,
    environment: str = "SANDBOX",
    funds: str = "0",
    **fields,
) -> Wallet:
    actor = actor_for(organization, environment)
    wallet = wallets.create(actor=actor, name=name, **fields)
    if Decimal(funds):
        fund(wallet, funds)
    return wallet


def fund(wallet: Wallet, amount: str) -> None:
    """Fund a sandbox wallet, in calls of at most 10,000."""
    remaining = Decimal(amount)
    actor = actor_for(wallet.organization, wallet.environment)
    while remaining:
        part = min(remaining, wallets.FUND_CALL_LIMIT)
        wallets.fund(wallet, actor=actor, amount=part)
        remaining -= part


def deposit(wallet: Wallet, amount: str) -> None:
    """Bring money into a wallet of either environment."""
    journal.post(
        ids.new("txn"),
        journal.Move(
            debit=chart.treasury(wallet.environment, wallet.currency),
            credit=wallet.account_id,
            amount=Decimal(amount),
            currency=wallet.currency,
        ),
        book=wallet.environment,
        reason="given",
    )


def hold(wallet: Wallet, amount: str) -> str:
    """Place a hold on a wallet, as a card does, and return its ID."""
    id = ids.new("hld")
    fields = {"reason": "card", "reference": "aut_1"}
    holds.place(id, account_id=wallet.account_id, amount=Decimal(amount), **fields)
    return id


def balance_of(wallet: Wallet) -> Decimal:
    return Wallet.objects.get(pk=wallet.pk).account.balance


def available_of(wallet: Wallet) -> Decimal:
    return Wallet.objects.get(pk=wallet.pk).account.available


def assert_books_balance() -> None:
    assert books.differences() == []


def reset_rate_limits() -> None:
    redis.attempt(lambda client: client.flushdb())


class Client:
    """An API client that sends requests to the server in this process."""

    def __init__(self, key: str | None = None, *, ip: str = "127.0.0.1"):
        self.key = key
        self._http = DjangoClient(raise_request_exception=False, REMOTE_ADDR=ip)

    def request(
        self, method: str, path: str, body=None, *, raw: bytes | None = None, meta=None, **headers
    ):
        """Send `body` as JSON, or the bytes `raw`. `meta` overrides the WSGI environment."""
        if self.key:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        if raw is None:
            raw = b"" if body is None else json.dumps(body).encode()
        return self._http.generic(
            method, path, raw, content_type="application/json", headers=headers, **(meta or {})
        )

    def get(self, path: str, **query):
        response = self._http.get(
            path, query, headers={"Authorization": f"Bearer {self.key}"} if self.key else {}
        )
        return response

    def post(self, path: str, body=None, **headers):
        return self.request("POST", path, body, **headers)

    def patch(self, path: str, body=None, **headers):
        return self.request("PATCH", path, body, **headers)

    def delete(self, path: str, **headers):
        return self.request("DELETE", path, **headers)


def in_parallel(count: int, work, *arguments) -> list:
    """Run `work(0) … work(count - 1)` at once, each on its own connection; return the results."""
    start = threading.Barrier(count)

    def run(number: int):
        try:
            start.wait(10)
            return work(number, *arguments)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def error_of(response) -> str:
    """Return the code of an error response."""
    return response.json()["error"]["code"]


def events_of(organization: Organization, type: str, environment: str = "SANDBOX") -> list[Event]:
    """Return the events of one type that an organization may see, oldest first."""
    found = Event.objects.filter(organization=organization, environment=environment, type=type)
    return list(found.order_by("pk"))


def everything() -> dict[str, str]:
    """Return a digest of each of our tables, equal if nothing changed but `last_used_at`."""
    tables = [m._meta.db_table for app in OUR_APPS for m in apps.get_app_config(app).get_models()]
    digest = "md5(coalesce(string_agg(r, '|' ORDER BY r), ''))"
    rows = "SELECT (to_jsonb(t) - 'last_used_at')::text AS r FROM"
    queries = [f"SELECT '{name}', {digest} FROM ({rows} {name} t) rows" for name in tables]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(queries))
        return dict(cursor.fetchall())


class Text:
    """Equals every string that matches a pattern, such as an ID in an expected response."""

    def __init__(self, pattern: str):
        self.pattern = pattern

    def __eq__(self, other):
        return isinstance(other, str) and re.fullmatch(self.pattern, other, re.ASCII) is not None

    __hash__ = None

    def __repr__(self):
        return f"Text({self.pattern!r})"


A_TIME = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


def an_id(prefix: str) -> Text:
    return Text(prefix + "_[0-7][0-9A-HJKMNP-TV-Z]{25}")


def unknown_id(prefix: str) -> str:
    """Return a well-formed ID of no object."""
    return ids.new(prefix)
