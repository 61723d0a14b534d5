"""Every endpoint of the API, with a request that it accepts.

Rules for all endpoints are tested in tests/accounts/organizations/test_access.py and
tests/flows/test_bad_input.py, where a new endpoint that is missing here fails.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from accounts.organizations.models import ApiKey, Organization
from accounts.payments.services import payments
from links.payment_links.services import payment_links
from tests import approving, world
from tests.accounts import rails
from wallgent.api.views import ApiView


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A method and a path. `{wallet}` and similar names are keys of a `scene`."""

    method: str
    path: str
    permission: str  # "" needs no key: the path holds a secret
    body: dict[str, Any] = field(default_factory=dict)
    subject: str = ""  # the key of the object, in path or body, whose access is checked
    missing: str = "NOT_FOUND"  # the error code when it does not exist

    def __str__(self):
        return f"{self.method} {self.path}"

    @property
    def is_public(self) -> bool:
        return not self.permission

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def request(self, client: world.Client, ids: dict[str, str], body=None, **options):
        """Send the request. `body` replaces the accepted one."""
        if not self.writes:
            return client.request(self.method, self.url(ids), **options)
        content = self.content(ids) if body is None else body
        return client.request(self.method, self.url(ids), content, **options)

    def url(self, ids: dict[str, str]) -> str:
        return _filled(self.path, ids)

    def content(self, ids: dict[str, str]) -> dict:
        return _filled(self.body, ids)


def _filled(template, ids):
    if isinstance(template, dict):
        return {key: _filled(value, ids) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, ids) for value in template]
    return template.format(**ids) if isinstance(template, str) else template


def scene(organization: Organization, environment: str = "SANDBOX") -> dict[str, str]:
    """Create one object of each kind in the organization, and return their IDs by name."""
    names = ("Wallet", "Savings", "Empty")
    wallet, savings, empty = (
        world.make_wallet(organization, name, environment=environment) for name in names
    )
    world.deposit(wallet, "1000")
    actor = world.actor_for(organization, environment)
    payment_request = payments.PaymentRequest(sender=wallet, recipient=savings, amount=Decimal(10))
    payment = payments.create(payment_request, actor=actor)
    world.make_key(organization, environment, name="Subject")
    key = ApiKey.objects.get(organization=organization, environment=environment, name="Subject")
    link = payment_links.create(actor=actor, wallet=wallet, amount=Decimal(5), direction="SEND")
    approval = approving.ask(wallet, savings, "5")
    return {
        "wallet": wallet.id,
        "savings": savings.id,
        "empty": empty.id,
        "payment": payment.id,
        "key": key.id,
        "link": link.id,
        "slug": link.slug,
        "approval": approval.id,
        "transfer": rails.unsent(wallet).id,
    }


_WALLET = {"subject": "wallet", "missing": "WALLET_NOT_FOUND"}
_PAY = {"from": "{wallet}", "to": "{savings}", "amount": "5"}
_LINK = {"subject": "link", "missing": "PAYMENT_LINK_NOT_FOUND"}
_TRANSFER = {"subject": "transfer", "missing": "TRANSFER_NOT_FOUND"}
_CLAIM = {"method": "wallet", "destination": {"type": "WALLET", "walletId": "{savings}"}}
_MOVE = {"fromWalletId": "{wallet}", "toWalletId": "{savings}", "amount": "5"}
_USDC = {"address": "0x52908400098527886E0F7030069857D2E4169EE7", "amount": "5"}

