"""A request with an idempotency key is done once; repetitions get the stored answer."""

from datetime import timedelta
from decimal import Decimal
from unittest.mock import ANY

import pytest
from django.db import OperationalError

from accounts.organizations.models import ApiKey
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.wallets.models import Wallet
from tests.endpoints import WRITES, scene
from tests.world import (
    Client,
    balance_of,
    error_of,
    events_of,
    everything,
    fund,
    in_parallel,
    make_key,
    unknown_id,
)
from wallgent.api import idempotency
from wallgent.api.models import IdempotencyRecord
from wallgent.api.tasks import forget_idempotency_keys

PATH = "/v1/payments"
POSTS = [endpoint for endpoint in WRITES if endpoint.method == "POST"]


@pytest.fixture
def order(wallet, shop):
    fund(wallet, "1000")
    return {"from": wallet.id, "to": shop.id, "amount": "100"}


def with_key(key: str) -> dict:
    return {"Idempotency-Key": key}


def replayed(response) -> bool:
    return response.headers.get("Idempotent-Replayed") == "true"


class TestReplay:
    @pytest.mark.parametrize("first_in", ["header", "body"])
    @pytest.mark.parametrize("again_in", ["header", "body", "both"])
    def test_key_in_header_or_body_replays_the_answer(self, api, order, wallet, first_in, again_in):
        def send(where):
            body = order | ({"idempotencyKey": "k"} if where != "header" else {})
            return api.post(PATH, body, **(with_key("k") if where != "body" else {}))

        first, again = send(first_in), send(again_in)

        assert (first.status_code, replayed(first)) == (201, False)
        assert (again.status_code, replayed(again)) == (201, True)
        assert again.content == first.content
        assert first.json()["idempotencyKey"] == "k"
        assert balance_of(wallet) == Decimal("899.50")
        assert IdempotencyRecord.objects.count() == 1

    def test_snake_case_key_is_the_same_key(self, api, order, wallet):
        first = api.post(PATH, order | {"idempotency_key": "k"})
        again = api.post(PATH, order, **with_key("k"))

        assert again.json() == first.json()
        assert replayed(again)

    @pytest.mark.parametrize(
        "same",
        [
            {"amount": 100},
            {"amount": "100.00"},
            {"amount": "00100"},
            {"unknown": "ignored"},
            {"description": None},
        ],
    )
    def test_equivalent_request_is_replayed(self, api, order, same):
        api.post(PATH, order, **with_key("k"))

        assert replayed(api.post(PATH, order | same, **with_key("k")))

    def test_other_spelling_of_the_wallets_is_replayed(self, api, order):
        api.post(PATH, order, **with_key("k"))
        long = {"fromWalletId": order["from"], "toWalletId": order["to"], "amount": "100"}

        assert replayed(api.post(PATH, long, **with_key("k")))

    def test_replay_shows_the_first_answer_after_the_payment_has_changed(
        self, api, order, shop, stranger
    ):
        first = api.post(PATH, order, **with_key("k")).json()
        stranger.post(f"{PATH}/{first['id']}/reverse")

        again = api.post(PATH, order, **with_key("k")).json()

        assert (again, again["status"]) == (first, "POSTED")
        assert api.get(f"{PATH}/{first['id']}").json()["status"] == "REVERSED"

    def test_replay_changes_nothing_and_records_no_event(self, api, acme, order):
        api.post(PATH, order, **with_key("k"))
        before = everything()

        api.post(PATH, order, **with_key("k"))

        assert everything() == before
        assert len(events_of(acme, "payment.completed")) == 1

    @pytest.mark.parametrize("endpoint", POSTS, ids=str)
    def test_every_post_accepts_a_key(self, api, acme, endpoint):
        things = scene(acme)

        first = endpoint.request(api, things, **with_key("k"))
        before = everything()
        again = endpoint.request(api, things, **with_key("k"))

        assert first.status_code in (200, 201)
        assert again.status_code == first.status_code
        assert replayed(again)
        secret = {"secret": ANY} if "secret" in first.json() else {}
        assert again.json() | secret == first.json()
        assert everything() == before


