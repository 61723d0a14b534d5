import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from accounts.organizations import permissions
from accounts.organizations.models import ApiKey
from tests.world import (
    A_TIME,
    Client,
    Text,
    activate_production,
    an_id,
    error_of,
    events_of,
    everything,
    fund,
    make_key,
    unknown_id,
)
from wallgent import clock
from wallgent.api.schemas import timestamp_text
from wallgent.http import client_ip

PATH = "/v1/api-keys"


def refusal(response) -> tuple[int, str]:
    return response.status_code, error_of(response)


class TestCreate:
    def test_returns_every_field_and_the_secret(self, api, wallet):
        response = api.post(
            PATH,
            {
                "name": "CI Deploy Key",
                "permissions": ["wallets:read", "payments:write"],
                "environment": "SANDBOX",
                "walletScope": [wallet.id],
                "allowedIps": ["203.0.113.7", "2001:db8::/32"],
                "expiresAt": "2099-01-01T00:00:00Z",
            },
        )

        assert response.status_code == 201
        key = response.json()
        assert key == {
            "id": an_id("key"),
            "name": "CI Deploy Key",
            "keyPrefix": key["secret"][:14],
            "permissions": ["wallets:read", "payments:write"],
            "environment": "SANDBOX",
            "status": "ACTIVE",
            "walletScope": [wallet.id],
            "allowedIps": ["203.0.113.7/32", "2001:db8::/32"],
            "lastUsedAt": None,
            "expiresAt": "2099-01-01T00:00:00.000Z",
            "createdAt": A_TIME,
            "updatedAt": A_TIME,
            "secret": Text(r"wg_test_[A-Za-z0-9_-]{43}"),
        }

    def test_secret_is_shown_once_and_stored_as_a_hash(self, api):
        created = api.post(PATH, {"name": "CI"}).json()
        secret = created.pop("secret")

        shown = api.get(f"{PATH}/{created['id']}")

        assert shown.json() == created
        assert secret not in shown.content.decode() + api.get(PATH).content.decode()
        key = ApiKey.objects.get(pk=created["id"])
        assert bytes(key.secret_hash) == hashlib.sha256(secret.encode()).digest()
        assert secret not in str(everything())

    def test_defaults_are_the_callers_own(self, api, acme):
        key = api.post(PATH).json()

        assert key["name"] == "API key"
        assert key["permissions"] == sorted(permissions.ALL)
        assert key["environment"] == "SANDBOX"
        assert key["walletScope"] is key["allowedIps"] is key["expiresAt"] is None
        assert Client(key["secret"]).get("/v1/wallets").status_code == 200

    def test_new_key_has_the_granted_permissions(self, api, wallet):
        secret = api.post(PATH, {"permissions": ["wallets:read"]}).json()["secret"]
        client = Client(secret)

        assert client.get(f"/v1/wallets/{wallet.id}").status_code == 200
        assert refusal(client.post("/v1/wallets", {"name": "A"})) == (403, "PERMISSION_DENIED")

    def test_duplicates_are_removed(self, api, wallet, savings):
        scope = [wallet.id, savings.id, wallet.id]
        granted = ["wallets:read", "payments:read", "wallets:read"]

        key = api.post(PATH, {"permissions": granted, "walletScope": scope}).json()
        changed = api.patch(f"{PATH}/{key['id']}", {"permissions": granted[::-1]}).json()

        assert key["permissions"] == ["wallets:read", "payments:read"]
        assert key["walletScope"] == [wallet.id, savings.id]
        assert changed["permissions"] == ["wallets:read", "payments:read"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": 5}, "name"),
            ({"name": "x" * 257}, "name"),
            ({"permissions": "wallets:read"}, "permissions"),
            ({"permissions": ["wallets:rule"]}, "permissions"),
            ({"permissions": [5]}, "permissions.0"),
            ({"permissions": ["x" * 41]}, "permissions.0"),
            ({"environment": "TEST"}, "environment"),
            ({"walletScope": []}, "walletScope"),
            ({"walletScope": "all"}, "walletScope"),
            ({"walletScope": ["wal_x"]}, "walletScope"),
            ({"walletScope": [unknown_id("wal")]}, "walletScope"),
            ({"allowedIps": ["here"]}, "allowedIps"),
            ({"allowedIps": ["1.2.3.4/33"]}, "allowedIps"),
            ({"allowedIps": "1.2.3.4"}, "allowedIps"),
            ({"expiresAt": "tomorrow"}, "expiresAt"),
            ({"expiresAt": 1893456000}, "expiresAt"),
            ({"expiresAt": "1893456000"}, "expiresAt"),
            ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
            ({"expiresAt": "9999-12-31T23:59:59-23:59"}, "expiresAt"),
        ],
    )
    def test_malformed_field_is_refused(self, api, body, field):
        before = everything()

        response = api.post(PATH, body)

        assert refusal(response) == (400, "VALIDATION_ERROR")
        assert field in response.json()["error"]["details"]["fields"]
        assert everything() == before

    def test_foreign_wallet_cannot_be_in_its_scope(self, api, shop, live_wallet):
        for id in (shop.id, live_wallet.id):
            assert refusal(api.post(PATH, {"walletScope": [id]})) == (400, "VALIDATION_ERROR")

    def test_is_recorded_without_the_secret(self, api, acme):
        created = api.post(PATH, {"name": "CI", "permissions": ["wallets:read"]}).json()

        event = events_of(acme, "api_key.created")[-1]
        assert event.subject == created["id"]
        assert event.data == {
            "apiKeyId": created["id"],
            "name": "CI",
            "keyPrefix": created["keyPrefix"],
            "permissions": ["wallets:read"],
            "environment": "SANDBOX",
        }
        assert not event.is_public


