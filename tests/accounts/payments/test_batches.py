"""The batch endpoint: several payments, all or none."""

import hashlib
from decimal import Decimal

import pytest

from accounts.ledger import chart
from accounts.payments.api.batches import BatchItem
from accounts.payments.models import Payment
from tests.accounts.ledger.book import force
from tests.world import (
    Client,
    an_id,
    balance_of,
    deposit,
    error_of,
    events_of,
    everything,
    fund,
    make_key,
    make_wallet,
    unknown_id,
)
from wallgent import credentials
from wallgent.api.models import IdempotencyRecord

PATH = "/v1/payments/batch"


@pytest.fixture
def item(wallet, shop):
    """A function that builds an item: a payment from the wallet to the shop."""
    fund(wallet, "1000")

    def build(amount="10", **more):
        return {"from": wallet.id, "to": shop.id, "amount": amount} | more

    return build


def statuses(response) -> list[str]:
    return [result["status"] for result in response.json()["results"]]


class TestAllPosted:
    def test_answer_has_every_key(self, api, item, wallet, shop):
        response = api.post(PATH, {"payments": [item("10"), item("100", description="Two")]})

        batch = response.json()
        assert response.status_code == 200
        assert set(batch) == {"batchId", "results", "summary"}
        assert batch["batchId"] == an_id("bat")
        assert batch["summary"] == {
            "total": 2,
            "succeeded": 2,
            "failed": 0,
            "reversed": 0,
            "skipped": 0,
            "totalAmount": "110.00",
            "totalFees": "0.75",
        }
        first, second = batch["results"]
        assert (first["index"], first["status"]) == (0, "success")
        assert (second["index"], second["status"]) == (1, "success")
        for result in (first, second):
            payment = api.get(f"/v1/payments/{result['transactionId']}").json()
            assert payment == result["payment"]
        assert second["payment"]["description"] == "Two"
        assert balance_of(wallet) == Decimal("889.25")
        assert balance_of(shop) == 110

    def test_accepts_twenty_payments(self, api, item, shop):
        response = api.post(PATH, {"payments": [item("1")] * 20})

        assert (response.status_code, response.json()["summary"]["succeeded"]) == (200, 20)
        assert balance_of(shop) == 20

    def test_each_payment_is_recorded_for_both_parties(self, api, acme, globex, item):
        batch = api.post(PATH, {"payments": [item(), item()]}).json()

        ids = [result["transactionId"] for result in batch["results"]]
        for organization in (acme, globex):
            events = events_of(organization, "payment.completed")
            assert sorted(event.subject for event in events) == sorted(ids)

    def test_later_item_spends_what_an_earlier_one_credits(self, api, item, wallet, savings, shop):
        there = {"fromWalletId": wallet.id, "toWalletId": savings.id, "amount": "100"}
        onward = {"from": savings.id, "to": shop.id, "amount": "99"}

        assert api.post(PATH, {"payments": [there, onward]}).status_code == 200
        response = api.post(PATH, {"payments": [onward, there]})
        assert statuses(response) == ["failed", "skipped"]

    def test_amounts_keep_their_digits(self, api, item, shop):
        batch = api.post(PATH, {"payments": [item(0.1), item("0.00000001"), item(2)]}).json()

        assert batch["summary"]["totalAmount"] == "2.10000001"
        assert balance_of(shop) == Decimal("2.10000001")


