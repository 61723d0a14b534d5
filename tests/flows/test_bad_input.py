"""Malformed requests to every endpoint: each gets the error envelope, and nothing changes."""

import json
from io import BytesIO

import pytest

from tests.endpoints import ENDPOINTS, READS, WITH_SUBJECT, WRITES, scene
from tests.world import Client, everything, make_key

ENORMOUS = 5 * 1024 * 1024

# Raw JSON values that are not amounts.
BAD_AMOUNTS = [
    *("-1", "-0.01", "0", "0.00", "-0", "0.000000001", "1.123456789", "1000000000000", "1e12"),
    *("1e400", "-1e400", "1e-400", "1e99999999999999999999", "9" * 5_000, "0." + "1" * 5_000),
    *("NaN", "Infinity", "-Infinity", "true", "false", "null", "[]", "{}", "[1]", '{"a": 1}'),
    *('""', '" "', '"-1"', '"0"', '"abc"', '"NaN"', '"Infinity"', '"-inf"', '"1e3"', '"1,5"'),
    *('"0x10"', '"1_000"', '"+5"', '" 5"', '"5 "', '"\\n5"', '"1.123456789"', '"1e400"'),
    *('"1000000000000"', '"%s"' % ("9" * 5_000), '"\\u0665"', '"\\u0000"', '"5\\u0000"'),
    *('"\\ud800"', '"USD 5"', '"5.00 USD"', '"$5"', "0x10", "+5", ".5", "5.", "05", "1_0", ""),
]