class TestGrantedRights:
    @pytest.fixture
    def clerk(self, acme):
        return Client(make_key(acme, permissions=["organizations:write", "wallets:read"]))

    def test_create_grants_only_own_permissions(self, clerk):
        granted = clerk.post(PATH, {"permissions": ["wallets:read"]})
        refused = clerk.post(PATH, {"permissions": ["wallets:read", "wallets:write"]})

        assert granted.status_code == 201
        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert "wallets:write" in refused.json()["error"]["message"]

    def test_create_grants_own_permissions_by_default(self, clerk):
        key = clerk.post(PATH, {"name": "A"}).json()

        assert key["permissions"] == ["organizations:write", "wallets:read"]

    def test_update_grants_only_own_permissions(self, clerk):
        key = clerk.post(PATH, {"permissions": []}).json()

        refused = clerk.patch(f"{PATH}/{key['id']}", {"permissions": ["payments:write"]})

        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert ApiKey.objects.get(pk=key["id"]).permissions == []

    def test_key_with_more_rights_cannot_be_widened(self, clerk, api):
        strong = api.post(PATH, {"allowedIps": ["203.0.113.7"], "name": "Strong"}).json()

        for change in ({"allowedIps": None}, {"expiresAt": None}):
            response = clerk.patch(f"{PATH}/{strong['id']}", change)

            assert refusal(response) == (403, "PERMISSION_DENIED")
        assert ApiKey.objects.get(pk=strong["id"]).allowed_ips == ["203.0.113.7/32"]

    def test_create_grants_only_own_wallet_scope(self, acme, wallet, savings):
        scoped = Client(make_key(acme, wallet_scope=[wallet.id]))

        inherited = scoped.post(PATH)
        same = scoped.post(PATH, {"walletScope": [wallet.id]})
        other = scoped.post(PATH, {"walletScope": [savings.id]})
        more = scoped.post(PATH, {"walletScope": [wallet.id, savings.id]})

        assert inherited.json()["walletScope"] == same.json()["walletScope"] == [wallet.id]
        assert refusal(other) == refusal(more) == (403, "PERMISSION_DENIED")


class TestProduction:
    def test_requires_activation(self, api):
        response = api.post(PATH, {"environment": "PRODUCTION"})

        assert refusal(response) == (403, "KYB_REQUIRED")

    def test_sandbox_key_cannot_create_production_keys(self, api, acme):
        activate_production(acme)

        response = api.post(PATH, {"environment": "PRODUCTION"})

        assert refusal(response) == (403, "ENVIRONMENT_MISMATCH")

    def test_production_key_creates_keys_of_both_environments(self, live_api, api):
        live = live_api.post(PATH, {"environment": "PRODUCTION"}).json()
        test = live_api.post(PATH, {"environment": "SANDBOX"}).json()

        assert live["secret"].startswith("wg_live_")
        assert test["secret"].startswith("wg_test_")
        assert live["id"] in [key["id"] for key in live_api.get(PATH).json()["data"]]
        assert test["id"] in [key["id"] for key in api.get(PATH).json()["data"]]


