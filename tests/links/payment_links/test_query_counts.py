"""The number of SQL statements to create and claim a link does not grow with their number."""

import pytest

from tests.flows.test_query_counts import statements
from tests.links.conftest import claim_body
from tests.world import Client, make_wallet

CREATE_STATEMENTS = 11
CLAIM_STATEMENTS = 25


@pytest.fixture
def api(api):
    api.get("/v1/wallets")  # records the key's use, which later calls in this minute do not
    return api


def test_creating_a_link(api, payer):
    body = {"walletId": payer.id, "amount": "1", "direction": "SEND"}

    def statements_of(number):
        return statements(
            lambda: api.post("/v1/payment-links", body | {"idempotencyKey": f"k{number}"})
        )

    first = statements_of(0)
    assert len(first) <= CREATE_STATEMENTS, "\n".join(first)
    for number in range(1, 5):
        assert len(statements_of(number)) == len(first)


def test_claiming_a_link(make, api, acme):
    emails = [f"{number}@b.example" for number in range(5)]
    link = make(amount="1", maxUses=10, recipientRestrictions={"emails": emails})
    path = f"/v1/payment-links/claim/{link['slug']}/claim"

    def statements_of(number):
        recipient = make_wallet(acme, str(number))
        body = claim_body(recipient, recipientEmail=emails[number], idempotencyKey=f"k{number}")
        return statements(lambda: Client().post(path, body))

    first = statements_of(0)
    assert len(first) <= CLAIM_STATEMENTS, "\n".join(first)
    for number in range(1, 5):
        assert len(statements_of(number)) == len(first)
