"""How often a request asks the database: it decides how fast money moves."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.wallets.models import Wallet
from tests import approving
from tests.accounts import rails
from tests.endpoints import LISTS, READS, scene
from tests.world import fund, hold, make_key, make_wallet

PAYMENT_STATEMENTS = 8


def statements(work) -> list[str]:
    """What `work()` asks the database, the bounds of transactions aside."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = work()
    assert response.status_code in (200, 201), response.content
    bounds = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
    return [query["sql"] for query in captured if not query["sql"].startswith(bounds)]


@pytest.fixture
def api(api):
    api.get("/v1/wallets")  # notes the key's use, which later calls of this minute need not
    return api


class TestPayment:
    @pytest.fixture
    def order(self, wallet, shop):
        fund(wallet, "1000")
        return {"from": wallet.id, "to": shop.id, "amount": "5"}

    def test_takes_few_statements(self, api, order):
        asked = statements(lambda: api.post("/v1/payments", order | {"idempotencyKey": "k"}))

        assert len(asked) <= PAYMENT_STATEMENTS, "\n".join(asked)

    def test_a_replay_takes_fewer(self, api, order):
        body = order | {"idempotencyKey": "k"}
        first = statements(lambda: api.post("/v1/payments", body))

        again = statements(lambda: api.post("/v1/payments", body))

        assert len(again) < len(first)

    def test_a_batch_takes_no_more_for_twenty_than_for_two(self, api, order):
        two = statements(lambda: api.post("/v1/payments/batch", {"payments": [order] * 2}))

        twenty = statements(lambda: api.post("/v1/payments/batch", {"payments": [order] * 20}))

        assert len(twenty) == len(two)

    def test_an_internal_transfer_takes_no_more(self, api, order, savings):
        body = order | {"to": savings.id, "idempotencyKey": "k"}

        asked = statements(lambda: api.post("/v1/transfers/internal", body))

        assert len(asked) <= PAYMENT_STATEMENTS


class TestLists:
    @pytest.mark.parametrize("endpoint", LISTS, ids=str)
    def test_a_longer_one_takes_no_more(self, endpoint, api, acme, savings):
        things = scene(acme)
        url = endpoint.url(things)
        wallet = Wallet.objects.get(pk=things["wallet"])
        hold(wallet, "1")
        few = statements(lambda: api.get(url))
        shown = len(api.get(url).json()["data"])

        for number in range(5):
            make_wallet(acme, str(number))
            make_key(acme)
            hold(wallet, "1")
            rails.unsent(wallet)
            approving.ask(wallet, savings, "1", subject_id=f"order-{number}")
            api.post("/v1/payment-links", {"walletId": wallet.id, "amount": "1"})
            api.post("/v1/payments", {"from": wallet.id, "to": savings.id, "amount": "1"})

        assert len(statements(lambda: api.get(url))) == len(few)
        assert len(api.get(url).json()["data"]) == shown + 5


class TestReads:
    @pytest.mark.parametrize("endpoint", READS, ids=str)
    def test_take_few(self, endpoint, api, acme):
        things = scene(acme)

        assert len(statements(lambda: api.get(endpoint.url(things)))) <= 3
