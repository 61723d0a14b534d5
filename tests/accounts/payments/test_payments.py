from decimal import Decimal
from unittest.mock import ANY

import pytest

from accounts.ledger import statements
from tests.world import (
    A_TIME,
    Client,
    an_id,
    balance_of,
    deposit,
    error_of,
    events_of,
    fund,
    in_parallel,
    make_key,
    make_wallet,
    unknown_id,
)
from wallgent.money import amount_text


class TestSendPayment:
    def test_pays_with_the_fee_on_top(self, api, wallet, shop):
        fund(wallet, "1000")

        response = api.post(
            "/v1/payments",
            {"from": wallet.id, "to": shop.id, "amount": "25.00", "description": "Data"},
        )

        paid = response.json()
        assert response.status_code == 201
        assert paid["status"] == paid["state"] == "POSTED"
        assert paid["amount"] == "25.00"
        assert paid["fee"] == "0.25"
        assert paid["from"] == paid["fromWalletId"] == wallet.id
        assert paid["to"] == paid["toWalletId"] == shop.id
        assert balance_of(wallet) == Decimal("974.75")
        assert balance_of(shop) == 25

    def test_repeating_the_key_pays_once(self, api, wallet, shop):
        fund(wallet, "1000")
        body = {"from": wallet.id, "to": shop.id, "amount": "400", "idempotencyKey": "order-A1"}

        first = api.post("/v1/payments", body)
        again = api.post("/v1/payments", body)

        assert (first.status_code, first.json()["status"]) == (201, "POSTED")
        assert again.json() == first.json()
        assert again.headers["Idempotent-Replayed"] == "true"
        assert balance_of(wallet) == Decimal("598")

    def test_refusal_for_missing_funds_leaves_a_failed_payment(self, api, wallet, shop):
        fund(wallet, "100")

        response = api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "100"})

        assert response.status_code == 402
        assert error_of(response) == "INSUFFICIENT_FUNDS"
        details = response.json()["error"]["details"]
        assert details["walletId"] == wallet.id
        assert details["balance"] == "100.00"
        assert details["requested"] == "100.50"
        failed = api.get(f"/v1/payments/{details['transactionId']}").json()
        assert (failed["status"], failed["failureCode"]) == ("FAILED", "INSUFFICIENT_FUNDS")
        assert balance_of(wallet) == 100

    @pytest.mark.django_db(transaction=True)
    def test_racing_payments_cannot_overdraw(self, api, wallet, shop):
        fund(wallet, "1000")
        body = {"from": wallet.id, "to": shop.id, "amount": "400"}

        answers = in_parallel(6, lambda n: api.post("/v1/payments", body))

        assert sorted(a.status_code for a in answers) == [201, 201, 402, 402, 402, 402]
        assert statements.out_of_balance() == 0


CONSTANT_KEYS = {
    "id": an_id("txn"),
    "rail": "internal",
    "merchantId": None,
    "failureCode": None,
    "failureReason": None,
    "reversalOf": None,
    "reversedBy": None,
    "policyEvaluationId": None,
    "createdAt": A_TIME,
    "settledAt": A_TIME,
}


def pay(client, sender, recipient, amount="25", **more):
    body = {"from": sender.id, "to": recipient.id, "amount": amount}
    return client.post("/v1/payments", body | more)


class TestPaymentAnswer:
    def test_has_every_key(self, api, wallet, shop):
        fund(wallet, "1000")

        paid = pay(api, wallet, shop, description="Data", idempotencyKey="k-1").json()

        assert paid == CONSTANT_KEYS | {
            "from": wallet.id,
            "fromWalletId": wallet.id,
            "to": shop.id,
            "toWalletId": shop.id,
            "amount": "25.00",
            "fee": "0.25",
            "currency": "USD",
            "status": "POSTED",
            "state": "POSTED",
            "kind": "PAYMENT",
            "description": "Data",
            "idempotencyKey": "k-1",
        }
        assert api.get(f"/v1/payments/{paid['id']}").json() == paid
        assert api.get("/v1/payments").json()["data"] == [paid]

    def test_recipient_sees_neither_fee_nor_idempotency_key(self, api, stranger, wallet, shop):
        fund(wallet, "1000")
        paid = pay(api, wallet, shop, idempotencyKey="secret-order-7").json()

        seen = stranger.get(f"/v1/payments/{paid['id']}").json()

        received = {"createdAt": paid["settledAt"]}
        assert seen == paid | received | {"fee": None, "idempotencyKey": None}
        assert stranger.get("/v1/payments").json()["data"] == [seen]

    def test_only_the_sender_sees_a_failed_payment(self, api, stranger, wallet, shop):
        refused = pay(api, wallet, shop)
        id = refused.json()["error"]["details"]["transactionId"]

        assert api.get(f"/v1/payments/{id}").json()["status"] == "FAILED"
        assert [p["id"] for p in api.get("/v1/payments").json()["data"]] == [id]
        assert stranger.get(f"/v1/payments/{id}").status_code == 404
        assert stranger.get("/v1/payments").json()["data"] == []