class TestReuse:
    @pytest.mark.parametrize(
        "other",
        [
            {"amount": "100.01"},
            {"description": "x"},
            {"preference": "fastest"},
            {"currency": "USD"},
        ],
    )
    def test_different_request_with_the_same_key_is_refused(self, api, order, wallet, other):
        api.post(PATH, order, **with_key("k"))

        response = api.post(PATH, order | other, **with_key("k"))

        assert (response.status_code, error_of(response)) == (409, "IDEMPOTENCY_KEY_REUSE")
        assert balance_of(wallet) == Decimal("899.50")

    def test_different_payee_with_the_same_key_is_refused(self, api, order, savings):
        api.post(PATH, order, **with_key("k"))

        response = api.post(PATH, order | {"to": savings.id}, **with_key("k"))

        assert (response.status_code, error_of(response)) == (409, "IDEMPOTENCY_KEY_REUSE")

    def test_refused_reuse_keeps_the_first_answer(self, api, order):
        first = api.post(PATH, order, **with_key("k"))
        api.post(PATH, order | {"amount": "1"}, **with_key("k"))

        assert api.post(PATH, order, **with_key("k")).json() == first.json()

    def test_number_in_metadata_differs_from_its_text(self, api):
        api.post("/v1/wallets", {"name": "A", "metadata": {"n": 1.5}}, **with_key("k"))

        response = api.post("/v1/wallets", {"name": "A", "metadata": {"n": "1.5"}}, **with_key("k"))

        assert (response.status_code, error_of(response)) == (409, "IDEMPOTENCY_KEY_REUSE")


class TestErrors:
    def test_error_is_stored_and_replayed(self, api, acme, order, wallet):
        order["amount"] = "5000"
        first = api.post(PATH, order, **with_key("k"))
        fund(wallet, "9000")

        again = api.post(PATH, order, **with_key("k"))

        assert (first.status_code, again.status_code) == (402, 402)
        assert again.json() == first.json()
        assert replayed(again)
        assert len(events_of(acme, "payment.failed")) == 1
        assert Payment.objects.count() == 1

    def test_error_binds_the_key_to_its_request(self, api, order):
        api.post(PATH, order | {"amount": "5000"}, **with_key("k"))

        assert error_of(api.post(PATH, order, **with_key("k"))) == "IDEMPOTENCY_KEY_REUSE"

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            ({"amount": "-1"}, "INVALID_AMOUNT"),
            ({"description": 5}, "VALIDATION_ERROR"),
            ({"to": None}, "VALIDATION_ERROR"),
            ({"to": unknown_id("wal")}, "WALLET_NOT_FOUND"),
            ({"from": unknown_id("wal")}, "WALLET_NOT_FOUND"),
            ({"merchantId": "mer_1"}, "MERCHANT_NOT_FOUND"),
        ],
    )
    def test_error_before_the_service_leaves_the_key_unused(self, api, order, fault, code):
        refused = api.post(PATH, order | fault, **with_key("k"))
        assert error_of(refused) == code
        assert not IdempotencyRecord.objects.exists()

        paid = api.post(PATH, order, **with_key("k"))

        assert (paid.status_code, replayed(paid)) == (201, False)

    def test_denied_access_leaves_the_key_unused(self, api, acme, order, savings, live_wallet):
        scoped = Client(make_key(acme, wallet_scope=[savings.id]))
        reader = Client(make_key(acme, permissions=["payments:read"]))
        mismatch = order | {"from": live_wallet.id}

        denials = [
            scoped.post(PATH, order, **with_key("k")),
            reader.post(PATH, order, **with_key("k")),
            api.post(PATH, mismatch, **with_key("k")),
            Client().post(PATH, order, **with_key("k")),
        ]

        assert [d.status_code for d in denials] == [403, 403, 403, 401]
        assert not IdempotencyRecord.objects.exists()
        assert api.post(PATH, order, **with_key("k")).status_code == 201

    def test_permission_error_is_not_replayed_to_another_api_key(self, api, acme):
        clerk = Client(make_key(acme, permissions=["organizations:write"]))
        grant = {"name": "CI", "permissions": ["payments:write"]}

        denied = clerk.post("/v1/api-keys", grant, **with_key("k"))
        granted = api.post("/v1/api-keys", grant, **with_key("k"))

        assert (denied.status_code, granted.status_code) == (403, 201)

    def test_malformed_json_leaves_the_key_unused(self, api, order):
        api.request("POST", PATH, raw=b"{", **with_key("k"))

        assert api.post(PATH, order, **with_key("k")).status_code == 201


