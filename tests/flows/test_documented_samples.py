"""Every sample of the public documents, as the request that a program sends for it.

Sources: S0 customers and payment links guide, S1 payment links guide, S2 TypeScript SDK reference,
S4 cards guide, SDK Python client, NPM readme of the TypeScript client, DOC public docs pages. Only
placeholder ids are filled in, and dates that have passed are moved ahead. A new capability takes
its samples out of NOT_BUILT and into SAMPLES, or it fails here.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.urls import Resolver404, resolve

from accounts.organizations.models import LinkDirection, Organization
from tests import approving
from tests.accounts import rails
from tests.world import Client, Text, an_id, balance_of, error_of, fund, hold, make_key, make_wallet

ORG, LIVE, PAYER, PUBLIC = "a key", "a production key", "the payer's key", "no key"


@dataclass(frozen=True, kw_only=True)
class Sample:
    source: str
    call: str  # as the document writes it
    request: tuple[str, str]
    body: dict[str, Any] | None = None
    by: str = ORG
    status: int = 200
    reads: dict[str, Any] = field(default_factory=dict)  # what the document reads of the answer
    default_direction: str = LinkDirection.RECEIVE  # of the organization's links

    def __str__(self):
        return f"{self.source} {self.call}"


_LIST = {"data": list, "cursor": None, "hasMore": False}
_WALLET = {
    **{"id": an_id("wal"), "name": str, "environment": "SANDBOX", "createdAt": str},
    **{"balance": Text(r"\d+\.\d\d"), "currency": "USD", "agentName": None},
}
_PAYMENT = {"id": an_id("txn"), "amount": str, "status": "POSTED", "state": "POSTED"}
_KEY = {
    **{"id": an_id("key"), "name": str, "keyPrefix": str, "permissions": list},
    **{"environment": "SANDBOX", "status": "ACTIVE"},
}
_TRANSFER = {
    **{"id": "{transfer}", "walletId": "{wallet}", "amount": "7.00", "currency": "USD"},
    **{"status": "PENDING", "railType": "ACH", "rail": "ACH", "direction": "DEPOSIT"},
}
_LINK = {"id": an_id("lnk"), "slug": str, "url": Text("https?://.+/pay/.+"), "status": "ACTIVE"}
_CANCELLED = {"id": "{link}", "status": "CANCELLED"}
_DETAILS = {"amount": "25.00", "currency": "USD", "description": None, "status": "ACTIVE"}
_APPROVAL = {"id": "{approval}", "status": "PENDING", "transactionDetails": dict, "amount": "25.00"}
_APPROVED = {"status": "APPROVED", "transactionId": an_id("txn")}
_REJECTED = {"status": "REJECTED", "transactionId": None}
_REASON = {"reason": "Amount exceeds monthly budget review threshold"}
_MOVE = {
    **{"fromWalletId": "{wallet}", "toWalletId": "{savings}"},
    **{"amount": "250.00", "description": "Move to savings"},
}
_MOVED = {
    **{"transactionId": an_id("txn"), "fromWalletId": "{wallet}", "toWalletId": "{savings}"},
    **{"amount": "250.00", "description": "Move to savings"},
}
_S0_ACH = {
    "method": "ach",
    "destination": {
        **{"type": "ACH", "routingNumber": "021000021", "accountNumber": "123456789"},
    },
}
_S0_USDC = {"method": "usdc", "destination": {"type": "USDC", "address": "{address}"}}
_TO_WALLET = {"method": "wallet", "destination": {"type": "WALLET", "walletId": "{shop}"}}
_S1_ACH = {
    "method": "ach",
    "destination": {
        **{"type": "ACH", "routingNumber": "021000021", "accountNumber": "1234567890"},
        "accountName": "Acme Corp",
    },
    "recipientEmail": "payer@example.com",
}
_S1_USDC = {
    "method": "usdc",
    "destination": {"type": "USDC", "address": "{address}", "chain": "ethereum"},
}
_CLAIM = ("POST", "/v1/payment-links/claim/{slug}/claim")
_CLAIMED = {"status": "CLAIMED", "transferId": an_id("xfr"), "currency": "USD", "amount": "25.00"}
_SETTLED = {"status": "SETTLED", "transactionId": an_id("txn")}
_AWAITED = {"status": "AWAITING_PAYMENT", "deposit": dict, "currency": "USD"}
_SEND = {"default_direction": LinkDirection.SEND}


def _samples(source: str, *rows) -> list[Sample]:
    """Rows of a call, a method with its path, a body, a status, what is read, and more."""
    found = []
    for call, request, body, status, reads, *more in rows:
        method, path = request.split(" ")
        said = {"request": (method, path), "body": body, "status": status, "reads": reads}
        found.append(Sample(source=source, call=call, **said, **(more[0] if more else {})))
    return found


SAMPLES = [
    *_samples(
        "S0",
        (
            "paymentLinks.create",
            "POST /v1/payment-links",
            {
                **{"walletId": "{wallet}", "amount": "250.00", "expiresAt": "2099-03-01T00:00:00Z"},
                "description": "Freelance payment for design work",
            },
            201,
            _LINK,
        ),
        (
            "paymentLinks.create of an organization that sends",
            "POST /v1/payment-links",
            {
                **{"walletId": "{wallet}", "amount": "250.00", "expiresAt": "2099-03-01T00:00:00Z"},
                "description": "Freelance payment for design work",
            },
            201,
            _LINK | {"direction": "SEND"},
            _SEND,
        ),
        (
            "restricted",
            "POST /v1/payment-links",
            {
                **{"walletId": "{wallet}", "amount": "250.00"},
                "recipientRestrictions": {"emails": ["jane@acme.com"], "walletIds": ["{shop}"]},
            },
            201,
            _LINK,
        ),
        (
            "list",
            "GET /v1/payment-links?walletId={wallet}&status=ACTIVE&limit=20",
            None,
            200,
            _LIST,
        ),
        ("cancel", "PATCH /v1/payment-links/{link}", None, 200, _CANCELLED),
        ("details", "GET /v1/payment-links/claim/{slug}", None, 200, _DETAILS, {"by": PUBLIC}),
        ("claim ach, sent", " ".join(_CLAIM), _S0_ACH, 200, _CLAIMED, {"by": PUBLIC} | _SEND),
        ("claim usdc, sent", " ".join(_CLAIM), _S0_USDC, 200, _CLAIMED, {"by": PUBLIC} | _SEND),
        ("claim wallet, sent", " ".join(_CLAIM), _TO_WALLET, 200, _SETTLED, {"by": PUBLIC} | _SEND),
        ("claim ach, received", " ".join(_CLAIM), _S0_ACH, 200, _CLAIMED, {"by": PUBLIC}),
        ("claim usdc, received", " ".join(_CLAIM), _S0_USDC, 200, _AWAITED, {"by": PUBLIC}),
        (
            "claim wallet, received, without a key",
            " ".join(_CLAIM),
            _TO_WALLET,
            202,
            {"status": "PENDING_APPROVAL", "transactionId": None},
            {"by": PUBLIC},
        ),
    ),
    *_samples(
        "S1",
        (
            "paymentLinks.create",
            "POST /v1/payment-links",
            {
                **{"walletId": "{wallet}", "amount": "150.00", "currency": "USD"},
                "description": "Payment for data analysis services",
                "expiresAt": "2099-04-01T00:00:00Z",
            },
            201,
            _LINK | {"direction": "RECEIVE"},
        ),
        (
            "paymentLinks.list",
            "GET /v1/payment-links?walletId={wallet}&status=ACTIVE&limit=20",
            None,
            200,
            _LIST,
        ),
        ("paymentLinks.cancel", "PATCH /v1/payment-links/{link}", None, 200, _CANCELLED),
        (
            "paymentLinks.getBySlug",
            "GET /v1/payment-links/claim/{slug}",
            None,
            200,
            _DETAILS,
            {"by": PUBLIC},
        ),
        ("paymentLinks.claim ach", " ".join(_CLAIM), _S1_ACH, 200, _CLAIMED, {"by": PUBLIC}),
        ("paymentLinks.claim usdc", " ".join(_CLAIM), _S1_USDC, 200, _AWAITED, {"by": PUBLIC}),
        ("paymentLinks.claim wallet", " ".join(_CLAIM), _TO_WALLET, 200, _SETTLED, {"by": PAYER}),
        ("claim ach, sent", " ".join(_CLAIM), _S1_ACH, 200, _CLAIMED, {"by": PUBLIC} | _SEND),
        ("claim usdc, sent", " ".join(_CLAIM), _S1_USDC, 200, _CLAIMED, {"by": PUBLIC} | _SEND),
        ("claim wallet, sent", " ".join(_CLAIM), _TO_WALLET, 200, _SETTLED, {"by": PUBLIC} | _SEND),
    ),
    *_samples(
        "S2",
        (
            "wallets.create",
            "POST /v1/wallets",
            {
                **{"name": "Research Agent", "agentName": "research-bot"},
                "metadata": {"department": "engineering"},
            },
            201,
            {"id": an_id("wal"), "name": "Research Agent", "agentName": "research-bot"},
        ),
        ("wallets.get", "GET /v1/wallets/{wallet}", None, 200, _WALLET | {"id": "{wallet}"}),
        (
            "wallets.getBalance",
            "GET /v1/wallets/{fresh}/balance",
            None,
            200,
            {"available": "250.00", "currency": "USD"},
        ),
        (
            "wallets.fund",
            "POST /v1/wallets/{fresh}/fund",
            {"amount": "1000.00"},
            201,
            {"newBalance": "1250.00", "transactionId": an_id("txn")},
        ),
        ("wallets.list", "GET /v1/wallets", None, 200, _LIST),
        (
            "payments.send",
            "POST /v1/payments",
            {
                **{"fromWalletId": "{wallet}", "toWalletId": "{shop}", "amount": "50.00"},
                "description": "Monthly SaaS subscription",
                "idempotencyKey": "pay_unique_key_123",
            },
            201,
            _PAYMENT | {"amount": "50.00", "fee": "0.25"},
        ),
        ("payments.get", "GET /v1/payments/{payment}", None, 200, _PAYMENT | {"id": "{payment}"}),
        ("payments.list", "GET /v1/payments", None, 200, _LIST),
        ("transfers.internal", "POST /v1/transfers/internal", _MOVE, 201, _MOVED),
        (
            "transfers.list",
            "GET /v1/transfers?walletId={wallet}&direction=DEPOSIT&limit=20",
            None,
            200,
            _LIST | {"transfers": list, "nextCursor": None},
        ),
        ("transfers.get", "GET /v1/transfers/{transfer}", None, 200, _TRANSFER),
        (
            "paymentLinks.create",
            "POST /v1/payment-links",
            {
                **{"walletId": "{wallet}", "amount": "250.00"},
                **{"description": "Freelance payment", "expiresAt": "2099-03-01T00:00:00Z"},
            },
            201,
            _LINK,
        ),
        (
            "paymentLinks.list",
            "GET /v1/payment-links?walletId={wallet}&status=ACTIVE",
            None,
            200,
            _LIST,
        ),
        ("paymentLinks.cancel", "PATCH /v1/payment-links/{link_as_pyl}", None, 200, _CANCELLED),
        (
            "apiKeys.create",
            "POST /v1/api-keys",
            {
                **{"name": "CI Deploy Key", "permissions": ["wallets:read", "payments:write"]},
                "environment": "PRODUCTION",
            },
            201,
            {"secret": Text("wg_live_.{43}"), "id": an_id("key")},
            {"by": LIVE},
        ),
        ("apiKeys.list", "GET /v1/api-keys?limit=25", None, 200, _LIST),
        ("apiKeys.revoke", "DELETE /v1/api-keys/{key}", None, 200, {"id": "{key}"}),
        ("approvals.list", "GET /v1/approvals?status=PENDING", None, 200, _LIST),
        ("approvals.retrieve", "GET /v1/approvals/{approval_as_del}", None, 200, _APPROVAL),
        (
            "approvals.approve",
            "POST /v1/approvals/{approval_as_del}/approve",
            None,
            200,
            _APPROVED,
        ),
        (
            "approvals.reject",
            "POST /v1/approvals/{approval_as_del}/reject",
            _REASON,
            200,
            _REJECTED,
        ),
    ),
    *_samples(
        "NPM",
        (
            "wallets.create in USDC",
            "POST /v1/wallets",
            {"name": "Coins", "currency": "USDC"},
            201,
            {"id": an_id("wal"), "currency": "USDC"},
        ),
        ("wallets.retrieve", "GET /v1/wallets/{wallet}", None, 200, _WALLET),
        (
            "wallets.fund with a number",
            "POST /v1/wallets/{fresh}/fund",
            {"amount": 100},
            201,
            {"amount": "100.00", "newBalance": "350.00"},
        ),
        (
            "wallets.listTransactions",
            "GET /v1/wallets/{wallet}/transactions?limit=20",
            None,
            200,
            _LIST,
        ),
        ("payments.retrieve", "GET /v1/payments/{payment}", None, 200, _PAYMENT),
    ),
    *_samples(
        "DOC(rest-api)",
        (
            "a payment with a number",
            "POST /v1/payments",
            {"from": "{wallet}", "to": "{shop}", "amount": Decimal("25.00")},
            201,
            _PAYMENT | {"amount": "25.00", "from": "{wallet}", "to": "{shop}"},
        ),
        (
            "a balance",
            "GET /v1/wallets/{fresh}/balance",
            None,
            200,
            {"walletId": "{fresh}", "balance": "250.00", "pending": "0.00", "currency": "USD"},
        ),
    ),
    *_samples(
        "SDK",
        ("wallets.create", "POST /v1/wallets", {"name": "A"}, 201, _WALLET),
        ("wallets.list", "GET /v1/wallets?limit=20", None, 200, _LIST),
        ("wallets.retrieve", "GET /v1/wallets/{wallet}", None, 200, _WALLET),
        ("wallets.update", "PATCH /v1/wallets/{wallet}", {"name": "B"}, 200, _WALLET),
        ("wallets.update nothing", "PATCH /v1/wallets/{wallet}", {}, 200, _WALLET),
        (
            "wallets.get_balance",
            "GET /v1/wallets/{fresh}/balance",
            None,
            200,
            {"walletId": "{fresh}", "available": "250.00", "pending": "0.00"},
        ),
        (
            "wallets.fund",
            "POST /v1/wallets/{fresh}/fund",
            {"amount": "10.5", "idempotencyKey": "f"},
            201,
            {"walletId": "{fresh}", "amount": "10.50", "newBalance": "260.50"},
        ),
        ("wallets.list_transactions", "GET /v1/wallets/{wallet}/transactions", None, 200, _LIST),
        ("wallets.list_holds", "GET /v1/wallets/{wallet}/holds?status=PENDING", None, 200, _LIST),
        (
            "payments.send",
            "POST /v1/payments",
            {"from": "{wallet}", "to": "{shop}", "amount": "5", "description": "Tea"},
            201,
            _PAYMENT,
        ),
        (
            "payments.list",
            "GET /v1/payments?walletId={wallet}&status=POSTED&limit=5",
            None,
            200,
            _LIST,
        ),
        ("payments.retrieve", "GET /v1/payments/{payment}", None, 200, _PAYMENT),
        (
            "payments.reverse",
            "POST /v1/payments/{payment}/reverse",
            {"reason": "Twice"},
            200,
            {"id": "{payment}", "amount": str, "status": "REVERSED"},
        ),
        (
            "payments.batch",
            "POST /v1/payments/batch",
            {"payments": [{"from": "{wallet}", "to": "{shop}", "amount": "5"}]},
            200,
            {"batchId": an_id("bat"), "results": list, "summary": dict},
        ),
        (
            "api_keys.create",
            "POST /v1/api-keys",
            {"name": "CI", "permissions": ["wallets:read"]},
            201,
            _KEY | {"secret": Text("wg_test_.{43}")},
        ),
        ("api_keys.list", "GET /v1/api-keys?limit=20", None, 200, {"data": list}),
        ("api_keys.retrieve", "GET /v1/api-keys/{key}", None, 200, _KEY),
        ("api_keys.update", "PATCH /v1/api-keys/{key}", {"name": "New"}, 200, _KEY),
        ("api_keys.delete", "DELETE /v1/api-keys/{key}", None, 200, {"id": "{key}"}),
        (
            "transfers.list",
            "GET /v1/transfers?status=PENDING&limit=20",
            None,
            200,
            {"transfers": list, "nextCursor": None},
        ),
        ("transfers.retrieve", "GET /v1/transfers/{transfer}", None, 200, _TRANSFER),
        ("transfers.internal", "POST /v1/transfers/internal", _MOVE, 201, _MOVED),
        (
            "organizations.retrieve",
            "GET /v1/organizations/me",
            None,
            200,
            {"id": an_id("org"), "name": "Acme", "email": str, "members": list},
        ),
        (
            "organizations.update",
            "PATCH /v1/organizations/me",
            {"name": "New"},
            200,
            {"ok": True, "name": "New"},
        ),
        (
            "payment_links.create",
            "POST /v1/payment-links",
            {"wallet_id": "{wallet}", "amount": "5", "max_uses": 3},
            201,
            _LINK | {"maxUses": 3},
        ),
        ("payment_links.list", "GET /v1/payment-links?status=ACTIVE", None, 200, {"data": list}),
        ("payment_links.cancel", "PATCH /v1/payment-links/{link_as_plink}", None, 200, _CANCELLED),
        (
            "approvals.list",
            "GET /v1/approvals?walletId={wallet}&status=PENDING&limit=5",
            None,
            200,
            _LIST,
        ),
        ("approvals.retrieve", "GET /v1/approvals/{approval}", None, 200, _APPROVAL),
        ("approvals.approve", "POST /v1/approvals/{approval}/approve", None, 200, _APPROVED),
        ("approvals.reject", "POST /v1/approvals/{approval}/reject", None, 200, _REJECTED),
        (
            "sandbox.fund",
            "POST /v1/sandbox/fund",
            {"walletId": "{fresh}", "amount": 1},
            201,
            {"newBalance": "251.00"},
        ),
    ),
]

_CUSTOMERS = """
POST /v1/customers
GET /v1/customers
GET /v1/customers/x
PATCH /v1/customers/x
POST /v1/customers/x/payment-methods/setup
GET /v1/customers/x/payment-methods
DELETE /v1/customers/x/payment-methods/y
POST /v1/customers/x/payment-update-url
"""
_CARDS = """
POST /v1/cards/cardholders
POST /v1/cards
GET /v1/cards
GET /v1/cards/x
GET /v1/cards/x/details
PATCH /v1/cards/x
DELETE /v1/cards/x
GET /v1/cards/x/authorizations
"""
# What the documents show and this server does not have yet, by its source.
NOT_BUILT = {
    "S0": _CUSTOMERS,
    "S2": f"""
        POST /v1/agents
        GET /v1/agents
        GET /v1/agents/x
        POST /v1/agents/x/adjust-budget
        POST /v1/agents/x/pause
        POST /v1/agents/x/resume
        POST /v1/agents/x/rotate-key
        DELETE /v1/agents/x
        POST /v1/network/pay
        GET /v1/network/directory
        POST /v1/wallets/x/policies
        GET /v1/wallets/x/policies
        PATCH /v1/policies/x
        DELETE /v1/policies/x
        POST /v1/webhooks
        GET /v1/webhooks
        PATCH /v1/webhooks/x
        DELETE /v1/webhooks/x
        POST /v1/transfers/deposit
        POST /v1/transfers/withdraw
        POST /v1/invoices
        GET /v1/invoices
        POST /v1/invoices/x/finalize
        POST /v1/invoices/charge
        POST /v1/invoices/x/void
        POST /v1/invoices/x/refund
        GET /v1/delegations
        POST /v1/delegations
        DELETE /v1/delegations/x
        GET /v1/audit-logs
        GET /v1/merchant/settlement/overview
        GET /v1/merchant/payments
        GET /v1/merchant/analytics
        {_CUSTOMERS}{_CARDS}
    """,
    "S3": """
        POST /noderails/customers
        GET /noderails/customers
        GET /noderails/customers/x
        PUT /noderails/customers/x
        PATCH /noderails/customers/x
        POST /noderails/customers/x/wallets
        DELETE /noderails/customers/x/wallets/y
    """,
    "S4": _CARDS,
    "SDK": """
        GET /v1/wallets/x/policies/y
        PATCH /v1/wallets/x/policies/y
        DELETE /v1/wallets/x/policies/y
        GET /v1/webhooks/x
        POST /v1/webhooks/x/test
        GET /v1/webhooks/dlq
        POST /v1/webhooks/dlq/x/retry
        POST /v1/webhooks/dlq/x/discard
        GET /v1/agents/templates
        POST /v1/agents/from-template
        POST /v1/transfers/x/cancel
        POST /v1/bank-accounts
        GET /v1/bank-accounts
        GET /v1/bank-accounts/x
        DELETE /v1/bank-accounts/x
        GET /v1/kyb
        POST /v1/kyb/submit
        POST /v1/kyb/upload-url
        POST /v1/kyb/confirm-upload
        GET /v1/activation/status
        POST /v1/activation/accept-tos
        POST /v1/activation/activate-production
        GET /v1/risk-events
        POST /v1/risk-events/x/resolve
        GET /v1/invoices/x
        GET /v1/analytics/spending
        GET /v1/billing
        POST /v1/billing/subscribe
        POST /v1/billing/cancel
        POST /v1/billing/change-plan
        POST /v1/billing/change-payment-method
        POST /v1/billing/retry-payment
        POST /v1/billing/setup-intent
        POST /v1/billing/payment-method
        DELETE /v1/billing/payment-method
        POST /v1/billing/checkout
        POST /v1/billing/portal
        GET /v1/billing/invoices
        GET /v1/billing/invoices/x
        POST /v1/disputes
        GET /v1/disputes
        GET /v1/disputes/x
        POST /v1/disputes/x/respond
        POST /v1/disputes/x/resolve
        POST /v1/admin/reconciliation
        GET /v1/agent-studio/usage
        POST /v1/agent-studio/builder/chat
        POST /v1/agent-studio/builder/chat/stream
        GET /v1/agent-studio/templates
        GET /v1/agent-studio/integrations/profiles
        POST /v1/agent-studio/integrations/test
        POST /v1/agent-studio/definitions
        POST /v1/agent-studio/definitions/from-template
        GET /v1/agent-studio/definitions
        GET /v1/agent-studio/definitions/x
        PATCH /v1/agent-studio/definitions/x
        DELETE /v1/agent-studio/definitions/x
        POST /v1/agent-studio/definitions/x/activate
        POST /v1/agent-studio/definitions/x/pause
        POST /v1/agent-studio/definitions/x/run
        GET /v1/agent-studio/executions
        GET /v1/agent-studio/executions/x
    """,
    "DOC(invoices)": """
        POST /v1/invoices/x/checkout
        POST /v1/invoices/pay/x/usdc
    """,
}
_LACKING = [
    (source, *line.split())
    for source, lines in NOT_BUILT.items()
    for line in lines.splitlines()
    if line.strip()
]


@pytest.fixture
def ids(api, acme, wallet, savings, shop):
    fund(wallet, "1000")
    fund(shop, "100")
    hold(wallet, "1")
    order = {"from": wallet.id, "to": savings.id, "amount": "10"}
    found = {
        "wallet": wallet.id,
        "fresh": make_wallet(acme, "Fresh", funds="250").id,
        "savings": savings.id,
        "shop": shop.id,
        "payment": api.post("/v1/payments", order).json()["id"],
        "key": api.post("/v1/api-keys", {"name": "Old"}).json()["id"],
        "approval": approving.ask(wallet, shop).id,
        "transfer": rails.deposit(wallet, "7").id,
        "address": "0x52908400098527886E0F7030069857D2E4169EE7",
    }
    return found | {"approval_as_del": found["approval"].replace("apr_", "del_")}


@pytest.fixture
def link(api, ids):
    """Makes a link as an organization does that says nothing of its direction."""

    def link(direction: str) -> dict[str, str]:
        Organization.objects.update(default_link_direction=direction)
        made = api.post("/v1/payment-links", {"walletId": ids["wallet"], "amount": "25.00"}).json()
        names = {"link": made["id"], "slug": made["slug"]}
        for prefix in ("pyl", "plink"):
            names[f"link_as_{prefix}"] = made["id"].replace("lnk_", f"{prefix}_")
        return names

    return link


def filled(template, ids):
    if isinstance(template, dict):
        return {key: filled(value, ids) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, ids) for value in template]
    if isinstance(template, Decimal):
        return float(template)
    return template.format(**ids) if isinstance(template, str) else template


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_sample(sample, api, stranger, request, ids, link):
    ids |= link(sample.default_direction)
    clients = {ORG: api, PAYER: stranger, PUBLIC: Client()}
    client = clients.get(sample.by) or request.getfixturevalue("live_api")
    method, path = sample.request

    response = client.request(method, path.format(**ids), filled(sample.body, ids))

    assert response.status_code == sample.status, response.content
    answer = response.json()
    for key, expected in sample.reads.items():
        if isinstance(expected, type):
            assert isinstance(answer[key], expected), key
        else:
            assert answer[key] == filled(expected, ids), key


def is_served(method: str, path: str) -> bool:
    try:
        view = resolve(path).func
    except Resolver404:
        return False
    return method in getattr(getattr(view, "cls", None), "operations", ())


@pytest.mark.parametrize(("source", "method", "path"), _LACKING)
def test_what_is_not_built_has_no_sample_and_is_not_there(source, method, path, api):
    assert not is_served(method, path), f"move it to SAMPLES, with what {source} shows"
    assert api.request(method, path).status_code in (404, 405)


def test_every_endpoint_of_a_sample_is_served(ids, link):
    ids |= link(LinkDirection.RECEIVE)
    for sample in SAMPLES:
        method, path = sample.request
        assert is_served(method, path.format(**ids).partition("?")[0]), sample


class TestClientBehaviour:
    def test_a_production_key_is_made_with_a_production_key(self, live_api):
        body = {
            "name": "CI Deploy Key",
            "permissions": ["wallets:read", "payments:write"],
            "environment": "PRODUCTION",
        }

        key = live_api.post("/v1/api-keys", body).json()

        assert key["secret"].startswith("wg_live_")
        assert key["id"].startswith("key_")

    def test_a_listed_approval_has_what_the_loop_prints(self, api, wallet, shop):
        approving.ask(wallet, shop)

        (approval,) = api.get("/v1/approvals", status="PENDING").json()["data"]

        details = approval["transactionDetails"]
        assert (details["amount"], details["recipient"]) == ("25.00", shop.id)

    def test_a_listed_key_has_what_the_loop_prints(self, api):
        (key,) = api.get("/v1/api-keys", limit=25).json()["data"]

        assert (key["name"], key["status"], key["environment"]) == ("API key", "ACTIVE", "SANDBOX")

    @pytest.mark.parametrize("path", ["/v1/wallets", "/v1/api-keys", "/v1/payments"])
    def test_auto_paginate_sees_every_item_once(self, api, acme, wallet, savings, path):
        fund(wallet, "100")
        for number in range(4):
            api.post("/v1/wallets", {"name": str(number)})
            api.post("/v1/api-keys", {"name": str(number)})
            api.post("/v1/payments", {"from": wallet.id, "to": savings.id, "amount": 1})

        seen, cursor = [], None
        while True:
            page = api.get(path, limit=2, **({"cursor": cursor} if cursor else {})).json()
            seen += [item["id"] for item in page["data"]]
            cursor = page["cursor"]
            if not page["hasMore"]:
                break

        assert cursor is None
        assert seen == sorted(set(seen), reverse=True)
        assert seen == [item["id"] for item in api.get(path, limit=100).json()["data"]]

    def test_a_duplicate_request_returns_the_cached_answer(self, api, wallet, shop):
        fund(wallet, "100")
        body = {
            "fromWalletId": wallet.id,
            "toWalletId": shop.id,
            "amount": "50.00",
            "idempotencyKey": "pay_unique_key_123",
        }

        first, again = (api.post("/v1/payments", body).json() for _ in range(2))

        assert again == first
        assert balance_of(shop) == Decimal(50)

    def test_the_typed_errors(self, api, acme, wallet, shop):
        def send(client=api, **change):
            order = {"fromWalletId": wallet.id, "toWalletId": shop.id, "amount": "10000.00"}
            response = client.post("/v1/payments", order | {"description": "Large"} | change)
            assert response.json()["error"]["message"]
            return response.status_code, error_of(response)

        reused = {"amount": "1", "idempotencyKey": "k"}
        assert send() == (402, "INSUFFICIENT_FUNDS")
        assert send(fromWalletId="wal_source") == (404, "WALLET_NOT_FOUND")
        assert send(amount="-5") == (400, "INVALID_AMOUNT")
        assert send(toWalletId=5) == (400, "VALIDATION_ERROR")
        assert send(merchantId="mer_1") == (404, "MERCHANT_NOT_FOUND")
        assert send(client=Client()) == (401, "UNAUTHORIZED")
        send(**reused)
        assert send(**reused | {"amount": "2"}) == (409, "IDEMPOTENCY_KEY_REUSE")
        api.post(f"/v1/wallets/{wallet.id}/freeze")
        assert send() == (403, "WALLET_FROZEN")
        acme.custom_writes_per_minute = 0
        acme.save()
        assert send() == (429, "RATE_LIMIT_EXCEEDED")

    def test_the_environment_follows_from_the_prefix(self, acme, wallet):
        live = Client(make_key(acme, "PRODUCTION"))

        response = live.get(f"/v1/wallets/{wallet.id}")

        assert live.key.startswith("wg_live_")
        assert (response.status_code, error_of(response)) == (403, "ENVIRONMENT_MISMATCH")