ENDPOINTS = [
    Endpoint(method=method, path=f"/v1{path}", permission=permission, **more)
    for method, path, permission, more in (
        ("GET", "/organizations/me", "organizations:read", {}),
        ("PATCH", "/organizations/me", "organizations:write", {"body": {"name": "New"}}),
        ("GET", "/api-keys", "organizations:read", {}),
        ("POST", "/api-keys", "organizations:write", {"body": {"name": "CI"}}),
        ("GET", "/api-keys/{key}", "organizations:read", {"subject": "key"}),
        (
            "PATCH",
            "/api-keys/{key}",
            "organizations:write",
            {"subject": "key", "body": {"name": "New"}},
        ),
        ("DELETE", "/api-keys/{key}", "organizations:write", {"subject": "key"}),
        ("GET", "/wallets", "wallets:read", {}),
        ("POST", "/wallets", "wallets:write", {"body": {"name": "New"}}),
        ("GET", "/wallets/{wallet}", "wallets:read", _WALLET),
        ("PATCH", "/wallets/{wallet}", "wallets:write", _WALLET | {"body": {"name": "New"}}),
        ("GET", "/wallets/{wallet}/balance", "wallets:read", _WALLET),
        ("GET", "/wallets/{wallet}/transactions", "wallets:read", _WALLET),
        ("GET", "/wallets/{wallet}/holds", "wallets:read", _WALLET),
        ("POST", "/wallets/{wallet}/fund", "wallets:write", _WALLET | {"body": {"amount": "5"}}),
        ("POST", "/wallets/{wallet}/freeze", "wallets:write", _WALLET),
        ("POST", "/wallets/{wallet}/unfreeze", "wallets:write", _WALLET),
        (
            "POST",
            "/wallets/{empty}/close",
            "wallets:write",
            {"subject": "empty", "missing": "WALLET_NOT_FOUND"},
        ),
        (
            "POST",
            "/sandbox/fund",
            "wallets:write",
            _WALLET | {"body": {"walletId": "{wallet}", "amount": "5"}},
        ),
        ("POST", "/sandbox/clock/advance", "organizations:write", {"body": {"days": 1}}),
        ("POST", "/sandbox/usdc-payments", "payments:write", {"body": _USDC}),
        ("GET", "/payments", "payments:read", {}),
        ("POST", "/payments", "payments:write", _WALLET | {"body": _PAY}),
        ("POST", "/payments/batch", "payments:write", {"body": {"payments": [_PAY]}}),
        ("GET", "/payments/{payment}", "payments:read", {"subject": "payment"}),
        ("POST", "/payments/{payment}/reverse", "payments:write", {"subject": "payment"}),
        ("GET", "/transfers", "payments:read", {}),
        ("GET", "/transfers/{transfer}", "payments:read", _TRANSFER),
        ("POST", "/transfers/internal", "payments:write", _WALLET | {"body": _MOVE}),
        ("GET", "/approvals", "payments:read", {}),
        ("GET", "/approvals/{approval}", "payments:read", {"subject": "approval"}),
        ("POST", "/approvals/{approval}/approve", "payments:write", {"subject": "approval"}),
        (
            "POST",
            "/approvals/{approval}/reject",
            "payments:write",
            {"subject": "approval", "body": {"reason": "No"}},
        ),
        ("GET", "/payment-links", "payments:read", {}),
        (
            "POST",
            "/payment-links",
            "payments:write",
            _WALLET | {"body": {"walletId": "{wallet}", "amount": "5"}},
        ),
        ("GET", "/payment-links/{link}", "payments:read", _LINK),
        ("PATCH", "/payment-links/{link}", "payments:write", _LINK),
        ("GET", "/payment-links/claim/{slug}", "", {}),
        ("POST", "/payment-links/claim/{slug}/claim", "", {"body": _CLAIM}),
    )
]

WRITES = [endpoint for endpoint in ENDPOINTS if endpoint.writes]
READS = [endpoint for endpoint in ENDPOINTS if not endpoint.writes]
_COLLECTIONS = (
    *("/wallets", "/payments", "/api-keys", "/holds", "/transactions", "/payment-links"),
    *("/approvals", "/transfers"),
)
LISTS = [endpoint for endpoint in READS if endpoint.path.endswith(_COLLECTIONS)]
KEYED = [endpoint for endpoint in ENDPOINTS if not endpoint.is_public]
PUBLIC = [endpoint for endpoint in ENDPOINTS if endpoint.is_public]
WITH_SUBJECT = [endpoint for endpoint in ENDPOINTS if endpoint.subject]


def without_names(path: str) -> str:
    """Return a path, of this table or of Django, with each parameter as {}."""
    return re.sub(r"<\w+:\w+>|{\w+}", "{}", path)


def served() -> set[tuple[str, str]]:
    """Return the methods and paths (each parameter as {}) of all API views."""
    found = set()

    def walk(patterns, prefix):
        for entry in patterns:
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                walk(entry.url_patterns, path)
            elif isinstance(entry, URLPattern):
                view = getattr(entry.callback, "cls", None)
                if view and issubclass(view, ApiView):
                    plain = without_names(path)
                    found.update((method, plain) for method in view.permissions)

    walk(get_resolver().url_patterns, "/")
    return found