# Raw bodies that are not JSON objects.
BAD_BODIES = [
    *(b"{", b"}", b"[]", b"[{}]", b'"text"', b"5", b"null", b"true", b"NaN", b" ", b"\n"),
    *(b'{"amount": }', b"{'amount': 5}", b'{"amount" 5}', b'{"a": 1,}', b'{"a": 1}{"a": 1}'),
    *(b"amount=5&to=x", b"<xml/>", b"--boundary", b"\x00", b"\x00\x01\x02", b'{"a": "\x00"}'),
    *(b"\xff\xfe\xfd", b'{"a": "\xff"}', b'{"a": "\xc3\x28"}', b'{"a": "\xed\xa0\x80"}'),
    *(b'{"\\ud800": 1}', b'{"a": "\\ud800"}', b'{"a": "\\u0000"}', b'{"\\u0000": 1}'),
    *(b'{"a": ["\\ud800"]}', b'{"a": {"\\udfff": {}}}', b'{"a": "\\u12"}', b'{"a": "\\x"}'),
    *(b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000),
    *(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}"),
    *('{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-32"), b'{"a": 1e99999999999999999999}'),
]

OTHER_TYPES = {
    "text": [5, 1.5, True, [], {}, ["x"], {"a": "x"}],
    "id": [5, 1.5, True, [], {}, "", ["x"]],
    "choice": [5, True, [], {}, "", "unknown", "\u200b"],
    "object": [5, True, [], "text", ["x"]],
    "list": [5, True, {}, "text", [5], [[]], [None], [{}]],
    "time": [5, True, [], {}, "", "soon", "2026-13-01T00:00:00Z", "1767225600"],
}

# The fields of each endpoint with their kind, without amounts, which have their own table.
FIELDS = {
    "POST /v1/wallets": {
        "name": "text",
        "agentName": "text",
        "metadata": "object",
        "currency": "choice",
    },
    "PATCH /v1/wallets/{wallet}": {"name": "text", "agentName": "text", "metadata": "object"},
    "POST /v1/wallets/{wallet}/freeze": {"reason": "text"},
    "POST /v1/sandbox/fund": {"walletId": "id"},
    "POST /v1/payments": {
        "from": "id",
        "to": "id",
        "currency": "choice",
        "description": "text",
        "merchantId": "id",
        "merchantHint": "object",
        "preference": "choice",
        "idempotencyKey": "text",
    },
    "POST /v1/payments/batch": {"payments": "list"},
    "POST /v1/payments/{payment}/reverse": {"reason": "text"},
    "POST /v1/transfers/internal": {
        "fromWalletId": "id",
        "toWalletId": "id",
        "currency": "choice",
        "description": "text",
        "idempotencyKey": "text",
    },
    "POST /v1/payment-links": {
        "walletId": "id",
        "currency": "choice",
        "description": "text",
        "direction": "choice",
        "expiresAt": "time",
        "metadata": "object",
        "idempotencyKey": "text",
    },
    "PATCH /v1/payment-links/{link}": {"status": "choice"},
    "POST /v1/payment-links/claim/{slug}/claim": {
        "method": "choice",
        "destination": "object",
        "recipientEmail": "id",  # with the same limits
    },
    "PATCH /v1/organizations/me": {"name": "text"},
    "POST /v1/api-keys": {
        "name": "text",
        "permissions": "list",
        "environment": "choice",
        "walletScope": "list",
        "allowedIps": "list",
        "expiresAt": "time",
    },
    "PATCH /v1/api-keys/{key}": {
        "name": "text",
        "permissions": "list",
        "allowedIps": "list",
        "expiresAt": "time",
    },
}
with_fields = pytest.mark.parametrize("endpoint", [e for e in WRITES if str(e) in FIELDS], ids=str)
with_amount = pytest.mark.parametrize(
    "endpoint",
    [e for e in WRITES if "amount" in e.body or "payments" in e.body],
    ids=str,
)
each_write = pytest.mark.parametrize("endpoint", WRITES, ids=str)
each_read = pytest.mark.parametrize("endpoint", READS, ids=str)


@pytest.fixture
def things(acme):
    return scene(acme)


def is_refused(response, *, status: int = 400, codes=("VALIDATION_ERROR",)) -> bool:
    """Return whether it is this refusal. Asserts that it is an error in the form of the API."""
    assert response.headers["Content-Type"] == "application/json", response.content[:200]
    body = response.json()
    assert set(body["error"]) <= {"code", "message", "details"}
    assert isinstance(body["error"]["message"], str)
    return response.status_code == status and body["error"]["code"] in codes


def changed_body(endpoint, things, **change) -> bytes:
    return json.dumps(endpoint.content(things) | change).encode()


@with_amount
class TestAmounts:
    def test_malformed_amount_changes_nothing(self, endpoint, api, things):
        content = json.dumps(endpoint.content(things))
        assert content.count('"5"') == 1
        before = everything()

        for amount in BAD_AMOUNTS:
            raw = content.replace('"5"', amount).encode()
            response = api.request(endpoint.method, endpoint.url(things), raw=raw)
            codes = ("INVALID_AMOUNT", "VALIDATION_ERROR")
            assert is_refused(response, codes=codes), amount[:40]
        assert everything() == before

    def test_missing_amount_is_refused(self, endpoint, api, things):
        content = json.dumps(endpoint.content(things))
        raw = content.replace('"amount": "5"', '"unknown": "5"').encode()
        before = everything()

        assert is_refused(api.request(endpoint.method, endpoint.url(things), raw=raw))
        assert everything() == before


@each_write
class TestBodies:
    def test_body_that_is_not_an_object_changes_nothing(self, endpoint, api, things):
        before = everything()

        for raw in BAD_BODIES:
            response = api.request(endpoint.method, endpoint.url(things), raw=raw)
            assert is_refused(response), raw[:40]
        assert everything() == before

    def test_too_large_body_is_refused(self, endpoint, api, things):
        raw = b'{"name": "%b"}' % (b"x" * ENORMOUS)
        before = everything()

        response = api.request(endpoint.method, endpoint.url(things), raw=raw)

        assert is_refused(response, status=413, codes=("PAYLOAD_TOO_LARGE",))
        assert everything() == before

    def test_malformed_content_length_is_refused(self, endpoint, api, things):
        before = everything()

        for length in ("abc", "-5", "1e3", "9" * 5_000, "９", "0x10", " 5", "5.0"):
            response = api.request(
                endpoint.method, endpoint.url(things), raw=b"{}", meta={"CONTENT_LENGTH": length}
            )
            assert is_refused(response), length[:20]
        assert everything() == before

    def test_interrupted_body_is_refused(self, endpoint, api, things):
        class Broken(BytesIO):
            def read(self, *args):
                raise OSError("connection reset")

        before = everything()

        response = api.request(
            endpoint.method,
            endpoint.url(things),
            raw=b"{}",
            meta={"wsgi.input": Broken(), "CONTENT_LENGTH": "100"},
        )

        assert is_refused(response)
        assert everything() == before

    def test_other_content_types_are_read_as_json(self, endpoint, api, things):
        raw = changed_body(endpoint, things)

        response = api.request(
            endpoint.method, endpoint.url(things), raw=raw, meta={"CONTENT_TYPE": "text/plain"}
        )

        assert response.status_code in (200, 201)


@with_fields
class TestFields:
    def test_value_of_another_type_is_refused(self, endpoint, api, things):
        before = everything()

        for name, kind in FIELDS[str(endpoint)].items():
            for value in OTHER_TYPES[kind]:
                raw = changed_body(endpoint, things, **{name: value})
                response = api.request(endpoint.method, endpoint.url(things), raw=raw)
                assert is_refused(response), (name, value)
        assert everything() == before

    def test_text_that_the_database_cannot_store_is_refused(self, endpoint, api, things):
        before = everything()

        for name in FIELDS[str(endpoint)]:
            for text in ("\0", "a\0b", "\ud800", "\udfff\ud800", "x\udc00"):
                for value in (text, {text: 1}, {"a": text}, [text], [{"a": [text]}]):
                    raw = changed_body(endpoint, things, **{name: value})
                    response = api.request(endpoint.method, endpoint.url(things), raw=raw)
                    assert is_refused(response), (name, value)
        assert everything() == before

    def test_too_long_text_is_refused(self, endpoint, api, things):
        before = everything()

        for name, kind in FIELDS[str(endpoint)].items():
            long = "x" * 10_000
            value = {"object": {"domain": long}, "list": [long]}.get(kind, long)
            if name == "metadata":
                value = {"a": long * 2}
            raw = changed_body(endpoint, things, **{name: value})
            response = api.request(endpoint.method, endpoint.url(things), raw=raw)
            assert is_refused(response), name
        assert everything() == before

    def test_null_is_treated_as_missing_or_refused(self, endpoint, api, things):
        for name in FIELDS[str(endpoint)]:
            raw = changed_body(endpoint, things, **{name: None})
            response = api.request(endpoint.method, endpoint.url(things), raw=raw)
            assert response.status_code in (200, 201, 422) or is_refused(response), name

    def test_text_in_any_script_is_stored_unchanged(self, endpoint, api, things):
        text = "אבג <script>alert(1)</script> '; DROP TABLE accounts_wallet; -- 😀\u202e\x01"

        for name, kind in FIELDS[str(endpoint)].items():
            if kind == "text" and name != "idempotencyKey":
                raw = changed_body(endpoint, things, **{name: text})
                response = api.request(endpoint.method, endpoint.url(things), raw=raw)
                assert response.status_code in (200, 201), name
                if name in response.json():
                    assert response.json()[name] == text


class TestUnknownIds:
    """Long and hostile ids, which are looked up and not stored."""

    @pytest.mark.parametrize("endpoint", [e for e in WITH_SUBJECT if "{" in e.path], ids=str)
    def test_in_the_path_are_not_found(self, endpoint, api, things):
        before = everything()

        for id in (
            "%00",
            "%0a",
            "%ff%fe",
            "%ed%a0%80",
            "%",
            "%zz",
            "%2e%2e",
            "x" * 10_000,
            "wal_%00",
            "wal_" + "%30" * 25 + "%00",
            "\u0660" * 26,
            "'%20OR%20'1'='1",
            "%3Cscript%3E",
            "*",
            "~",
            "%20",
        ):
            response = api.request(
                endpoint.method,
                endpoint.url(things | {endpoint.subject: id}),
                endpoint.content(things) if endpoint.writes else None,
            )
            assert is_refused(response, status=404, codes=("NOT_FOUND", endpoint.missing)), id
        assert everything() == before

    def test_in_the_body_are_not_found(self, api, things):
        for field in ("from", "to"):
            for id in ("x" * 64, "wal_" + "0" * 25 + "é", "wal_" + "𝟘" * 26, "'; --", "%00", "\t"):
                body = {"from": things["wallet"], "to": things["savings"], "amount": "5"}
                response = api.post("/v1/payments", body | {field: id})
                codes = ("WALLET_NOT_FOUND",)
                assert is_refused(response, status=404, codes=codes), (field, id)
            long = api.post("/v1/payments", body | {field: "x" * 10_000})
            assert is_refused(long)


@each_read
class TestQueries:
    QUERIES = (
        "%00",
        "%",
        "%zz=1",
        "=",
        "&&&",
        "a[]=1&a[]=2",
        "limit",
        "%ff=%fe",
        "\xe9",
        "x=" + "y" * 10_000,
        "limit=1;cursor=x",
    )

    def test_malformed_query_is_ignored_or_refused(self, endpoint, api, things):
        url = endpoint.url(things)

        for query in self.QUERIES:
            response = api.request("GET", f"{url}?{query}")
            assert response.status_code == 200 or is_refused(response), query

    def test_too_many_parameters_are_ignored_or_refused(self, endpoint, api, things):
        query = "&".join(f"a{n}=1" for n in range(2_000))

        response = api.request("GET", f"{endpoint.url(things)}?{query}")

        assert response.status_code == 200 or is_refused(response)

    def test_body_of_a_read_is_ignored(self, endpoint, api, things):
        response = api.request("GET", endpoint.url(things), raw=b"{not json")

        assert response.status_code == 200


class TestFilters:
    @pytest.mark.parametrize(
        ("path", "query", "status"),
        [
            ("/v1/payments", "status=unknown", 400),
            ("/v1/payments", "status=%00", 400),
            ("/v1/payments", "status=", 400),
            ("/v1/payments", "status=POSTED%00", 400),
            ("/v1/payments", "walletId=%00", 404),
            ("/v1/payments", "walletId=unknown", 404),
            ("/v1/payments", "walletId=", 400),
            ("/v1/payments", "walletId=%ff%fe", 404),
            ("/v1/payments", "walletId=" + "x" * 10_000, 400),
            ("/v1/payments", "limit=abc", 400),
            ("/v1/payments", "limit=%00", 400),
            ("/v1/payments", "cursor=garbage", 400),
            ("/v1/payments", "cursor=%00", 400),
            ("/v1/payments", "cursor=%ff", 400),
            ("/v1/payments", "limit=1&limit=abc", 400),
            ("/v1/wallets/{wallet}/holds", "status=unknown", 400),
            ("/v1/wallets/{wallet}/holds", "status=%00", 400),
        ],
    )
    def test_invalid_filter_is_refused(self, api, things, path, query, status):
        response = api.request("GET", f"{path.format(**things)}?{query}")

        assert is_refused(response, status=status, codes=("VALIDATION_ERROR", "WALLET_NOT_FOUND"))


class TestHeaders:
    @pytest.mark.parametrize(
        "headers",
        [
            {"User-Agent": ""},
            {"User-Agent": "x" * 10_000},
            {"User-Agent": "\xff\xfe\xe9"},
            {"User-Agent": "a\0b"},
            {"Accept": "text/html"},
            {"Accept": "nonsense;;;"},
            {"Accept-Language": "\xff"},
            {"Content-Encoding": "gzip"},
            {"Host": "evil.example"},
            {"X-Forwarded-Host": "evil.example"},
            {"X-Forwarded-For": "\xff, ,,, 1.2.3.4:5"},
            {"X-Request-Id": "a\r\nX-Evil: 1"},
            {"X-HTTP-Method-Override": "DELETE"},
            {"Cookie": "sessionid=\xff; csrftoken=x"},
            {"Origin": "https://evil.example"},
            {"Range": "bytes=0-1"},
            {"If-None-Match": "*"},
            {"Expect": "100-continue"},
            {"Transfer-Encoding": "identity"},
        ],
        ids=lambda headers: next(iter(headers)),
    )
    def test_unusual_headers_are_ignored(self, api, things, headers):
        body = {"from": things["wallet"], "to": things["savings"], "amount": "5"}

        response = api.post("/v1/payments", body, **headers)

        assert response.status_code == 201
        assert response.headers["Content-Type"] == "application/json"
        assert "X-Evil" not in response.headers
        assert "Access-Control-Allow-Origin" not in response.headers

    @pytest.mark.parametrize("key", ["", "\xff\xfe", "x" * 256, "a\0b", "a\r\nb", "\x7f", "\u2028"])
    def test_malformed_idempotency_key_is_refused(self, api, things, key):
        body = {"from": things["wallet"], "to": things["savings"], "amount": "5"}
        before = everything()

        response = api.post("/v1/payments", body, **{"Idempotency-Key": key})

        if key == "\xff\xfe":  # unusual, but printable
            assert response.status_code == 201
        else:
            assert is_refused(response)
            assert everything() == before


class TestMethods:
    @pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X"])
    def test_unsupported_method_is_refused(self, api, things, method):
        before = everything()

        for endpoint in ENDPOINTS:
            response = api.request(method, endpoint.url(things), endpoint.content(things))
            if endpoint.is_public and method == "OPTIONS":
                assert (response.status_code, response.content) == (204, b"")
                continue
            assert is_refused(response, status=405, codes=("METHOD_NOT_ALLOWED",)), endpoint
        assert everything() == before

    def test_missing_key_is_reported_before_the_method(self, things):
        response = Client().request("PUT", "/v1/wallets")

        assert is_refused(response, status=401, codes=("UNAUTHORIZED",))

    def test_head_responds_like_get_without_a_body(self, api, things):
        for endpoint in READS:
            head = api.request("HEAD", endpoint.url(things))
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["Content-Type"] == "application/json"


class TestEmptyBodies:
    """Clients send `Content-Type: application/json` with nothing after it."""

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/wallets", 200),
            ("GET", "/v1/wallets/{wallet}/balance", 200),
            ("DELETE", "/v1/api-keys/{key}", 200),
            ("POST", "/v1/wallets/{wallet}/freeze", 200),
            ("POST", "/v1/wallets/{wallet}/unfreeze", 200),
            ("POST", "/v1/wallets/{empty}/close", 200),
            ("POST", "/v1/payments/{payment}/reverse", 200),
            ("POST", "/v1/api-keys", 201),
            ("PATCH", "/v1/wallets/{wallet}", 200),
            ("PATCH", "/v1/api-keys/{key}", 200),
            ("PATCH", "/v1/organizations/me", 200),
            ("PATCH", "/v1/payment-links/{link}", 200),
        ],
    )
    @pytest.mark.parametrize("raw", [b"", b"{}"])
    def test_are_empty_objects(self, api, things, method, path, status, raw):
        response = api.request(
            method, path.format(**things), raw=raw, **{"User-Agent": "wallgent-python/0.3.0"}
        )

        assert response.status_code == status

    @pytest.mark.parametrize(
        "path", ["/v1/wallets", "/v1/payments", "/v1/payments/batch", "/v1/payment-links"]
    )
    def test_missing_fields_are_named(self, api, path):
        response = api.request("POST", path, raw=b"")

        assert is_refused(response)
        assert response.json()["error"]["details"]["fields"]


class TestEscalation:
    def test_body_cannot_set_organization_environment_or_balance(self, api, acme, globex):
        body = {
            "name": "A",
            "id": "wal_" + "0" * 26,
            "organizationId": globex.id,
            "organization": globex.id,
            "environment": "PRODUCTION",
            "balance": "1000000",
            "status": "FROZEN",
            "is_default": True,
            "sandboxFunds": "0",
        }

        wallet = api.post("/v1/wallets", body).json()

        assert wallet["organizationId"] == acme.id
        assert (wallet["environment"], wallet["status"]) == ("SANDBOX", "ACTIVE")
        assert wallet["balance"] == "0.00"
        assert wallet["id"] != body["id"]

    def test_body_cannot_set_the_secret_or_state_of_a_key(self, api, acme):
        body = {"secret": "wg_test_mine", "keyPrefix": "wg_live_", "organizationId": "x"}

        key = api.post("/v1/api-keys", body).json()

        assert key["secret"] != "wg_test_mine"
        assert Client("wg_test_mine").get("/v1/wallets").status_code == 401
        revived = Client(make_key(acme)).patch(f"/v1/api-keys/{key['id']}", {"revokedAt": None})
        assert revived.json()["status"] == "ACTIVE"