class TestPaymentInput:
    @pytest.mark.parametrize(
        ("sender", "recipient"),
        [
            ("from", "to"),
            ("fromWalletId", "toWalletId"),
            ("from_wallet_id", "to_wallet_id"),
            ("from", "toWalletId"),
        ],
    )
    def test_every_spelling_is_accepted(self, api, wallet, shop, sender, recipient):
        fund(wallet, "100")

        response = api.post("/v1/payments", {sender: wallet.id, recipient: shop.id, "amount": "25"})

        assert response.status_code == 201
        assert balance_of(shop) == 25

    def test_equal_spellings_are_accepted(self, api, wallet, shop):
        fund(wallet, "100")

        assert pay(api, wallet, shop, fromWalletId=wallet.id).status_code == 201

    @pytest.mark.parametrize("key", ["fromWalletId", "toWalletId", "to_wallet_id"])
    def test_spellings_that_differ_are_refused(self, api, wallet, savings, shop, key):
        fund(wallet, "100")

        response = pay(api, wallet, shop, **{key: savings.id})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert "different" in response.json()["error"]["message"]
        assert balance_of(wallet) == 100

    @pytest.mark.parametrize(
        ("written", "amount"),
        [
            ('"25.00"', "25.00"),
            ("25.00", "25.00"),
            ("25", "25.00"),
            ('"0.1"', "0.10"),
            ("0.1", "0.10"),
            ("0.10000001", "0.10000001"),
            ("1.23456789", "1.23456789"),
            ("12345.67890000", "12345.6789"),
            ("2.5e1", "25.00"),
            ("1E-8", "0.00000001"),
            ('"00012.5"', "12.50"),
            ("99.99999999", "99.99999999"),
            ("8999.00000001", "8999.00000001"),
        ],
    )
    def test_amounts_are_read_from_their_digits(self, api, wallet, shop, written, amount):
        deposit(wallet, "20000")
        raw = f'{{"from": "{wallet.id}", "to": "{shop.id}", "amount": {written}}}'

        response = api.request("POST", "/v1/payments", raw=raw.encode())

        assert (response.status_code, response.json()["amount"]) == (201, amount)
        assert balance_of(shop) == Decimal(amount)

    @pytest.mark.parametrize(
        ("amount", "fee"),
        [
            ("0.00000001", "0.25"),
            ("10", "0.25"),
            ("50", "0.25"),
            ("50.01", "0.25005"),
            ("100", "0.50"),
            ("500", "2.50"),
            ("1000", "5.00"),
            ("123.45678901", "0.61728395"),  # 0.61728394505, half up
            ("999999", "4999.995"),
        ],
    )
    def test_fee_is_added_on_top(self, api, wallet, shop, amount, fee):
        deposit(wallet, "2000000")

        paid = pay(api, wallet, shop, amount).json()

        assert (paid["amount"], paid["fee"]) == (amount_text(Decimal(amount)), fee)
        assert balance_of(wallet) == 2_000_000 - Decimal(amount) - Decimal(fee)
        assert balance_of(shop) == Decimal(amount)

    def test_whole_balance_can_be_spent(self, api, wallet, shop):
        fund(wallet, "100.50")

        assert pay(api, wallet, shop, "100").status_code == 201
        assert balance_of(wallet) == 0

    def test_one_unit_short_is_refused(self, api, wallet, shop):
        fund(wallet, "100.49999999")

        response = pay(api, wallet, shop, "100")

        assert (response.status_code, error_of(response)) == (402, "INSUFFICIENT_FUNDS")

    def test_largest_amount(self, api, wallet, shop):
        deposit(wallet, "999999999999.99999999")
        most = Decimal("999999999999.99999999") / Decimal("1.005")
        amount = str(most.quantize(Decimal("0.00000001"), rounding="ROUND_DOWN"))

        assert pay(api, wallet, shop, amount).status_code == 201
        assert error_of(pay(api, wallet, shop, "1000000000000")) == "INVALID_AMOUNT"

    def test_recipient_above_the_ceiling_is_refused(self, api, wallet, shop):
        deposit(wallet, "1000")
        deposit(shop, "999999999999.99999999")

        response = pay(api, wallet, shop, "1")

        assert (response.status_code, error_of(response)) == (400, "INVALID_AMOUNT")
        assert balance_of(wallet) == 1000

    def test_currency_is_the_wallets(self, api, acme, globex):
        sender = make_wallet(acme, currency="USDC", funds="100")
        recipient = make_wallet(globex, currency="USDC")

        assert pay(api, sender, recipient).json()["currency"] == "USDC"
        assert pay(api, sender, recipient, currency="USDC").status_code == 201
        assert pay(api, sender, recipient, currency=None).status_code == 201

    @pytest.mark.parametrize("currency", ["USDC", "EUR", "usd", 5])
    def test_another_currency_is_refused(self, api, wallet, shop, currency):
        fund(wallet, "100")

        response = pay(api, wallet, shop, currency=currency)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert "currency" in response.json()["error"]["details"]["fields"]

    def test_recipient_in_another_currency_is_refused(self, api, wallet, globex):
        fund(wallet, "100")
        response = pay(api, wallet, make_wallet(globex, currency="USDC"))

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert "to" in response.json()["error"]["details"]["fields"]

    def test_wallet_cannot_pay_itself(self, api, wallet):
        fund(wallet, "100")

        response = pay(api, wallet, wallet)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    @pytest.mark.parametrize(
        "merchant", [{"merchantId": "mer_1"}, {"merchantHint": {"domain": "shop.example"}}]
    )
    @pytest.mark.parametrize("with_wallet", [True, False])
    def test_merchant_is_not_found(self, api, wallet, shop, merchant, with_wallet):
        fund(wallet, "100")
        to = {"to": shop.id} if with_wallet else {}

        response = api.post("/v1/payments", {"from": wallet.id, "amount": "5"} | merchant | to)

        assert (response.status_code, error_of(response)) == (404, "MERCHANT_NOT_FOUND")
        assert balance_of(wallet) == 100

    @pytest.mark.parametrize("hint", [{}, {"domain": ""}, {"domain": 5}, "shop.example", []])
    def test_malformed_merchant_hint_is_refused(self, api, wallet, hint):
        response = api.post(
            "/v1/payments", {"from": wallet.id, "amount": "5", "merchantHint": hint}
        )

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    def test_recipient_is_required(self, api, wallet):
        response = api.post("/v1/payments", {"from": wallet.id, "amount": "5"})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert response.json()["error"]["details"]["fields"] == {"to": "is required"}

    @pytest.mark.parametrize(
        "preference", ["cheapest", "fastest", "card_only", "closed_loop_preferred", None]
    )
    def test_preferences_are_accepted(self, api, wallet, shop, preference):
        fund(wallet, "100")

        assert pay(api, wallet, shop, preference=preference).status_code == 201

    @pytest.mark.parametrize(
        "more",
        [{"preference": "best"}, {"description": "x" * 1025}, {"description": 5}, {"from": 5}],
    )
    def test_malformed_input_is_refused(self, api, wallet, shop, more):
        fund(wallet, "100")

        response = pay(api, wallet, shop, **more)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert balance_of(wallet) == 100

    def test_longest_description_is_stored(self, api, wallet, shop):
        fund(wallet, "100")

        assert pay(api, wallet, shop, description="é" * 1024).json()["description"] == "é" * 1024

    def test_unknown_recipient_is_not_found(self, api, wallet):
        fund(wallet, "100")
        body = {"from": wallet.id, "to": unknown_id("wal"), "amount": "5"}

        response = api.post("/v1/payments", body)

        assert (response.status_code, error_of(response)) == (404, "WALLET_NOT_FOUND")

    def test_recipient_in_the_other_environment_is_refused(self, api, wallet, live_wallet):
        fund(wallet, "100")

        response = pay(api, wallet, live_wallet)

        assert (response.status_code, error_of(response)) == (403, "ENVIRONMENT_MISMATCH")
        assert (balance_of(wallet), balance_of(live_wallet)) == (100, 0)

    def test_production_payments_are_separate_from_the_sandbox(
        self, live_api, api, acme, live_wallet
    ):
        other = make_wallet(acme, environment="PRODUCTION")
        deposit(live_wallet, "100")

        paid = pay(live_api, live_wallet, other).json()

        assert paid["status"] == "POSTED"
        assert live_api.get("/v1/payments").json()["data"] == [paid]
        assert api.get("/v1/payments").json()["data"] == []
        assert len(events_of(acme, "payment.completed", "PRODUCTION")) == 1