class TestOneFails:
    def test_no_payment_is_made(self, api, acme, globex, item, wallet, shop):
        response = api.post(PATH, {"payments": [item("10"), item("5000"), item("10")]})

        assert response.status_code == 207
        batch = response.json()
        assert batch["batchId"] == an_id("bat")
        assert statuses(response) == ["reversed", "failed", "skipped"]
        assert batch["summary"] == {
            "total": 3,
            "succeeded": 0,
            "failed": 1,
            "reversed": 1,
            "skipped": 1,
            "totalAmount": "0.00",
            "totalFees": "0.00",
        }
        assert batch["error"]["code"] == "BATCH_PARTIAL_FAILURE"
        assert batch["error"]["details"] == {"index": 1, "code": "INSUFFICIENT_FUNDS"}
        refused = batch["results"][1]
        assert refused["error"]["code"] == "INSUFFICIENT_FUNDS"
        assert refused["error"]["details"]["balance"] == "989.75"  # the first one paid
        assert (balance_of(wallet), balance_of(shop)) == (1000, 0)
        assert events_of(globex, "payment.completed") == events_of(acme, "payment.completed") == []

    def test_failed_payment_is_stored(self, api, acme, item):
        response = api.post(PATH, {"payments": [item("10"), item("5000")]})

        id = response.json()["results"][1]["error"]["details"]["transactionId"]
        payment = api.get(f"/v1/payments/{id}").json()
        assert (payment["status"], payment["amount"]) == ("FAILED", "5000.00")
        assert [event.subject for event in events_of(acme, "payment.failed")] == [id]
        assert Payment.objects.count() == 1

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"to": unknown_id("wal")}, "WALLET_NOT_FOUND"),
            ({"from": unknown_id("wal")}, "WALLET_NOT_FOUND"),
            ({"from": "nonsense"}, "WALLET_NOT_FOUND"),
            ({"to": None}, "VALIDATION_ERROR"),
            ({"merchantId": "mer_1"}, "MERCHANT_NOT_FOUND"),
            ({"currency": "USDC"}, "VALIDATION_ERROR"),
            ({"idempotencyKey": ""}, "VALIDATION_ERROR"),
            ({"idempotencyKey": "x" * 256}, "VALIDATION_ERROR"),
        ],
    )
    @pytest.mark.parametrize("place", [0, 2])
    def test_invalid_item_fails_the_batch(self, api, item, wallet, change, code, place):
        items = [item(), item(), item()]
        items[place] |= change

        response = api.post(PATH, {"payments": items})

        assert response.status_code == 207
        assert response.json()["results"][place]["error"]["code"] == code
        assert response.json()["error"]["details"] == {"index": place, "code": code}
        assert balance_of(wallet) == 1000

    @pytest.mark.parametrize("place", [0, 1, 2])
    @pytest.mark.parametrize(
        ("reason", "code"),
        [
            ("full", "INVALID_AMOUNT"),
            ("closed", "INVALID_STATE"),
            ("frozen", "WALLET_FROZEN"),
            ("in debt", "INSUFFICIENT_FUNDS"),
            ("empty", "INSUFFICIENT_FUNDS"),
            ("itself", "VALIDATION_ERROR"),
            ("another currency", "VALIDATION_ERROR"),
        ],
    )
    def test_wallet_that_refuses_fails_the_batch(
        self, api, acme, item, wallet, shop, reason, code, place
    ):
        other = make_wallet(
            acme, "Other", currency="USDC" if reason == "another currency" else "USD"
        )
        change = (
            {"from": other.id} if reason in ("frozen", "in debt", "empty") else {"to": other.id}
        )
        if reason == "full":
            deposit(other, "999999999999")
        elif reason == "itself":
            change = {"to": wallet.id}
        elif reason == "in debt":
            fund(other, "100")
            force(other.account_id, "200")
        elif reason in ("closed", "frozen"):
            chart.set_state(other.account_id, reason.upper())
        items = [item("1"), item("1"), item("1")]
        items[place] |= change

        response = api.post(PATH, {"payments": items, "idempotencyKey": "b"})

        assert response.status_code == 207
        assert statuses(response) == ["reversed"] * place + ["failed"] + ["skipped"] * (2 - place)
        assert response.json()["results"][place]["error"]["code"] == code
        assert response.json()["error"]["details"] == {"index": place, "code": code}
        assert (balance_of(wallet), balance_of(shop)) == (1000, 0)
        again = api.post(PATH, {"payments": items, "idempotencyKey": "b"})
        assert (again.status_code, again.json()) == (207, response.json())

    def test_wallet_of_another_organization_cannot_pay(self, api, item, wallet, shop):
        fund(shop, "100")

        foreign = api.post(PATH, {"payments": [{"from": shop.id, "to": wallet.id, "amount": "1"}]})

        assert foreign.json()["results"][0]["error"]["code"] == "WALLET_NOT_FOUND"
        assert balance_of(shop) == 100

    def test_other_environment_and_scope_are_refused(
        self, api, acme, item, wallet, savings, live_wallet
    ):
        scoped = Client(make_key(acme, wallet_scope=[savings.id]))

        mixed = api.post(PATH, {"payments": [item(to=live_wallet.id)]})
        live = api.post(PATH, {"payments": [item(**{"from": live_wallet.id})]})
        denied = scoped.post(PATH, {"payments": [item()]})

        codes = [r.json()["results"][0]["error"]["code"] for r in (mixed, live, denied)]
        assert codes == ["ENVIRONMENT_MISMATCH", "ENVIRONMENT_MISMATCH", "PERMISSION_DENIED"]
        assert balance_of(wallet) == 1000

    def test_frozen_and_closed_wallets_are_refused(self, api, item, wallet, savings):
        api.post(f"/v1/wallets/{savings.id}/close")
        closed = api.post(PATH, {"payments": [item(to=savings.id)]})
        api.post(f"/v1/wallets/{wallet.id}/freeze")
        frozen = api.post(PATH, {"payments": [item()]})

        assert closed.json()["results"][0]["error"]["code"] == "INVALID_STATE"
        assert frozen.json()["results"][0]["error"]["code"] == "WALLET_FROZEN"


class TestMalformed:
    @pytest.mark.parametrize(
        "payments", [None, [], {}, "text", 5, [5], ["x"], [[]], [None], [{}]], ids=str
    )
    def test_payments_must_be_a_list_of_payments(self, api, wallet, payments):
        before = everything()

        response = api.post(PATH, {"payments": payments})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert everything() == before

    def test_more_than_twenty_are_refused(self, api, item, wallet):
        response = api.post(PATH, {"payments": [item("1")] * 21})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert balance_of(wallet) == 1000

    def test_error_names_the_index_of_a_bad_amount(self, api, item, wallet):
        response = api.post(PATH, {"payments": [item(), item("-5"), item("abc")]})

        assert (response.status_code, error_of(response)) == (400, "INVALID_AMOUNT")
        fields = response.json()["error"]["details"]["fields"]
        assert set(fields) == {"payments.1.amount", "payments.2.amount"}
        assert balance_of(wallet) == 1000