class TestListAndGet:
    def test_lists_own_keys_newest_first(self, api, stranger, live_api):
        new = api.post(PATH, {"name": "New"}).json()

        listed = api.get(PATH).json()

        assert [key["name"] for key in listed["data"]] == ["New", "API key"]
        assert listed["data"][0] == {k: v for k, v in new.items() if k != "secret"}
        assert listed["hasMore"] is False

    def test_scoped_key_sees_keys_within_its_scope(self, acme, wallet, savings):
        make_key(acme, name="Other", wallet_scope=[savings.id])
        make_key(acme, name="Both", wallet_scope=[wallet.id, savings.id])
        scoped = Client(make_key(acme, name="Own", wallet_scope=[wallet.id]))

        assert [key["name"] for key in scoped.get(PATH).json()["data"]] == ["Own"]


class TestUpdate:
    @pytest.fixture
    def key(self, api):
        return api.post(PATH, {"name": "CI", "permissions": ["wallets:read"]}).json()

    def test_changes_the_given_fields(self, api, acme, key):
        response = api.patch(
            f"{PATH}/{key['id']}",
            {
                "name": "New",
                "permissions": ["payments:read"],
                "allowedIps": ["10.0.0.0/8"],
                "expiresAt": "2099-01-01T00:00:00+02:00",
            },
        )

        changed = response.json()
        assert response.status_code == 200
        assert changed["name"] == "New"
        assert changed["permissions"] == ["payments:read"]
        assert changed["allowedIps"] == ["10.0.0.0/8"]
        assert changed["expiresAt"] == "2098-12-31T22:00:00.000Z"
        assert "secret" not in changed
        assert api.get(f"{PATH}/{key['id']}").json() == changed
        (event,) = events_of(acme, "api_key.updated")
        assert event.data["changed"] == ["allowed_ips", "expires_at", "name", "permissions"]

    def test_permissions_change_at_once(self, api, key, wallet):
        client = Client(key["secret"])
        assert client.get("/v1/wallets").status_code == 200

        api.patch(f"{PATH}/{key['id']}", {"permissions": []})

        assert refusal(client.get("/v1/wallets")) == (403, "PERMISSION_DENIED")

    def test_null_removes_expiry_and_addresses(self, api, key):
        path = f"{PATH}/{key['id']}"
        api.patch(path, {"allowedIps": ["10.0.0.0/8"], "expiresAt": "2099-01-01T00:00:00Z"})

        changed = api.patch(path, {"allowedIps": None, "expiresAt": None}).json()

        assert changed["allowedIps"] is changed["expiresAt"] is None

    @pytest.mark.parametrize("raw", [b"", b"{}"])
    def test_empty_body_changes_nothing(self, api, acme, key, raw):
        response = api.request("PATCH", f"{PATH}/{key['id']}", raw=raw)

        assert response.status_code == 200
        assert response.json()["updatedAt"] == key["updatedAt"]
        assert events_of(acme, "api_key.updated") == []

    @pytest.mark.parametrize(
        "body",
        [
            {"name": ""},
            {"name": None},
            {"permissions": None},
            {"permissions": ["wallets:rule"]},
            {"allowedIps": ["x"]},
            {"expiresAt": "soon"},
        ],
    )
    def test_malformed_field_is_refused(self, api, key, body):
        response = api.patch(f"{PATH}/{key['id']}", body)

        assert refusal(response) == (400, "VALIDATION_ERROR")

    def test_revoked_key_cannot_be_changed(self, api, key):
        api.delete(f"{PATH}/{key['id']}")

        response = api.patch(f"{PATH}/{key['id']}", {"name": "New"})

        assert refusal(response) == (409, "INVALID_STATE")


