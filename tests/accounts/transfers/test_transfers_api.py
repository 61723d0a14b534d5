"""GET /v1/transfers and /v1/transfers/:id: transfers over rails, visible to their owner only."""

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
    return [transfer["id"] for transfer in response.json()["transfers"]]


class TestTransfer:
    def test_withdrawal_has_every_key(self, api, acme, funded):
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

    def test_deposit_has_its_source(self, api, wallet):
        body = get(api, rails.deposit(wallet)).json()

        assert (body["direction"], body["status"]) == ("DEPOSIT", "PENDING")
        assert (body["source"]["accountNumberLast4"], body["destination"]) == ("6789", None)
        assert body["transactionId"] is None
        assert body["updatedAt"] == body["createdAt"]

    def test_expected_usdc_has_the_address_to_pay(self, api, acme):
        wallet = make_wallet(acme, "Coins", currency="USDC")
        transfer = rails.expect(wallet)

        body = get(api, transfer).json()

        assert body["depositAddress"] == transfer.address
        assert body["source"]["address"] is None  # anyone may pay to it
        assert (body["source"]["chain"], body["receivedAmount"]) == ("ethereum", "0.00")

    def test_failed_transfer_has_its_reason(self, api, acme, funded):
        transfer = rails.withdraw(funded, fault=3)
        rails.settle(acme)

        body = get(api, transfer).json()

        assert (body["status"], body["failureCode"]) == ("FAILED", "R03")
        assert body["failureReason"]
        assert body["updatedAt"] == body["failedAt"]


class TestAccess:
    def test_only_the_owner_gets_a_transfer(self, api, live_api, stranger, acme, funded, savings):
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

    def test_only_the_owner_lists_a_transfer(self, api, live_api, stranger, acme, funded, savings):
        transfer = rails.withdraw(funded)
        covering, other = (
            Client(make_key(acme, wallet_scope=[wallet.id])) for wallet in (funded, savings)
        )

        assert listed(api) == listed(covering) == [transfer.id]
        assert listed(live_api) == listed(stranger) == listed(other) == []


class TestList:
    @pytest.fixture
    def transfers(self, acme, funded, savings):
        """A completed and a pending withdrawal, and a pending deposit to another wallet."""
        completed = rails.withdraw(funded, "5")
        rails.settle(acme)
        return completed, rails.withdraw(funded, "6"), rails.deposit(savings, "7")

    def test_has_the_list_under_both_keys(self, api, transfers):
        page = api.get(PATH).json()

        assert page["data"] == page["transfers"]
        assert [item["id"] for item in page["data"]] == [
            transfer.id for transfer in reversed(transfers)
        ]
        assert page["data"][0] == get(api, transfers[2]).json()
        assert (page["hasMore"], page["cursor"], page["nextCursor"]) == (False, None, None)

    def test_filters_by_wallet_direction_and_status(self, api, funded, savings, transfers):
        completed, pending, deposit = (transfer.id for transfer in transfers)

        assert listed(api, walletId=funded.id) == [pending, completed]
        assert listed(api, walletId=savings.id) == [deposit]
        assert listed(api, direction="DEPOSIT") == [deposit]
        assert listed(api, direction="WITHDRAWAL", status="COMPLETED") == [completed]
        assert listed(api, status="PENDING") == [deposit, pending]
        assert listed(api, status="RETURNED") == []

    def test_continues_after_a_cursor(self, api, transfers):
        first = api.get(PATH, limit=2).json()
        second = api.get(PATH, limit=2, cursor=first["nextCursor"]).json()

        listed_ids = [item["id"] for page in (first, second) for item in page["transfers"]]
        assert listed_ids == [transfer.id for transfer in reversed(transfers)]
        assert (first["hasMore"], second["hasMore"]) == (True, False)

    @pytest.mark.parametrize("query", [{"direction": "SIDEWAYS"}, {"status": "POSTED"}], ids=str)
    def test_refuses_unknown_filters(self, api, query):
        response = api.get(PATH, **query)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    def test_refuses_a_wallet_of_another_organization_or_environment(self, api, shop, live_wallet):
        for id, code in (
            (shop.id, "WALLET_NOT_FOUND"),
            (unknown_id("wal"), "WALLET_NOT_FOUND"),
            (live_wallet.id, "ENVIRONMENT_MISMATCH"),
        ):
            assert error_of(api.get(PATH, walletId=id)) == code

    def test_internal_transfers_are_not_listed(self, api, funded, savings):
        body = {"fromWalletId": funded.id, "toWalletId": savings.id, "amount": "5"}
        payment_id = api.post(f"{PATH}/internal", body).json()["id"]

        assert listed(api) == []
        assert error_of(api.get(f"{PATH}/{payment_id}")) == "TRANSFER_NOT_FOUND"
        assert not Transfer.objects.exists()
