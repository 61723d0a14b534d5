"""Every endpoint of the API as it is declared, with a request that it accepts.

Rules for all endpoints are tested in tests/accounts/organizations/test_access.py and
tests/flows/test_bad_input.py.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.organizations.models import ApiKey, Organization
from accounts.payments.services import payments
from links.payment_links.services import payment_links
from tests import approving, world
from tests.accounts import rails
from wallgent import urls  # noqa: F401 - imports the modules that declare operations
from wallgent.api import operations
from wallgent.api.operations import Operation
from wallgent.api.pagination import Page


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A method and a path. `{wallet}` and similar names are keys of a `scene`."""

    method: str
    path: str
    permission: str  # "" needs no key: the path holds a secret
    body: dict[str, Any]
    subject: str  # the key of the object, in path or body, whose access is checked
    missing: str  # the error code when it does not exist

    @classmethod
    def of(cls, operation: Operation) -> "Endpoint":
        """Return the endpoint of an operation, with its example as the body."""
        path, body = _plain(f"/{operation.path}"), _plain(operation.example)
        if path.endswith("/close"):
            path = path.replace("{wallet}", "{empty}")  # only an empty wallet can be closed
        subject, missing = "", ""
        for loader in operation.loaders:
            sent = [body.get(name) for name in _names(operation.body, loader.source)]
            named = next((value for value in [*re.findall("{.*}", path), *sent] if value), "")
            if named:
                subject, missing = named.strip("{}"), loader.missing.code
        return cls(
            method=operation.method,
            path=path,
            permission=operation.permission,
            body=body,
            subject=subject,
            missing=missing,
        )

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


def _plain(template):
    """Replace the `{wallet_id}` of a declaration by `{wallet}`."""
    if isinstance(template, dict):
        return {key: _plain(value) for key, value in template.items()}
    if isinstance(template, list):
        return [_plain(value) for value in template]
    return template.replace("_id}", "}") if isinstance(template, str) else template


def _names(schema, source: str) -> list[str]:
    field = schema and schema.model_fields.get(source)
    if field is None:
        return []
    return schema._spellings.get(source, [field.alias])


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


ENDPOINTS = [Endpoint.of(operation) for operation in operations.declared()]
WRITES = [endpoint for endpoint in ENDPOINTS if endpoint.writes]
READS = [endpoint for endpoint in ENDPOINTS if not endpoint.writes]
LISTS = [
    Endpoint.of(operation)
    for operation in operations.declared()
    if not operation.is_write and issubclass(operation.answers[200], Page)
]
KEYED = [endpoint for endpoint in ENDPOINTS if not endpoint.is_public]
PUBLIC = [endpoint for endpoint in ENDPOINTS if endpoint.is_public]
WITH_SUBJECT = [endpoint for endpoint in ENDPOINTS if endpoint.subject]