class TestRevoke:
    def test_takes_effect_at_once(self, api, acme):
        key = api.post(PATH).json()
        client = Client(key["secret"])
        assert client.get("/v1/wallets").status_code == 200

        response = api.delete(f"{PATH}/{key['id']}")

        assert response.status_code == 200
        assert (response.json()["deleted"], response.json()["status"]) == (True, "REVOKED")
        assert response.json()["id"] == key["id"]
        assert refusal(client.get("/v1/wallets")) == (401, "API_KEY_REVOKED")
        assert api.get(f"{PATH}/{key['id']}").json()["status"] == "REVOKED"
        assert [e.subject for e in events_of(acme, "api_key.revoked")] == [key["id"]]

    def test_revoking_again_changes_nothing(self, api, acme):
        key = api.post(PATH).json()

        first = api.delete(f"{PATH}/{key['id']}")
        again = api.delete(f"{PATH}/{key['id']}")

        assert (again.status_code, again.json()) == (200, first.json())
        assert len(events_of(acme, "api_key.revoked")) == 1

    def test_key_may_revoke_itself(self, api):
        own = api.get(PATH).json()["data"][0]["id"]

        assert api.delete(f"{PATH}/{own}").status_code == 200
        assert refusal(api.get(PATH)) == (401, "API_KEY_REVOKED")

    def test_other_keys_still_work(self, api, acme, wallet):
        first, second = (api.post(PATH).json() for _ in range(2))

        api.delete(f"{PATH}/{first['id']}")

        assert Client(second["secret"]).get("/v1/wallets").status_code == 200


class TestAuthentication:
    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer wg_test_",
            "Bearer wg_test_unknown",
            "Bearer wg_live_unknown",
            "Bearer sk_test_unknown",
            "Basic d2c6dGVzdA==",
            "Token wg_test_unknown",
            "bearer\twg_test_x",
            "Bearer wg_test_\xe9\xff",
            "Bearer wg_test_" + "x" * 10_000,
            "\xff\xfe",
        ],
    )
    def test_unknown_or_malformed_key_is_unauthorized(self, api, header):
        client = Client()

        response = client.request("GET", "/v1/wallets", Authorization=header)

        assert refusal(response) == (401, "UNAUTHORIZED")

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_scheme_is_case_insensitive(self, acme, scheme):
        secret = make_key(acme)

        response = Client().request("GET", "/v1/wallets", Authorization=f"{scheme} {secret}")

        assert response.status_code == 200

    def test_similar_secret_is_unauthorized(self, acme):
        secret = make_key(acme)
        wrong = secret[:-1] + ("A" if secret[-1] != "A" else "B")

        assert refusal(Client(wrong).get("/v1/wallets")) == (401, "UNAUTHORIZED")
        assert refusal(Client(secret.upper()).get("/v1/wallets")) == (401, "UNAUTHORIZED")
        other_environment = secret.replace("wg_test_", "wg_live_")
        assert refusal(Client(other_environment).get("/v1/wallets")) == (401, "UNAUTHORIZED")

    def test_key_without_permissions_is_denied(self, acme):
        client = Client(make_key(acme, permissions=[]))

        for path in ("/v1/wallets", "/v1/payments", PATH, "/v1/organizations/me"):
            assert refusal(client.get(path)) == (403, "PERMISSION_DENIED")

    def test_expired_key_is_unauthorized(self, acme, api):
        client = Client(make_key(acme, name="Short"))
        key = ApiKey.objects.get(name="Short")
        ApiKey.objects.filter(pk=key.pk).update(expires_at=clock.real_now() + timedelta(minutes=1))
        assert client.get("/v1/wallets").status_code == 200

        ApiKey.objects.filter(pk=key.pk).update(expires_at=clock.real_now())

        assert refusal(client.get("/v1/wallets")) == (401, "UNAUTHORIZED")
        assert api.get(f"{PATH}/{key.id}").json()["status"] == "EXPIRED"

    def test_expiry_follows_real_time_not_the_sandbox_clock(self, acme):
        soon = clock.real_now() + timedelta(days=1)
        client = Client(make_key(acme, expires_at=soon))
        acme.sandbox_offset = timedelta(days=400)
        acme.save()

        assert client.get("/v1/wallets").status_code == 200