class TestKeys:
    def test_repeating_the_batch_pays_once(self, api, item, wallet):
        body = {"payments": [item(), item()], "idempotencyKey": "b"}

        first = api.post(PATH, body)
        again = api.post(PATH, body)
        other = api.post(PATH, body | {"payments": [item()]})

        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert (other.status_code, error_of(other)) == (409, "IDEMPOTENCY_KEY_REUSE")
        assert balance_of(wallet) == Decimal("979.50")

    def test_failure_is_replayed_too(self, api, item, wallet):
        body = {"payments": [item("5000")], "idempotencyKey": "b"}
        first = api.post(PATH, body)
        fund(wallet, "9000")

        again = api.post(PATH, body)

        assert (again.status_code, again.json()) == (207, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert balance_of(wallet) == 10_000

    def test_item_paid_before_is_not_paid_again(self, api, item, wallet):
        first = api.post(PATH, {"payments": [item(idempotencyKey="i-1")]}).json()

        again = api.post(PATH, {"payments": [item(), item(idempotencyKey="i-1")]})

        assert again.status_code == 200
        assert statuses(again) == ["success", "success"]
        repeated = again.json()["results"][1]
        assert (repeated["index"], repeated["replayed"]) == (1, True)
        assert repeated["transactionId"] == first["results"][0]["transactionId"]
        assert repeated["payment"] == first["results"][0]["payment"]
        assert balance_of(wallet) == Decimal("979.50")

    def test_item_key_reused_for_another_payment_fails(self, api, item, wallet):
        api.post(PATH, {"payments": [item(idempotencyKey="i-1")]})

        response = api.post(PATH, {"payments": [item(), item("11", idempotencyKey="i-1")]})

        assert statuses(response) == ["reversed", "failed"]
        assert response.json()["results"][1]["error"]["code"] == "IDEMPOTENCY_KEY_REUSE"
        assert balance_of(wallet) == Decimal("989.75")

    def test_earlier_payments_stay_when_the_batch_fails(self, api, item, wallet):
        paid = item(idempotencyKey="i-1")
        first = api.post(PATH, {"payments": [paid]}).json()["results"][0]

        poor = api.post(PATH, {"payments": [paid, item(), item("5000"), item(), paid]})
        clash = api.post(PATH, {"payments": [item("11", idempotencyKey="i-1"), paid]})

        assert statuses(poor) == ["success", "reversed", "failed", "skipped", "success"]
        assert poor.json()["results"][0] == first | {"replayed": True}
        assert statuses(clash) == ["failed", "success"]
        assert balance_of(wallet) == Decimal("989.75")

    def test_failed_batch_leaves_its_item_keys_unused(self, api, item, wallet):
        api.post(PATH, {"payments": [item(idempotencyKey="i-1"), item("5000")]})

        response = api.post(PATH, {"payments": [item(idempotencyKey="i-1")]})

        assert "replayed" not in response.json()["results"][0]
        assert balance_of(wallet) == Decimal("989.75")

    def test_equal_items_with_one_key_are_one_payment(self, api, item, wallet):
        duplicates = [item(idempotencyKey="i-1"), item(), item(idempotencyKey="i-1")]

        response = api.post(PATH, {"payments": duplicates})

        assert response.status_code == 200
        first, _, third = response.json()["results"]
        assert third == first | {"index": 2, "replayed": True}
        assert balance_of(wallet) == Decimal("979.50")

    def test_different_items_with_one_key_fail(self, api, item, wallet):
        response = api.post(
            PATH, {"payments": [item(idempotencyKey="i"), item("11", idempotencyKey="i")]}
        )

        assert statuses(response) == ["reversed", "failed"]
        assert response.json()["results"][1]["error"]["code"] == "IDEMPOTENCY_KEY_REUSE"
        assert balance_of(wallet) == 1000

    def test_item_content_is_stored_as_a_keyed_digest(self, api, item):
        """An amount and two wallets can be guessed, so a plain hash would reveal them."""
        paid = item(idempotencyKey="i-1")
        api.post(PATH, {"payments": [paid]})

        content = BatchItem.read(paid).model_dump_json()
        [stored] = IdempotencyRecord.objects.values_list("body_hash", flat=True)
        assert bytes(stored) == credentials.digest(content)
        assert bytes(stored) != hashlib.sha256(content.encode()).digest()

    def test_payment_shows_its_own_key(self, api, item):
        batch = api.post(PATH, {"payments": [item(idempotencyKey="i-1")]}).json()

        assert batch["results"][0]["payment"]["idempotencyKey"] == "i-1"
