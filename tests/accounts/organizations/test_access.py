"""Access rules that are the same at every endpoint (contract, section 2)."""

from datetime import timedelta

import pytest

from accounts.ledger import chart
from accounts.organizations import permissions
from accounts.organizations.models import ApiKey
from tests.endpoints import ENDPOINTS, KEYED, PUBLIC, WITH_SUBJECT, scene
from tests.world import Client, error_of, everything, make_key, unknown_id
from wallgent import clock

each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
each_keyed = pytest.mark.parametrize("endpoint", KEYED, ids=str)
each_public = pytest.mark.parametrize("endpoint", PUBLIC, ids=str)
each_with_slug = pytest.mark.parametrize("endpoint", [e for e in PUBLIC if "{" in e.path], ids=str)
each_subject = pytest.mark.parametrize("endpoint", WITH_SUBJECT, ids=str)
PREFIXES = {
    **{"wallet": "wal", "empty": "wal", "payment": "txn", "key": "key", "link": "lnk"},
    **{"approval": "apr", "transfer": "xfr"},
}


@pytest.fixture
def ids(acme):
    return scene(acme)


def refusal(response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, error_of(response)


# Written down here once more: what all other tests know of an endpoint is its own declaration.
PUBLIC_PATHS = {
    "/v1/openapi.json",
    "/v1/payment-links/claim/{slug}",
    "/v1/payment-links/claim/{slug}/claim",
}
AREAS = {
    **{"api-keys": "organizations", "organizations": "organizations", "wallets": "wallets"},
    **{"payments": "payments", "transfers": "payments", "approvals": "payments"},
    **{"payment-links": "payments", "sandbox/clock": "organizations", "sandbox/fund": "wallets"},
    "sandbox/usdc-payments": "payments",
}
NAMES_A_WALLET = {
    *("POST /v1/payments", "POST /v1/transfers/internal", "POST /v1/sandbox/fund"),
    "POST /v1/payment-links",
}


class TestDeclarations:
    @each_endpoint
    def test_needs_the_permission_of_its_area(self, endpoint):
        if endpoint.path in PUBLIC_PATHS:
            assert endpoint.permission == ""
            return
        path = endpoint.path.removeprefix("/v1/")
        [area] = {area for prefix, area in AREAS.items() if f"{path}/".startswith(f"{prefix}/")}
        assert endpoint.permission == f"{area}:{'write' if endpoint.writes else 'read'}"

    def test_access_to_every_named_object_is_checked(self):
        named = {str(one) for one in KEYED if "{" in one.path} | NAMES_A_WALLET

        assert {str(one) for one in WITH_SUBJECT} == named


@each_endpoint
class TestEveryEndpoint:
    def test_returns_a_json_object(self, endpoint, api, ids):
        response = endpoint.request(api, ids)

        assert response.status_code in (200, 201)
        assert response.headers["Content-Type"] == "application/json"
        assert isinstance(response.json(), dict)

    def test_path_with_trailing_slash_is_not_found(self, endpoint, api, ids):
        response = api.request(endpoint.method, endpoint.url(ids) + "/")

        assert refusal(response) == (404, "NOT_FOUND")

    def test_other_methods_are_not_allowed(self, endpoint, api, ids):
        url = endpoint.url(ids)
        allowed = {other.method for other in ENDPOINTS if other.path == endpoint.path}
        if endpoint.is_public:
            allowed.add("OPTIONS")  # a browser's preflight request

        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - allowed:
            assert refusal(api.request(method, url)) == (405, "METHOD_NOT_ALLOWED"), method


@each_keyed
class TestEveryKeyedEndpoint:
    def test_requires_a_key(self, endpoint, ids):
        before = everything()

        response = endpoint.request(Client(), ids)

        assert refusal(response) == (401, "UNAUTHORIZED")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert everything() == before

    def test_requires_its_permission_and_names_it(self, endpoint, acme, ids):
        others = sorted(set(permissions.ALL) - {endpoint.permission})
        client = Client(make_key(acme, permissions=others))
        before = everything()

        response = endpoint.request(client, ids)

        assert refusal(response) == (403, "PERMISSION_DENIED")
        assert endpoint.permission in response.json()["error"]["message"]
        assert everything() == before

    def test_requires_no_other_permission(self, endpoint, acme, ids):
        granted = [endpoint.permission]
        ApiKey.objects.filter(pk=ids["key"]).update(permissions=granted)
        client = Client(make_key(acme, permissions=granted))

        assert endpoint.request(client, ids).status_code in (200, 201)


@each_public
class TestEveryPublicEndpoint:
    def test_ignores_keys(self, endpoint, ids, acme):
        limited = make_key(acme, permissions=["wallets:read"])

        for key in (None, "wg_test_unknown", "", limited):
            response = endpoint.request(Client(key), ids)
            assert response.status_code != 401, key
            if not endpoint.writes:
                assert response.status_code == 200, key

    def test_allows_every_origin(self, endpoint, ids):
        preflight = Client().request("OPTIONS", endpoint.url(ids), Origin="https://a.example")
        response = endpoint.request(Client(), ids, Origin="https://a.example")
        refused = Client().request("PUT", endpoint.url(ids))

        assert (preflight.status_code, preflight.content) == (204, b"")
        assert endpoint.method in preflight.headers["Access-Control-Allow-Methods"]
        for header in ("Content-Type", "Idempotency-Key", "Authorization"):
            assert header in preflight.headers["Access-Control-Allow-Headers"]
        assert (response.status_code, refused.status_code) == (200, 405)
        for each in (preflight, response, refused):
            assert each.headers["Access-Control-Allow-Origin"] == "*"


@each_with_slug
class TestEverySlug:
    def test_unknown_slug_is_not_found(self, endpoint, api, ids):
        slug = ids["slug"]
        before = everything()

        for other in (slug[:-1], slug + "x", slug.swapcase(), ids["link"], "x" * 5_000, "%00"):
            response = endpoint.request(api, ids | {"slug": other})
            assert refusal(response) == (404, "PAYMENT_LINK_NOT_FOUND"), other
        assert everything() == before


@each_keyed
class TestEveryKeyedEndpointFromBrowsers:
    def test_allows_no_other_origin(self, endpoint, api, ids):
        response = endpoint.request(api, ids, Origin="https://a.example")

        assert "Access-Control-Allow-Origin" not in response.headers


@each_subject
class TestEverySubject:
    def test_of_another_organization_is_not_found(self, endpoint, stranger, ids):
        before = everything()

        response = endpoint.request(stranger, ids)

        assert refusal(response) == (404, endpoint.missing)
        assert everything() == before

    def test_of_the_other_environment_is_a_mismatch(self, endpoint, live_api, api, acme):
        live = scene(acme, "PRODUCTION")
        before = everything()

        assert refusal(endpoint.request(api, live)) == (403, "ENVIRONMENT_MISMATCH")
        assert everything() == before

    def test_outside_the_wallet_scope_is_denied(self, endpoint, acme, ids, wallet):
        client = Client(make_key(acme, wallet_scope=[wallet.id]))
        before = everything()

        response = endpoint.request(client, ids)

        assert refusal(response) == (403, "PERMISSION_DENIED")
        assert everything() == before

    def test_unknown_malformed_or_other_kind_of_id_is_not_found(self, endpoint, api, ids):
        prefix = PREFIXES[endpoint.subject]
        known = ids[endpoint.subject]
        others = [
            unknown_id(prefix),
            known.lower(),
            known[:-1],
            known + "0",
            known.removeprefix(f"{prefix}_"),
            f"{prefix}_{'Z' * 26}",
            f"{prefix}_",
            prefix + "-" + known.partition("_")[2],
            "acc_" + known.partition("_")[2],
            *(ids[name] for name in ids if PREFIXES.get(name, prefix) != prefix),
            "0",
            "null",
            "x" * 64,
        ]
        before = everything()

        for id in others:
            response = endpoint.request(api, ids | {endpoint.subject: id})
            assert refusal(response) == (404, endpoint.missing), id
        assert everything() == before


class TestScope:
    def test_key_whose_scope_covers_the_wallet_is_allowed(self, acme, ids):
        client = Client(make_key(acme, wallet_scope=[ids["wallet"], ids["savings"]]))
        scoped = [e for e in WITH_SUBJECT if e.subject in ("wallet", "payment")]

        scoped.sort(key=lambda endpoint: "freeze" in endpoint.path)  # a frozen one takes no money
        statuses = {str(e): e.request(client, ids).status_code for e in scoped}

        assert set(statuses.values()) == {200, 201}, statuses


class TestOrderOfChecks:
    """Of several faults in one request, the first in the contract's order is returned."""

    FAULTS = (
        ("UNAUTHORIZED", "key"),
        ("API_KEY_REVOKED", "revoked"),
        ("PERMISSION_DENIED", "address"),
        ("RATE_LIMIT_EXCEEDED", "rate"),
        ("PERMISSION_DENIED", "permission"),
        ("VALIDATION_ERROR", "body"),
        ("WALLET_NOT_FOUND", "object"),
        ("ENVIRONMENT_MISMATCH", "environment"),
        ("PERMISSION_DENIED", "scope"),
        ("WALLET_FROZEN", "state"),
        ("INSUFFICIENT_FUNDS", "funds"),
    )

    @pytest.mark.parametrize("first", range(len(FAULTS)), ids=[f"{n}-{f}" for n, f in FAULTS])
    def test_first_fault_is_returned(self, first, acme, wallet, savings, shop, live_wallet):
        faults = {fault for _, fault in self.FAULTS[first:]}
        scope = [savings.id] if "scope" in faults else None
        granted = ["payments:read"] if "permission" in faults else None
        allowed = ["203.0.113.7"] if "address" in faults else None
        secret = make_key(acme, permissions=granted, wallet_scope=scope, allowed_ips=allowed)
        key = ApiKey.objects.latest("created_at")
        if "revoked" in faults:
            ApiKey.objects.filter(pk=key.pk).update(revoked_at=clock.real_now())
        if "rate" in faults:
            acme.custom_writes_per_minute = 0
            acme.save()
        payer = wallet.id
        if "object" in faults:
            payer = shop.id
        elif "environment" in faults:
            payer = live_wallet.id
        if "state" in faults:
            chart.set_state(wallet.account_id, "FROZEN")
        body = {"from": payer, "to": savings.id, "amount": "5"}
        if "body" in faults:
            body["description"] = 5

        client = Client("wg_test_unknown" if "key" in faults else secret)
        response = client.post("/v1/payments", body)

        assert error_of(response) == self.FAULTS[first][0]
        message = response.json()["error"]["message"]
        for fault, word in (("address", "address"), ("permission", "permission")):
            if self.FAULTS[first][1] == fault:
                assert word in message

    def test_expiry_is_checked_before_the_address(self, acme):
        secret = make_key(acme, allowed_ips=["203.0.113.7"])
        ApiKey.objects.update(expires_at=clock.real_now() - timedelta(seconds=1))

        assert refusal(Client(secret).get("/v1/wallets")) == (401, "UNAUTHORIZED")