class TestScope:
    def test_environments_have_separate_keys(self, api, live_api):
        body = {"name": "A"}
        first = api.post("/v1/wallets", body, **with_key("k"))
        live = live_api.post("/v1/wallets", body, **with_key("k"))

        assert not replayed(live)
        assert live.json()["id"] != first.json()["id"]

    def test_organizations_have_separate_keys(self, api, stranger):
        api.post("/v1/wallets", {"name": "A"}, **with_key("k"))

        assert not replayed(stranger.post("/v1/wallets", {"name": "A"}, **with_key("k")))

    def test_paths_have_separate_keys(self, api, wallet, savings):
        for target in (wallet, savings):
            path = f"/v1/wallets/{target.id}/fund"
            assert not replayed(api.post(path, {"amount": "5"}, **with_key("k")))
        assert (balance_of(wallet), balance_of(savings)) == (5, 5)

    def test_api_keys_of_one_organization_share_idempotency_keys(self, api, acme, order, wallet):
        first = api.post(PATH, order, **with_key("k"))

        again = Client(make_key(acme)).post(PATH, order, **with_key("k"))

        assert replayed(again)
        assert again.json() == first.json()
        assert balance_of(wallet) == Decimal("899.50")

    def test_scoped_api_key_shares_idempotency_keys_with_its_replacement(
        self, api, acme, order, wallet
    ):
        old = Client(make_key(acme, wallet_scope=[wallet.id]))
        old.post(PATH, order, **with_key("k"))
        ApiKey.objects.filter(wallet_scope=[wallet.id]).delete()

        new = Client(make_key(acme, wallet_scope=[wallet.id]))

        assert replayed(new.post(PATH, order, **with_key("k")))
        assert not replayed(api.post(PATH, order, **with_key("k")))

    def test_replay_needs_the_permission_of_the_request(self, api, acme, order):
        api.post(PATH, order, **with_key("k"))
        reader = Client(make_key(acme, permissions=["payments:read"]))

        response = reader.post(PATH, order, **with_key("k"))

        assert (response.status_code, error_of(response)) == (403, "PERMISSION_DENIED")

    def test_only_post_requests_use_a_key(self, api, wallet):
        path = f"/v1/wallets/{wallet.id}"
        for name in ("A", "B"):
            changed = api.patch(path, {"name": name}, **with_key("k"))
            assert (changed.json()["name"], replayed(changed)) == (name, False)


class TestSecrets:
    def test_secrets_are_not_stored_with_the_answer(self, api):
        first = api.post("/v1/api-keys", {"name": "CI"}, **with_key("k")).json()
        secret = first.pop("secret")

        again = api.post("/v1/api-keys", {"name": "CI"}, **with_key("k"))

        assert replayed(again)
        assert again.json() == first
        record = IdempotencyRecord.objects.get()
        assert secret not in record.answer
        assert ApiKey.objects.filter(name="CI").count() == 1