class TestPaymentEvents:
    def test_each_party_gets_the_keys_that_it_may_see(self, api, acme, globex, wallet, shop):
        fund(wallet, "100")
        paid = pay(api, wallet, shop, description="Data").json()

        (ours,) = events_of(acme, "payment.completed")
        (theirs,) = events_of(globex, "payment.completed")
        shared = {
            "transactionId": paid["id"],
            "from": wallet.id,
            "to": shop.id,
            "amount": "25.00",
            "currency": "USD",
            "status": "POSTED",
            "description": "Data",
            "merchantId": None,
            "createdAt": paid["createdAt"],
            "environment": "SANDBOX",
        }
        assert ours.data == shared | {"fee": "0.25"}
        assert theirs.data == shared | {"createdAt": paid["settledAt"]}
        assert (ours.actor_type, theirs.actor_id) == ("API_KEY", "")
        assert ours.actor_id.startswith("key_")
        assert ours.is_public

    def test_failure_is_recorded_for_the_sender_only(self, api, acme, globex, wallet, shop):
        refused = pay(api, wallet, shop).json()["error"]

        (event,) = events_of(acme, "payment.failed")
        assert event.data["transactionId"] == refused["details"]["transactionId"]
        assert (event.data["code"], event.data["reason"]) == (
            "INSUFFICIENT_FUNDS",
            refused["message"],
        )
        assert event.data["status"] == "FAILED"
        assert events_of(globex, "payment.failed") == events_of(acme, "payment.completed") == []

    def test_has_the_request_id(self, api, acme, wallet, shop):
        fund(wallet, "100")
        body = {"from": wallet.id, "to": shop.id, "amount": "5"}

        api.post("/v1/payments", body, **{"X-Request-Id": "order-17"})

        assert events_of(acme, "payment.completed")[0].request_id == "order-17"


