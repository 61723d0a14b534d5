"""GET /v1/transfers and /v1/transfers/:id: transfers over rails, for their owner alone."""

import pytest

from accounts.transfers.models import Transfer
from tests.accounts import rails
from tests.world import (
    A_TIME,
    Client,
    Text,
    an_id,
    error_of,
    fund,
    make_key,
    make_wallet,
    unknown_id,
)

PATH = "/v1/transfers"
NUMBER = "000123456789"


@pytest.fixture
def funded(wallet):
    fund(wallet, "100")
    return wallet


def get(client, transfer):
    return client.get(f"{PATH}/{transfer.id}")


def listed(client, **query) -> list[str]:
    response = client.get(PATH, **query)
    assert response.status_code == 200, response.content
    return [one["id"] for one in response.json()["transfers"]]


class TestTransfer:
    def test_answers_every_key_of_a_withdrawal(self, api, acme, funded):
        transfer = rails.withdraw(funded, "25")
        rails.settle(acme)

        response = get(api, transfer)

        assert NUMBER not in response.text
        assert response.json() == {
            "id": transfer.id,
            "organizationId": acme.id,
            "walletId": funded.id,
            "direction": "WITHDRAWAL",
            "railType": "ACH",
            "rail": "ACH",
            "amount": "25.00",
            "currency": "USD",
            "fee": "0.00",
            "customerFee": "0.00",
            "status": "COMPLETED",
            "description": None,
            "source": None,
            "destination": {
                "type": "ACH",
                "bankAccountId": None,
                "bankName": "JPMorgan Chase Bank",
                "accountName": "Grace Hopper",
                "accountNumberLast4": "6789",
                "address": None,
                "chain": None,
            },
            "bankAccountId": None,
            "depositAddress": None,
            "receivedAmount": None,
            "referenceType": None,
            "referenceId": None,
            "externalId": Text(".+"),
            "transactionId": an_id("txn"),
            "ledgerTxnId": an_id("txn"),
            "settleTxnId": an_id("txn"),
            "returnTransactionId": None,
            "chargedWalletId": None,
            "failureCode": None,
            "failureReason": None,
            "createdAt": A_TIME,
            "updatedAt": A_TIME,
            "completedAt": A_TIME,
            "failedAt": None,
            "cancelledAt": None,
            "returnedAt": None,
        }

    def test_of_a_deposit_names_its_source(self, api, wallet):
        shown = get(api, rails.deposit(wallet)).json()

        assert (shown["direction"], shown["status"]) == ("DEPOSIT", "PENDING")
        assert (shown["source"]["accountNumberLast4"], shown["destination"]) == ("6789", None)
        assert shown["transactionId"] is None
        assert shown["updatedAt"] == shown["createdAt"]

    def test_of_expected_usdc_names_the_address_to_pay_to(self, api, acme):
        wallet = make_wallet(acme, "Coins", currency="USDC")
        transfer = rails.expect(wallet)

        shown = get(api, transfer).json()

        assert shown["depositAddress"] == transfer.address
        assert shown["source"]["address"] is None  # anybody may pay to it
        assert (shown["source"]["chain"], shown["receivedAmount"]) == ("ethereum", "0.00")

    def test_that_failed_says_why(self, api, acme, funded):
        transfer = rails.withdraw(funded, fault=3)
        rails.settle(acme)

        shown = get(api, transfer).json()

        assert (shown["status"], shown["failureCode"]) == ("FAILED", "R03")
        assert shown["failureReason"]
        assert shown["updatedAt"] == shown["failedAt"]


class TestOwner:
    def test_alone_sees_it(self, api, live_api, stranger, acme, funded, savings):
        transfer = rails.withdraw(funded)
        scoped = Client(make_key(acme, wallet_scope=[savings.id]))

        for client, status, code in (
            (stranger, 404, "TRANSFER_NOT_FOUND"),
            (live_api, 403, "ENVIRONMENT_MISMATCH"),
            (scoped, 403, "PERMISSION_DENIED"),
            (Client(), 401, "UNAUTHORIZED"),
        ):
            response = get(client, transfer)
            assert (response.status_code, error_of(response)) == (status, code)
        assert get(api, transfer).status_code == 200

    def test_alone_lists_it(self, api, live_api, stranger, acme, funded, savings):
        transfer = rails.withdraw(funded)
        covering, other = (
            Client(make_key(acme, wallet_scope=[wallet.id])) for wallet in (funded, savings)
        )

        assert listed(api) == listed(covering) == [transfer.id]
        assert listed(live_api) == listed(stranger) == listed(other) == []


class TestList:
    @pytest.fixture
    def three(self, acme, funded, savings):
        """A completed withdrawal, a pending one and a pending deposit of another wallet."""
        done = rails.withdraw(funded, "5")
        rails.settle(acme)
        return done, rails.withdraw(funded, "6"), rails.deposit(savings, "7")

    def test_has_both_shapes(self, api, three):
        page = api.get(PATH).json()

        assert page["data"] == page["transfers"]
        assert [one["id"] for one in page["data"]] == [one.id for one in reversed(three)]
        assert page["data"][0] == get(api, three[2]).json()
        assert (page["hasMore"], page["cursor"], page["nextCursor"]) == (False, None, None)

    def test_filters(self, api, funded, savings, three):
        done, pending, deposit = (one.id for one in three)

        assert listed(api, walletId=funded.id) == [pending, done]
        assert listed(api, walletId=savings.id) == [deposit]
        assert listed(api, direction="DEPOSIT") == [deposit]
        assert listed(api, direction="WITHDRAWAL", status="COMPLETED") == [done]
        assert listed(api, status="PENDING") == [deposit, pending]
        assert listed(api, status="RETURNED") == []

    def test_goes_on_behind_a_cursor(self, api, three):
        first = api.get(PATH, limit=2).json()
        second = api.get(PATH, limit=2, cursor=first["nextCursor"]).json()

        seen = [one["id"] for page in (first, second) for one in page["transfers"]]
        assert seen == [one.id for one in reversed(three)]
        assert (first["hasMore"], second["hasMore"]) == (True, False)

    @pytest.mark.parametrize("query", [{"direction": "SIDEWAYS"}, {"status": "POSTED"}], ids=str)
    def test_refuses_unknown_filters(self, api, query):
        response = api.get(PATH, **query)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    def test_of_a_strangers_wallet_is_refused(self, api, shop, live_wallet):
        for id, code in (
            (shop.id, "WALLET_NOT_FOUND"),
            (unknown_id("wal"), "WALLET_NOT_FOUND"),
            (live_wallet.id, "ENVIRONMENT_MISMATCH"),
        ):
            assert error_of(api.get(PATH, walletId=id)) == code

    def test_internal_transfers_are_payments(self, api, funded, savings):
        body = {"fromWalletId": funded.id, "toWalletId": savings.id, "amount": "5"}
        moved = api.post(f"{PATH}/internal", body).json()["id"]

        assert listed(api) == []
        assert error_of(api.get(f"{PATH}/{moved}")) == "TRANSFER_NOT_FOUND"
        assert not Transfer.objects.exists()