class TestKeyFormat:
    @pytest.mark.parametrize(
        "key", ["", "x" * 256, "a\nb", "a\tb", "\x7f", " \u200b", 5, ["k"], {"k": 1}, True]
    )
    def test_invalid_key_in_the_body_is_refused(self, api, order, wallet, key):
        response = api.post(PATH, order | {"idempotencyKey": key})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert "idempotencyKey" in response.json()["error"]["details"]["fields"]
        assert balance_of(wallet) == 1000

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
    def test_invalid_key_in_the_header_is_refused(self, api, order, wallet, key):
        response = api.post(PATH, order, **with_key(key))

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert balance_of(wallet) == 1000

    @pytest.mark.parametrize("key", ["x", "x" * 255, "Bestellung 5 – ü", "订单", "😀", "'; --"])
    def test_any_printable_text_is_a_key(self, api, order, wallet, key):
        for _ in range(2):
            response = api.post(PATH, order | {"idempotencyKey": key})

        assert response.json()["idempotencyKey"] == key
        assert balance_of(wallet) == Decimal("899.50")

    def test_non_ascii_key_is_the_same_in_header_and_body(self, api, order, wallet):
        on_the_wire = "Bestellung ü".encode().decode("latin-1")

        api.post(PATH, order | {"idempotencyKey": "Bestellung ü"})
        again = api.post(PATH, order, **with_key(on_the_wire))

        assert replayed(again)
        assert balance_of(wallet) == Decimal("899.50")

    def test_null_means_no_key(self, api, order, wallet):
        for _ in range(2):
            api.post(PATH, order | {"idempotencyKey": None})

        assert balance_of(wallet) == 799

    def test_different_keys_in_header_and_body_are_refused(self, api, order, wallet):
        response = api.post(PATH, order | {"idempotencyKey": "b"}, **with_key("a"))

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert balance_of(wallet) == 1000


class TestLifetime:
    def test_key_can_be_used_again_after_a_day(self, api, order, wallet):
        api.post(PATH, order, **with_key("k"))
        record = IdempotencyRecord.objects.get()
        for age, is_replayed in (
            (timedelta(hours=23, minutes=59), True),
            (timedelta(days=2), False),
        ):
            IdempotencyRecord.objects.update(created_at=record.created_at - age)
            assert replayed(api.post(PATH, order, **with_key("k"))) is is_replayed

        assert balance_of(wallet) == 799
        assert replayed(api.post(PATH, order, **with_key("k")))

    def test_task_deletes_old_keys(self, api, order):
        api.post(PATH, order, **with_key("old"))
        IdempotencyRecord.objects.update(
            created_at=IdempotencyRecord.objects.get().created_at - idempotency.LIFETIME
        )
        api.post(PATH, order, **with_key("new"))

        assert forget_idempotency_keys() == 1
        assert IdempotencyRecord.objects.get().key == "new"


@pytest.mark.django_db(transaction=True)
class TestRacesAndFailures:
    def test_concurrent_equal_requests_get_one_answer(self, api, order, wallet):
        answers = in_parallel(5, lambda n: api.post(PATH, order, **with_key("k")))

        assert {a.status_code for a in answers} == {201}
        assert len({a.content for a in answers}) == 1
        assert sum(replayed(a) for a in answers) == 4
        assert balance_of(wallet) == Decimal("899.50")

    def test_concurrent_refused_requests_get_one_answer(self, api, acme, order):
        order["amount"] = "5000"

        answers = in_parallel(4, lambda n: api.post(PATH, order, **with_key("k")))

        assert {a.status_code for a in answers} == {402}
        assert len({a.content for a in answers}) == 1
        assert len(events_of(acme, "payment.failed")) == 1

    def test_one_of_concurrent_different_requests_succeeds(self, api, order, wallet):
        answers = in_parallel(
            4, lambda n: api.post(PATH, order | {"amount": str(n + 1)}, **with_key("k"))
        )

        assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
        assert Payment.objects.count() == 1
        assert Wallet.objects.get(pk=wallet.pk).account.balance < 1000

    @pytest.mark.parametrize(
        ("error", "status"), [(OperationalError("lock timeout"), 503), (KeyError("bug"), 500)]
    )
    def test_server_error_leaves_the_key_unused(self, api, order, monkeypatch, error, status):
        def fail(*args, **options):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(payments, "create", fail)
            failed = api.post(PATH, order, **with_key("k"))

        assert failed.status_code == status
        assert not IdempotencyRecord.objects.exists()

        paid = api.post(PATH, order, **with_key("k"))

        assert (paid.status_code, replayed(paid)) == (201, False)
