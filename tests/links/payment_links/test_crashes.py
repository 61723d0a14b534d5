"""An error at any SQL statement leaves a link fully claimed and paid, or unchanged."""

import itertools
from contextlib import suppress
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, transaction

from accounts.controls.models import Approval
from accounts.transfers.rails.simulator import pay_address
from accounts.transfers.services import worker
from links.payment_links.models import Claim
from links.payment_links.services import expiry, settings
from tests import due
from tests.accounts import rails
from tests.accounts.payments.test_crashes import ERRORS, FailAt
from tests.links.conftest import (
    ach_body,
    agreed,
    claim_body,
    lapse,
    send_claim,
    soon,
    stored,
    usdc_body,
)
from tests.world import (
    actor_for,
    available_of,
    balance_of,
    events_of,
    everything,
    make_wallet,
    reset_rate_limits,
)

pytestmark = pytest.mark.django_db

OPERATIONS = {
    "a new link": 201,
    "a refused link": 402,
    "a claim": 200,
    "the last of two claims": 200,
    "a late claim": 409,
    "a cancellation": 200,
    "a sweep": 1,
    "a claim by bank": 200,
    "a debit": 200,
    "an address to pay": 200,
    "a payment with a key": 200,
    "a request to pay": 202,
    "an approval": 200,
    "a rejection": 200,
}


@pytest.fixture
def operations(make, api, stranger, claim, payer, shop, acme, globex, savings):
    settings.set_conversion(acme, actor=actor_for(acme), allowed=True)
    purse = make_wallet(globex, "Purse", funds="50")
    links = {
        "a claim": make(amount="10"),
        "the last of two claims": make(amount="10", maxUses=2),
        "a late claim": make(amount="10", expiresAt=soon()),
    }
    cancelled = make(amount="10")
    claim(links["the last of two claims"], savings)
    new = {"walletId": payer.id, "amount": "10", "direction": "SEND", "idempotencyKey": "new"}

    def claim_with(link, body=None, client=None):
        body = (body or claim_body(shop)) | {"idempotencyKey": "key"}
        return lambda: send_claim(link, body, client=client).status_code

    def decide(verb):
        send_claim(make(amount="10", direction="RECEIVE"), claim_body(purse))
        approval = Approval.objects.latest("pk")
        return lambda: stranger.post(f"/v1/approvals/{approval.id}/{verb}").status_code

    def pay_with(body, client=None):
        return claim_with(make(amount="10", direction="RECEIVE"), body, client)

    def sweep():
        with suppress(RuntimeError, OperationalError), transaction.atomic():
            connection.atomic_blocks[-1]._from_testcase = True  # allows durable blocks in it
            due.work(expiry.DUE_WORK)
        count = "SELECT count(*) FROM links_paymentlink WHERE status = 'EXPIRED'"
        return connection.connection.execute(count).fetchone()[0]  # cannot be made to fail

    made = {
        "a new link": lambda: api.post("/v1/payment-links", new).status_code,
        "a refused link": lambda: (
            api.post("/v1/payment-links", new | {"amount": "1000"}).status_code
        ),
        "a cancellation": lambda: api.patch(f"/v1/payment-links/{cancelled['id']}").status_code,
        "a sweep": sweep,
        "a claim by bank": claim_with(make(amount="10"), ach_body()),
        "a debit": pay_with(ach_body() | agreed()),
        "an address to pay": pay_with(usdc_body()),
        "a payment with a key": pay_with(claim_body(purse), stranger),
        "a request to pay": pay_with(claim_body(purse)),
        "an approval": decide("approve"),
        "a rejection": decide("reject"),
    }
    lapse(links["a late claim"])
    return made | {name: claim_with(link) for name, link in links.items()}


@pytest.mark.parametrize("what", OPERATIONS)
def test_error_at_any_statement_changes_nothing(operations, what):
    def state():
        tables = everything()
        if what == "a sweep":
            del tables["wallgent_duework"]  # it has the failure
        return tables

    before = state()

    for number in itertools.count(1):
        failure = FailAt(number, ERRORS[number % 2])
        reset_rate_limits()
        with connection.execute_wrapper(failure):
            status = operations[what]()
        if not failure.statement:
            break
        assert status in (0, 500, 503), failure.statement
        assert state() == before, failure.statement

    assert status == OPERATIONS[what]
    assert state() != before


# Claims under way: the direction, the claim, the seconds to wait, and the final state.
ENDS = {
    "completed": ("SEND", ach_body(), 5, ("SETTLED", "SETTLED", 75, 75)),
    "failed": ("SEND", ach_body(1), 5, ("ACTIVE", "FAILED", 100, 75)),
    "returned": ("SEND", ach_body(10), 60, ("ACTIVE", "RETURNED", 100, 75)),
    "debited": ("RECEIVE", ach_body() | agreed(), 5, ("SETTLED", "SETTLED", 125, 125)),
    "debit returned": ("RECEIVE", ach_body(10) | agreed(), 60, ("ACTIVE", "RETURNED", 100, 100)),
    "paid": ("RECEIVE", usdc_body(), 5, ("SETTLED", "SETTLED", 125, 125)),
    "paid late": ("RECEIVE", usdc_body(), 3700, ("SETTLED", "SETTLED", 125, 125)),
    "abandoned": ("RECEIVE", usdc_body(), 3700, ("ACTIVE", "EXPIRED", 100, 100)),
}


@pytest.mark.parametrize("what", ENDS)
def test_settlement_interrupted_at_any_statement_ends_the_same(make, acme, payer, what):
    """Whichever statement the worker stops at, the next worker continues."""
    direction, body, seconds, expected = ENDS[what]
    settings.set_conversion(acme, actor=actor_for(acme), allowed=True)
    link = make(direction=direction)
    claimed = send_claim(link, body)
    rails.sweep()
    rails.advance(acme, seconds=seconds)
    if what.startswith("paid"):
        pay_address(claimed.json()["deposit"]["address"], Decimal(25))
        worker.check_now(Claim.objects.get().transfer)

    for number in itertools.count(1):
        failure = FailAt(number, RuntimeError("the worker dies"))
        with transaction.atomic():
            connection.atomic_blocks[-1]._from_testcase = True  # also rolls back durable blocks
            with connection.execute_wrapper(failure), suppress(RuntimeError):
                rails.sweep()
            rails.advance(acme, seconds=120)
            rails.sweep()
            rails.advance(acme, seconds=120)
            rails.sweep()
            end = (stored(link).status, Claim.objects.get().status)
            end += (balance_of(payer), available_of(payer))
            counts = [
                len(events_of(acme, f"payment_link.{type}")) for type in ("settled", "reopened")
            ]
            transaction.set_rollback(True)
        assert end == expected, failure.statement
        assert counts == [expected[1] in ("SETTLED", "RETURNED"), expected[0] == "ACTIVE"]
        if not failure.statement:
            break
