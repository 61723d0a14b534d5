"""Internal payments: between an organization's own wallets, free of charge."""

from decimal import Decimal

import pytest

from accounts.payments.models import Payment
from tests.world import (
    A_TIME,
    Client,
    an_id,
    balance_of,
    deposit,
    error_of,
    events_of,
    fund,
    make_key,
    make_wallet,
    unknown_id,
)

PATH = "/v1/transfers/internal"


def move(client, sender, recipient, amount="40", **more):
    body = {"fromWalletId": sender.id, "toWalletId": recipient.id, "amount": amount}
    return client.post(PATH, body | more)


class TestInternalPayment:
    def test_answer_has_every_key_and_no_fee(self, api, acme, wallet, savings):
        fund(wallet, "100")

        response = move(api, wallet, savings, description="Move to savings")

        assert response.status_code == 201
        transfer = response.json()
        assert transfer == {
            "id": an_id("txn"),
            "transactionId": transfer["id"],
            "from": wallet.id,
            "fromWalletId": wallet.id,
            "to": savings.id,
            "toWalletId": savings.id,
            "amount": "40.00",
            "fee": "0.00",
            "currency": "USD",
            "status": "POSTED",
            "state": "POSTED",
            "description": "Move to savings",
            "createdAt": A_TIME,
        }
        assert (balance_of(wallet), balance_of(savings)) == (60, 40)
        assert [e.subject for e in events_of(acme, "payment.completed")] == [transfer["id"]]

    def test_is_listed_among_the_payments(self, api, wallet, savings):
        fund(wallet, "100")
        id = move(api, wallet, savings).json()["id"]

        (payment,) = api.get("/v1/payments").json()["data"]

        assert (payment["id"], payment["kind"], payment["fee"]) == (id, "INTERNAL", "0.00")

    @pytest.mark.parametrize(
        ("sender", "recipient"),
        [("from", "to"), ("fromWalletId", "toWalletId"), ("from_wallet_id", "to_wallet_id")],
    )
    def test_every_spelling_is_accepted(self, api, wallet, savings, sender, recipient):
        fund(wallet, "100")

        response = api.post(PATH, {sender: wallet.id, recipient: savings.id, "amount": 40})

        assert response.status_code == 201
        assert balance_of(savings) == 40

    @pytest.mark.parametrize("key", ["from", "to"])
    def test_spellings_that_differ_are_refused(self, api, wallet, savings, shop, key):
        fund(wallet, "100")

        response = move(api, wallet, savings, **{key: shop.id})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert balance_of(wallet) == 100

    def test_wallet_of_another_organization_is_not_found(self, api, wallet, shop):
        fund(wallet, "100")
        fund(shop, "100")

        out = move(api, wallet, shop)
        pull = move(api, shop, wallet)

        assert [(r.status_code, error_of(r)) for r in (out, pull)] == [
            (404, "WALLET_NOT_FOUND")
        ] * 2
        assert (balance_of(wallet), balance_of(shop)) == (100, 100)
        assert not Payment.objects.exists()

    def test_unknown_wallet_is_not_found(self, api, wallet):
        response = api.post(PATH, {"from": wallet.id, "to": unknown_id("wal"), "amount": "5"})

        assert (response.status_code, error_of(response)) == (404, "WALLET_NOT_FOUND")

    def test_wallet_of_the_other_environment_is_refused(self, api, wallet, live_wallet):
        fund(wallet, "100")
        deposit(live_wallet, "100")

        answers = [move(api, wallet, live_wallet), move(api, live_wallet, wallet)]

        assert [(r.status_code, error_of(r)) for r in answers] == [
            (403, "ENVIRONMENT_MISMATCH")
        ] * 2

    def test_scoped_key_moves_only_from_its_wallets(self, acme, wallet, savings):
        fund(wallet, "100")
        fund(savings, "100")
        scoped = Client(make_key(acme, wallet_scope=[wallet.id]))

        assert move(scoped, wallet, savings).status_code == 201
        assert error_of(move(scoped, savings, wallet)) == "PERMISSION_DENIED"

    def test_missing_funds_are_refused(self, api, acme, wallet, savings):
        fund(wallet, "39.99")

        response = move(api, wallet, savings)

        assert (response.status_code, error_of(response)) == (402, "INSUFFICIENT_FUNDS")
        details = response.json()["error"]["details"]
        assert (details["balance"], details["requested"]) == ("39.99", "40.00")
        assert len(events_of(acme, "payment.failed")) == 1

    def test_whole_balance_can_be_moved(self, api, wallet, savings):
        fund(wallet, "40")

        assert move(api, wallet, savings).status_code == 201
        assert balance_of(wallet) == 0

    def test_repeating_the_key_moves_once(self, api, wallet, savings):
        fund(wallet, "100")

        first = move(api, wallet, savings, idempotencyKey="m")
        again = move(api, wallet, savings, idempotencyKey="m")

        assert again.json() == first.json()
        assert balance_of(savings) == 40

    def test_currency_is_the_wallets(self, api, acme, savings):
        purse = make_wallet(acme, currency="USDC", funds="100")
        other = make_wallet(acme, currency="USDC")

        assert move(api, purse, other).json()["currency"] == "USDC"
        assert error_of(move(api, purse, savings)) == "VALIDATION_ERROR"
        assert balance_of(other) == Decimal(40)

    @pytest.mark.parametrize(
        "body",
        [
            {"fromWalletId": None},
            {"toWalletId": None},
            {"toWalletId": 5},
            {"currency": "EUR"},
            {"description": "x" * 1025},
        ],
    )
    def test_malformed_input_is_refused(self, api, wallet, savings, body):
        response = move(api, wallet, savings, **body)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    def test_transfer_to_the_same_wallet_is_refused(self, api, wallet):
        fund(wallet, "100")

        response = move(api, wallet, wallet)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
