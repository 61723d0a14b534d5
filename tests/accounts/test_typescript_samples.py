"""The samples of the TypeScript reference, as the requests that the client sends for them.

The client adds /v1 to its base address, and sends `Content-Type: application/json` even with an
empty body. Each sample names the keys that the reference reads from the answer.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests import approving
from tests.world import Client, Text, an_id, balance_of, error_of, fund, make_key


@dataclass(frozen=True, kw_only=True)
class Sample:
    call: str  # as the reference writes it
    request: tuple[str, str]
    body: dict[str, Any] | None = None
    status: int = 200
    reads: dict[str, Any] = field(default_factory=dict)

    def __str__(self):
        return self.call


SAMPLES = [
    Sample(
        call="wallets.create",
        request=("POST", "/v1/wallets"),
        body={
            "name": "Research Agent",
            "agentName": "research-bot",
            "metadata": {"department": "engineering"},
        },
        status=201,
        reads={"id": an_id("wal"), "name": "Research Agent"},
    ),
    Sample(
        call="wallets.get",
        request=("GET", "/v1/wallets/{wallet}"),
        reads={"id": "{wallet}", "status": "ACTIVE"},
    ),
    Sample(
        call="wallets.getBalance",
        request=("GET", "/v1/wallets/{wallet}/balance"),
        reads={"available": "250.00", "currency": "USD"},
    ),
    Sample(
        call="wallets.fund",
        request=("POST", "/v1/wallets/{wallet}/fund"),
        body={"amount": "1000.00"},
        status=201,
        reads={"newBalance": "1250.00", "transactionId": an_id("txn")},
    ),
    Sample(
        call="wallets.list",
        request=("GET", "/v1/wallets"),
        reads={"data": list, "cursor": None, "hasMore": False},
    ),
    Sample(
        call="payments.send",
        request=("POST", "/v1/payments"),
        body={
            "fromWalletId": "{wallet}",
            "toWalletId": "{shop}",
            "amount": "50.00",
            "description": "Monthly SaaS subscription",
            "idempotencyKey": "pay_unique_key_123",
        },
        status=201,
        reads={"id": an_id("txn"), "state": "POSTED", "amount": "50.00"},
    ),
    Sample(
        call="payments.get",
        request=("GET", "/v1/payments/{payment}"),
        reads={"id": "{payment}", "state": "POSTED"},
    ),
    Sample(
        call="payments.list",
        request=("GET", "/v1/payments"),
        reads={"data": list, "cursor": None, "hasMore": False},
    ),
    Sample(
        call="transfers.internal",
        request=("POST", "/v1/transfers/internal"),
        body={
            "fromWalletId": "{wallet}",
            "toWalletId": "{savings}",
            "amount": "20.00",
            "description": "Move to savings",
        },
        status=201,
        reads={"transactionId": an_id("txn"), "amount": "20.00", "description": "Move to savings"},
    ),
    Sample(
        call="apiKeys.create",
        request=("POST", "/v1/api-keys"),
        body={"name": "CI Deploy Key", "permissions": ["wallets:read", "payments:write"]},
        status=201,
        reads={"id": an_id("key"), "secret": Text("wg_test_.{43}")},
    ),
    Sample(
        call="apiKeys.list",
        request=("GET", "/v1/api-keys?limit=25"),
        reads={"data": list, "cursor": None, "hasMore": False},
    ),
    Sample(
        call="apiKeys.revoke",
        request=("DELETE", "/v1/api-keys/{key}"),
        reads={"id": "{key}", "status": "REVOKED"},
    ),
    Sample(
        call="approvals.list",
        request=("GET", "/v1/approvals?status=PENDING"),
        reads={"data": list, "hasMore": False},
    ),
    Sample(
        call="approvals.retrieve",
        request=("GET", "/v1/approvals/{approval}"),
        reads={"id": "{approval}", "status": "PENDING", "transactionDetails": dict},
    ),
    Sample(
        call="approvals.approve",
        request=("POST", "/v1/approvals/{approval}/approve"),
        reads={"status": "APPROVED", "transactionId": an_id("txn")},
    ),
    Sample(
        call="approvals.reject",
        request=("POST", "/v1/approvals/{approval}/reject"),
        body={"reason": "Amount exceeds monthly budget review threshold"},
        reads={"status": "REJECTED", "transactionId": None},
    ),
]


@pytest.fixture
def ids(api, wallet, savings, shop):
    fund(wallet, "260.25")
    order = {"from": wallet.id, "to": savings.id, "amount": "10"}
    return {
        "wallet": wallet.id,
        "savings": savings.id,
        "shop": shop.id,
        "payment": api.post("/v1/payments", order).json()["id"],
        "key": api.post("/v1/api-keys", {"name": "Old"}).json()["id"],
        "approval": approving.ask(wallet, shop).id,
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_sample(sample, api, ids):
    method, path = sample.request
    body = sample.body and {
        key: value.format(**ids) if isinstance(value, str) else value
        for key, value in sample.body.items()
    }

    response = api.request(method, path.format(**ids), body)

    assert response.status_code == sample.status
    answer = response.json()
    for key, expected in sample.reads.items():
        if isinstance(expected, type):
            assert isinstance(answer[key], expected), key
        else:
            expected = expected.format(**ids) if isinstance(expected, str) else expected
            assert answer[key] == expected, key


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