class TestListPayments:
    def test_newest_first_for_both_sides(self, api, stranger, wallet, savings, shop):
        fund(wallet, "100")
        out = pay(api, wallet, shop, "5").json()["id"]
        inside = pay(api, wallet, savings, "6").json()["id"]
        fund(shop, "100")
        incoming = pay(stranger, shop, savings, "7").json()["id"]

        def listed(client, **query):
            return [p["id"] for p in client.get("/v1/payments", **query).json()["data"]]

        assert listed(api) == [incoming, inside, out]
        assert listed(stranger) == [incoming, out]
        assert listed(api, walletId=wallet.id) == [inside, out]
        assert listed(api, wallet_id=savings.id) == [incoming, inside]
        assert listed(api, walletId=savings.id, limit=1) == [incoming]

    def test_is_filtered_by_status(self, api, wallet, shop):
        fund(wallet, "100")
        posted = pay(api, wallet, shop).json()["id"]
        pay(api, wallet, shop, "1000")

        found = api.get("/v1/payments", status="POSTED").json()["data"]
        failed = api.get("/v1/payments", status="FAILED").json()["data"]

        assert [p["id"] for p in found] == [posted]
        assert [p["status"] for p in failed] == ["FAILED"]
        assert api.get("/v1/payments", status="PENDING").json()["data"] == []

    @pytest.mark.parametrize("status", ["posted", "unknown", "\0", "", "POSTED'--"])
    def test_unknown_status_is_refused(self, api, status):
        response = api.get("/v1/payments", status=status)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    def test_filter_by_a_foreign_wallet_is_refused(self, api, shop, live_wallet):
        foreign = api.get("/v1/payments", walletId=shop.id)
        live = api.get("/v1/payments", walletId=live_wallet.id)

        assert (foreign.status_code, error_of(foreign)) == (404, "WALLET_NOT_FOUND")
        assert (live.status_code, error_of(live)) == (403, "ENVIRONMENT_MISMATCH")

    def test_scoped_key_sees_payments_of_its_wallets(self, api, acme, wallet, savings, shop):
        fund(wallet, "100")
        fund(savings, "100")
        mine = pay(api, wallet, savings).json()["id"]
        other = pay(api, savings, shop).json()["id"]
        scoped = Client(make_key(acme, wallet_scope=[wallet.id]))

        assert [p["id"] for p in scoped.get("/v1/payments").json()["data"]] == [mine]
        assert scoped.get(f"/v1/payments/{mine}").status_code == 200
        assert error_of(scoped.get(f"/v1/payments/{other}")) == "PERMISSION_DENIED"
        refused = scoped.get("/v1/payments", walletId=savings.id)
        assert (refused.status_code, error_of(refused)) == (403, "PERMISSION_DENIED")

    def test_scoped_key_pays_only_from_its_wallets(self, acme, wallet, shop, savings):
        fund(wallet, "100")
        scoped = Client(make_key(acme, wallet_scope=[wallet.id]))

        assert pay(scoped, wallet, shop).status_code == 201
        assert pay(scoped, savings, wallet).status_code == 403


