"""Whatever goes wrong, wherever it does: a link is claimed and paid, or it is neither."""

import itertools

import pytest
from django.db import OperationalError, connection

from links import tasks
from links.models import PaymentLink
from tests.accounts.test_crashes import Strike
from tests.links.conftest import claim_body, lapse, soon
from tests.world import Client, everything

pytestmark = pytest.mark.django_db

DEEDS = {
    "a new link": 201,
    "a refused link": 402,
    "a claim": 200,
    "the last of two claims": 200,
    "a late claim": 409,
    "a cancelling": 200,
    "a sweep": 1,
}


@pytest.fixture
def deeds(make, api, claim, payer, shop, acme, savings):
    links = {
        "a claim": make(amount="10"),
        "the last of two claims": make(amount="10", maxUses=2),
        "a late claim": make(amount="10", expiresAt=soon()),
    }
    cancelled = make(amount="10")
    claim(links["the last of two claims"], savings)
    new = {"walletId": payer.id, "amount": "10", "direction": "SEND", "idempotencyKey": "new"}

    def claiming(link):
        path = f"/v1/payment-links/claim/{link['slug']}/claim"
        body = claim_body(shop, idempotencyKey="key")
        return lambda: Client().post(path, body).status_code

    def sweep():
        try:
            return tasks.expire_links()
        except (RuntimeError, OperationalError):
            # What a set did before stays done.
            return PaymentLink.objects.filter(status="EXPIRED").count() or 500

    made = {
        "a new link": lambda: api.post("/v1/payment-links", new).status_code,
        "a refused link": lambda: (
            api.post("/v1/payment-links", new | {"amount": "1000"}).status_code
        ),
        "a cancelling": lambda: api.patch(f"/v1/payment-links/{cancelled['id']}").status_code,
        "a sweep": sweep,
    }
    lapse(links["a late claim"])
    return made | {name: claiming(link) for name, link in links.items()}


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), OperationalError("connection lost")], ids=["bug", "lost"]
)
@pytest.mark.parametrize("what", DEEDS)
def test_interrupted_anywhere_nothing_was_done(deeds, what, error):
    before = everything()

    for number in itertools.count(1):
        strike = Strike(number, error)
        with connection.execute_wrapper(strike):
            status = deeds[what]()
        if not strike.struck:
            break
        if what == "a sweep" and status == 1:
            break  # each was then tried alone, or had been expired before
        assert status in (0, 500, 503), strike.struck
        assert everything() == before, strike.struck

    assert status == DEEDS[what]
    assert everything() != before
