"""Who may call what: the same answers at every endpoint (contract, section 2)."""

from datetime import timedelta

import pytest

from accounts.ledger import chart
from accounts.organizations import permissions
from accounts.organizations.models import ApiKey
from tests import endpoints
from tests.endpoints import ENDPOINTS, KEYED, PUBLIC, WITH_SUBJECT, scene, without_names
from tests.world import Client, error_of, everything, make_key, unknown_id
from wallgent import clock

each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
each_keyed = pytest.mark.parametrize("endpoint", KEYED, ids=str)
each_public = pytest.mark.parametrize("endpoint", PUBLIC, ids=str)
each_subject = pytest.mark.parametrize("endpoint", WITH_SUBJECT, ids=str)
PREFIXES = {
    **{"wallet": "wal", "empty": "wal", "payment": "txn", "key": "key", "link": "lnk"},
    **{"approval": "apr", "transfer": "xfr"},
}


@pytest.fixture
def things(acme):
    return scene(acme)


def refusal(response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, error_of(response)


class TestTable:
    def test_names_every_endpoint_that_is_served(self):
        named = {(e.method, without_names(e.path)) for e in ENDPOINTS}

        assert endpoints.served() == named


@each_endpoint
class TestEveryEndpoint:
    def test_answers(self, endpoint, api, things):
        response = endpoint.request(api, things)

        assert response.status_code in (200, 201)
        assert response.headers["Content-Type"] == "application/json"
        assert isinstance(response.json(), dict)

    def test_with_a_slash_at_the_end_it_is_not_there(self, endpoint, api, things):
        response = api.request(endpoint.method, endpoint.url(things) + "/")

        assert refusal(response) == (404, "NOT_FOUND")

    def test_takes_no_other_method(self, endpoint, api, things):
        url = endpoint.url(things)
        path = without_names(endpoint.path)
        taken = {method for method, served in endpoints.served() if served == path}
        if endpoint.is_public:
            taken.add("OPTIONS")  # what a browser asks first

        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - taken:
            assert refusal(api.request(method, url)) == (405, "METHOD_NOT_ALLOWED"), method


@each_keyed
class TestEveryKeyedEndpoint:
    def test_needs_a_key(self, endpoint, things):
        before = everything()

        response = endpoint.request(Client(), things)

        assert refusal(response) == (401, "UNAUTHORIZED")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert everything() == before

    def test_needs_its_permission_and_names_it(self, endpoint, acme, things):
        others = sorted(set(permissions.ALL) - {endpoint.permission})
        client = Client(make_key(acme, permissions=others))
        before = everything()

        response = endpoint.request(client, things)

        assert refusal(response) == (403, "PERMISSION_DENIED")
        assert endpoint.permission in response.json()["error"]["message"]
        assert everything() == before

    def test_needs_no_other_permission(self, endpoint, acme, things):
        granted = [endpoint.permission]
        ApiKey.objects.filter(pk=things["key"]).update(permissions=granted)
        client = Client(make_key(acme, permissions=granted))

        assert endpoint.request(client, things).status_code in (200, 201)


@each_public
class TestEveryPublicEndpoint:
    def test_needs_no_key_and_looks_at_none(self, endpoint, things, acme):
        useless = make_key(acme, permissions=["wallets:read"])

        for key in (None, "wg_test_unknown", "", useless):
            response = endpoint.request(Client(key), things)
            assert response.status_code != 401, key
            if not endpoint.writes:
                assert response.status_code == 200, key

    def test_may_be_called_from_any_page(self, endpoint, things):
        asked = Client().request("OPTIONS", endpoint.url(things), Origin="https://a.example")
        answer = endpoint.request(Client(), things, Origin="https://a.example")
        refused = endpoint.request(Client(), things | {"slug": "unknown"})

        assert (asked.status_code, asked.content) == (204, b"")
        assert endpoint.method in asked.headers["Access-Control-Allow-Methods"]
        for header in ("Content-Type", "Idempotency-Key", "Authorization"):
            assert header in asked.headers["Access-Control-Allow-Headers"]
        assert (answer.status_code, refused.status_code) == (200, 404)
        for response in (asked, answer, refused):
            assert response.headers["Access-Control-Allow-Origin"] == "*"

    def test_of_an_unknown_secret_there_is_nothing(self, endpoint, api, things):
        slug = things["slug"]
        before = everything()

        for other in (slug[:-1], slug + "x", slug.swapcase(), things["link"], "x" * 5_000, "%00"):
            response = endpoint.request(api, things | {"slug": other})
            assert refusal(response) == (404, "PAYMENT_LINK_NOT_FOUND"), other
        assert everything() == before


@each_keyed
class TestEveryOtherEndpoint:
    def test_is_for_no_other_page(self, endpoint, api, things):
        response = endpoint.request(api, things, Origin="https://a.example")

        assert "Access-Control-Allow-Origin" not in response.headers


@each_subject
class TestEverySubject:
    def test_of_another_organization_does_not_exist(self, endpoint, stranger, things):
        before = everything()

        response = endpoint.request(stranger, things)

        assert refusal(response) == (404, endpoint.missing)
        assert everything() == before

    def test_of_the_other_environment_is_a_mismatch(self, endpoint, live_api, api, acme):
        live = scene(acme, "PRODUCTION")
        before = everything()

        assert refusal(endpoint.request(api, live)) == (403, "ENVIRONMENT_MISMATCH")
        assert everything() == before

    def test_outside_the_wallet_scope_is_denied(self, endpoint, acme, things, wallet):
        client = Client(make_key(acme, wallet_scope=[wallet.id]))
        before = everything()

        response = endpoint.request(client, things)

        assert refusal(response) == (403, "PERMISSION_DENIED")
        assert everything() == before

    def test_unknown_malformed_or_of_another_kind_it_does_not_exist(self, endpoint, api, things):
        prefix = PREFIXES[endpoint.subject]
        known = things[endpoint.subject]
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
            *(things[name] for name in things if PREFIXES.get(name, prefix) != prefix),
            "0",
            "null",
            "x" * 64,
        ]
        before = everything()

        for id in others:
            response = endpoint.request(api, things | {endpoint.subject: id})
            assert refusal(response) == (404, endpoint.missing), id
        assert everything() == before


class TestScope:
    def test_a_key_whose_scope_covers_the_wallet_may(self, acme, things):
        client = Client(make_key(acme, wallet_scope=[things["wallet"], things["savings"]]))
        scoped = [e for e in WITH_SUBJECT if e.subject in ("wallet", "payment")]

        statuses = {str(e): e.request(client, things).status_code for e in scoped}

        assert set(statuses.values()) == {200, 201}, statuses


class TestOrderOfChecks:
    """Of several faults in one request, the first in the contract's order is told."""

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
    def test_first(self, first, acme, wallet, savings, shop, live_wallet):
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

    def test_expiry_is_told_before_the_address(self, acme):
        secret = make_key(acme, allowed_ips=["203.0.113.7"])
        ApiKey.objects.update(expires_at=clock.real_now() - timedelta(seconds=1))

        assert refusal(Client(secret).get("/v1/wallets")) == (401, "UNAUTHORIZED")