class TestReverse:
    @pytest.fixture
    def paid(self, api, wallet, shop):
        """A payment of 100 to the shop of another organization."""
        fund(wallet, "1000")
        return pay(api, wallet, shop, "100").json()

    @pytest.fixture
    def internal(self, api, wallet, savings):
        """A payment of 100 between Acme's own wallets."""
        fund(wallet, "1000")
        return pay(api, wallet, savings, "100").json()

    def test_sender_may_reverse_within_one_organization(self, api, acme, internal, wallet, savings):
        response = api.post(f"/v1/payments/{internal['id']}/reverse", {"reason": "Wrong wallet"})

        reversed_payment = response.json()
        assert response.status_code == 200
        assert reversed_payment == internal | {
            "status": "REVERSED",
            "state": "REVERSED",
            "reversedBy": ANY,
        }
        assert (balance_of(wallet), balance_of(savings)) == (Decimal("999.50"), 0)  # the fee stays
        assert api.get(f"/v1/payments/{internal['id']}").json() == reversed_payment
        reversal = api.get(f"/v1/payments/{reversed_payment['reversedBy']}").json()
        assert reversal["reversalOf"] == internal["id"]
        assert (reversal["from"], reversal["to"]) == (savings.id, wallet.id)
        assert (reversal["amount"], reversal["fee"], reversal["kind"]) == (
            "100.00",
            "0.00",
            "REVERSAL",
        )
        assert reversal["description"] == "Wrong wallet"
        (event,) = events_of(acme, "payment.reversed")
        assert event.data["reversalTransactionId"] == reversal["id"]
        assert (event.data["transactionId"], event.data["reason"]) == (
            internal["id"],
            "Wrong wallet",
        )

    def test_recipient_may_reverse_between_organizations(
        self, stranger, acme, globex, paid, wallet, shop
    ):
        response = stranger.post(f"/v1/payments/{paid['id']}/reverse")

        assert (response.status_code, response.json()["status"]) == (200, "REVERSED")
        assert (balance_of(wallet), balance_of(shop)) == (Decimal("999.50"), 0)
        assert len(events_of(acme, "payment.reversed")) == 1
        assert len(events_of(globex, "payment.reversed")) == 1

    def test_sender_may_not_reverse_between_organizations(self, api, paid, shop):
        response = api.post(f"/v1/payments/{paid['id']}/reverse")

        assert (response.status_code, error_of(response)) == (422, "REVERSAL_NOT_ALLOWED")
        assert "ask the recipient" in response.json()["error"]["message"]
        assert balance_of(shop) == 100
        assert api.get(f"/v1/payments/{paid['id']}").json()["status"] == "POSTED"

    def test_payment_is_reversed_only_once(self, api, internal, wallet):
        api.post(f"/v1/payments/{internal['id']}/reverse")

        again = api.post(f"/v1/payments/{internal['id']}/reverse")

        assert (again.status_code, error_of(again)) == (422, "REVERSAL_NOT_ALLOWED")
        assert balance_of(wallet) == Decimal("999.50")

    def test_reversal_cannot_be_reversed(self, api, internal):
        reversed_payment = api.post(f"/v1/payments/{internal['id']}/reverse").json()

        response = api.post(f"/v1/payments/{reversed_payment['reversedBy']}/reverse")

        assert (response.status_code, error_of(response)) == (422, "REVERSAL_NOT_ALLOWED")

    def test_failed_payment_cannot_be_reversed(self, api, wallet, savings):
        failed = pay(api, wallet, savings).json()["error"]["details"]["transactionId"]

        response = api.post(f"/v1/payments/{failed}/reverse")

        assert (response.status_code, error_of(response)) == (422, "REVERSAL_NOT_ALLOWED")

    def test_spent_money_cannot_be_returned(self, api, internal, savings, shop):
        pay(api, savings, shop, "50")

        response = api.post(f"/v1/payments/{internal['id']}/reverse")

        assert (response.status_code, error_of(response)) == (402, "INSUFFICIENT_FUNDS")
        details = response.json()["error"]["details"]
        assert (details["walletId"], details["requested"]) == (savings.id, "100.00")
        assert api.get(f"/v1/payments/{internal['id']}").json()["status"] == "POSTED"

    def test_frozen_recipient_cannot_reverse(self, api, internal, savings):
        api.post(f"/v1/wallets/{savings.id}/freeze")

        response = api.post(f"/v1/payments/{internal['id']}/reverse")

        assert (response.status_code, error_of(response)) == (403, "WALLET_FROZEN")
        assert response.json()["error"]["details"]["walletId"] == savings.id

    def test_closed_sender_cannot_receive_a_reversal(self, api, acme, shop, savings):
        purse = make_wallet(acme, funds="100.50")
        payment = pay(api, purse, savings, "100").json()
        assert api.post(f"/v1/wallets/{purse.id}/close").status_code == 200

        response = api.post(f"/v1/payments/{payment['id']}/reverse")

        assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")
        assert balance_of(savings) == 100

    def test_scoped_key_must_cover_the_recipient(self, acme, internal, wallet, savings):
        sender = Client(make_key(acme, wallet_scope=[wallet.id]))
        recipient = Client(make_key(acme, wallet_scope=[savings.id]))

        refused = sender.post(f"/v1/payments/{internal['id']}/reverse")
        given = recipient.post(f"/v1/payments/{internal['id']}/reverse")

        assert (refused.status_code, error_of(refused)) == (403, "PERMISSION_DENIED")
        assert given.status_code == 200

    def test_internal_transfer_can_be_reversed(self, api, wallet, savings):
        fund(wallet, "100")
        move = {"fromWalletId": wallet.id, "toWalletId": savings.id, "amount": "40"}
        id = api.post("/v1/transfers/internal", move).json()["transactionId"]

        assert api.post(f"/v1/payments/{id}/reverse").status_code == 200
        assert balance_of(wallet) == 100

    def test_repeating_the_key_reverses_once(self, api, internal, wallet):
        path = f"/v1/payments/{internal['id']}/reverse"

        first = api.post(path, {"idempotencyKey": "r"})
        again = api.post(path, None, **{"Idempotency-Key": "r"})

        assert (first.status_code, again.status_code) == (200, 200)
        assert again.json() == first.json()
        assert again.headers["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize("reason", [5, "x" * 1025, {}])
    def test_malformed_input_is_refused(self, api, internal, reason):
        response = api.post(f"/v1/payments/{internal['id']}/reverse", {"reason": reason})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    @pytest.mark.django_db(transaction=True)
    def test_racing_reversals_reverse_once(self, api, internal, wallet):
        path = f"/v1/payments/{internal['id']}/reverse"

        answers = in_parallel(4, lambda n: api.post(path))

        assert sorted(a.status_code for a in answers) == [200, 422, 422, 422]
        assert balance_of(wallet) == Decimal("999.50")
