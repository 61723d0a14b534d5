"""How often making and claiming a link asks the database, however many there are already."""

import pytest

from tests.flows.test_query_counts import statements
from tests.links.conftest import claim_body
from tests.world import Client, make_wallet

CREATE_STATEMENTS = 11
CLAIM_STATEMENTS = 25


@pytest.fixture
def api(api):
    api.get("/v1/wallets")  # notes the key's use, which later calls of this minute need not
    return api


def test_making_one(api, payer):
    body = {"walletId": payer.id, "amount": "1", "direction": "SEND"}

    def asked(number):
        return statements(
            lambda: api.post("/v1/payment-links", body | {"idempotencyKey": f"k{number}"})
        )

    first = asked(0)
    assert len(first) <= CREATE_STATEMENTS, "\n".join(first)
    for number in range(1, 5):
        assert len(asked(number)) == len(first)


def test_claiming_one(make, api, acme):
    people = [f"{number}@b.example" for number in range(5)]
    link = make(amount="1", maxUses=10, recipientRestrictions={"emails": people})
    path = f"/v1/payment-links/claim/{link['slug']}/claim"

    def asked(number):
        taker = make_wallet(acme, str(number))
        body = claim_body(taker, recipientEmail=people[number], idempotencyKey=f"k{number}")
        return statements(lambda: Client().post(path, body))

    first = asked(0)
    assert len(first) <= CLAIM_STATEMENTS, "\n".join(first)
    for number in range(1, 5):
        assert len(asked(number)) == len(first)
