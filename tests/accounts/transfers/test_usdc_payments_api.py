"""POST /v1/sandbox/usdc-payments: simulated USDC payments to an address."""

import pytest

from tests.accounts import rails
from tests.world import an_id, balance_of, error_of, make_wallet

pytestmark = pytest.mark.django_db

PATH = "/v1/sandbox/usdc-payments"
UNKNOWN_ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"


@pytest.fixture
def coins(acme):
    return make_wallet(acme, "Coins", currency="USDC")


def test_payment_completes_an_expected_transfer(api, acme, coins):
    transfer = rails.expect(coins, "25")
    answer = api.post(PATH, {"address": transfer.address.lower(), "amount": "25"})

    assert (answer.status_code, answer.json()) == (
        201,
        {
            "id": an_id("sim"),
            "address": transfer.address,
            "chain": "ethereum",
            "amount": "25.00",
            "currency": "USDC",
            "isExpected": True,
        },
    )
    rails.settle(acme)
    assert (rails.stored(transfer).status, balance_of(coins)) == ("COMPLETED", 25)


def test_repeating_the_key_pays_once(api, acme, coins):
    transfer = rails.expect(coins, "25")
    body = {"address": transfer.address, "amount": "10", "idempotencyKey": "once"}
    first, second = api.post(PATH, body), api.post(PATH, body)

    rails.settle(acme)
    assert first.json() == second.json()
    assert balance_of(coins) == 10


def test_payment_to_an_unknown_address_is_not_expected(api):
    answer = api.post(PATH, {"address": UNKNOWN_ADDRESS, "amount": "1", "chain": "Base"})
    assert (answer.json()["isExpected"], answer.json()["chain"]) == (False, "base")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"address": UNKNOWN_ADDRESS[:-1] + "a"}, "VALIDATION_ERROR"),
        ({"address": "wal_1"}, "VALIDATION_ERROR"),
        ({"address": 5}, "VALIDATION_ERROR"),
        ({"chain": ""}, "VALIDATION_ERROR"),
        ({"chain": "x" * 21}, "VALIDATION_ERROR"),
        ({"chain": "ß" * 20}, "VALIDATION_ERROR"),  # longer in lowercase
        ({"amount": "0"}, "INVALID_AMOUNT"),
        ({"amount": "1.0000001"}, "INVALID_AMOUNT"),
        ({"amount": "-5"}, "INVALID_AMOUNT"),
    ],
)
def test_invalid_payment_is_refused(api, change, code):
    answer = api.post(PATH, {"address": UNKNOWN_ADDRESS, "amount": "1"} | change)
    assert (answer.status_code, error_of(answer)) == (400, code)


def test_production_is_refused(live_api):
    answer = live_api.post(PATH, {"address": UNKNOWN_ADDRESS, "amount": "1"})
    assert (answer.status_code, error_of(answer)) == (403, "SANDBOX_ONLY")