class TestLastUse:
    def test_is_shown_and_recorded_at_most_once_a_minute(self, api, acme):
        key = api.post(PATH, {"name": "Worker"}).json()
        client = Client(key["secret"])

        def last_used():
            return api.get(f"{PATH}/{key['id']}").json()["lastUsedAt"]

        assert last_used() is None
        client.get("/v1/wallets")
        first = last_used()
        client.get("/v1/wallets")
        assert last_used() == first == A_TIME
        ApiKey.objects.filter(pk=key["id"]).update(last_used_at=datetime(2026, 1, 1, tzinfo=UTC))
        before = timestamp_text(clock.real_now())
        client.get("/v1/wallets")
        assert last_used() >= before

    def test_refused_call_is_not_recorded(self, api, acme):
        key = api.post(PATH, {"allowedIps": ["203.0.113.7"]}).json()

        Client(key["secret"]).get("/v1/wallets")

        assert api.get(f"{PATH}/{key['id']}").json()["lastUsedAt"] is None


class TestAllowedIps:
    @pytest.mark.parametrize(
        ("allowed", "ip", "is_allowed"),
        [
            ("203.0.113.7", "203.0.113.7", True),
            ("203.0.113.7", "203.0.113.8", False),
            ("203.0.113.0/24", "203.0.113.250", True),
            ("203.0.113.9/24", "203.0.113.250", True),  # the host part does not matter
            ("203.0.113.0/24", "203.0.114.1", False),
            ("2001:db8::/32", "2001:db8:1::7", True),
            ("2001:db8::7", "2001:0db8:0:0::0007", True),
            ("2001:db8::/32", "2001:db9::7", False),
            ("2001:db8::/32", "203.0.113.7", False),
            ("203.0.113.7", "::ffff:203.0.113.7", True),
            ("::ffff:203.0.113.7", "203.0.113.7", True),
            ("0.0.0.0/0", "203.0.113.7", True),
            ("0.0.0.0/0", "2001:db8::7", False),
            ("203.0.113.7", "", False),
            ("203.0.113.7", "unix:", False),
        ],
    )
    def test_addresses_and_networks(self, acme, allowed, ip, is_allowed):
        client = Client(make_key(acme, allowed_ips=[allowed]), ip=ip)

        response = client.get("/v1/wallets")

        if is_allowed:
            assert response.status_code == 200
        else:
            assert refusal(response) == (403, "PERMISSION_DENIED")

    def test_any_of_several_networks_is_allowed(self, acme):
        secret = make_key(acme, allowed_ips=["10.0.0.0/8", "203.0.113.7"])

        for ip, status in (("10.1.2.3", 200), ("203.0.113.7", 200), ("192.0.2.1", 403)):
            assert Client(secret, ip=ip).get("/v1/wallets").status_code == status

    def test_forwarding_headers_of_clients_are_ignored(self, acme):
        client = Client(make_key(acme, allowed_ips=["203.0.113.7"]), ip="198.51.100.1")

        for header in ("X-Forwarded-For", "X-Real-Ip", "Forwarded", "Client-Ip"):
            response = client.request("GET", "/v1/wallets", **{header: "203.0.113.7"})

            assert refusal(response) == (403, "PERMISSION_DENIED"), header

    def test_forwarding_header_of_a_trusted_proxy_is_used(self, acme, settings):
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
        client_ip._trusted.cache_clear()
        client = Client(make_key(acme, allowed_ips=["203.0.113.7"]), ip="10.0.0.2")

        def status(forwarded):
            headers = {"X-Forwarded-For": forwarded}
            return client.request("GET", "/v1/wallets", **headers).status_code

        try:
            assert status("203.0.113.7") == 200
            assert status("203.0.113.7, 10.0.0.9") == 200
            assert (
                status("203.0.113.7, 198.51.100.1") == 403
            )  # the first address is what the client sent
            assert status("198.51.100.1, 203.0.113.7") == 200
            assert status("203.0.113.7, nonsense") == 403
            assert status("") == 403
        finally:
            client_ip._trusted.cache_clear()

    def test_address_is_checked_before_the_call_changes_anything(self, acme, wallet, shop):
        fund(wallet, "100")
        client = Client(make_key(acme, allowed_ips=["203.0.113.7"]))
        before = everything()

        response = client.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "5"})

        assert refusal(response) == (403, "PERMISSION_DENIED")
        assert everything() == before
