from decimal import Decimal

import pytest

from accounts.ledger import statements
from tests.world import balance_of, error_of, fund, in_parallel


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
        order = {"from": wallet.id, "to": shop.id, "amount": "400", "idempotencyKey": "order-A1"}

        first = api.post("/v1/payments", order)
        again = api.post("/v1/payments", order)

        assert (first.status_code, first.json()["status"]) == (201, "POSTED")
        assert again.json() == first.json()
        assert again.headers["Idempotent-Replayed"] == "true"
        assert balance_of(wallet) == Decimal("598")

    def test_refusal_for_funds_leaves_a_failed_payment(self, api, wallet, shop):
        fund(wallet, "100")

        response = api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "100"})

        assert response.status_code == 402
        assert error_of(response) == "INSUFFICIENT_FUNDS"
        details = response.json()["error"]["details"]
        assert details["walletId"] == wallet.id
        assert details["balance"] == "100.00000000"
        assert details["requested"] == "100.50"
        failed = api.get(f"/v1/payments/{details['transactionId']}").json()
        assert (failed["status"], failed["failureCode"]) == ("FAILED", "INSUFFICIENT_FUNDS")
        assert balance_of(wallet) == 100

    @pytest.mark.django_db(transaction=True)
    def test_racing_payments_cannot_overdraw(self, api, wallet, shop):
        fund(wallet, "1000")
        order = {"from": wallet.id, "to": shop.id, "amount": "400"}

        answers = in_parallel(6, lambda n: api.post("/v1/payments", order))

        assert sorted(a.status_code for a in answers) == [201, 201, 402, 402, 402, 402]
        assert statements.out_of_balance() == 0
