"""An error in place of any SQL statement leaves everything as it was before."""

import itertools
import uuid
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, transaction

from accounts.ledger import chart, holds, journal
from accounts.ledger.journal import Move, Posting
from tests.accounts.ledger import book
from tests.world import everything, fund, make_wallet
from wallgent import ids

pytestmark = pytest.mark.django_db

KEY = {"idempotencyKey": "key"}
ERRORS = [RuntimeError("a bug"), OperationalError("connection lost")]


class FailAt:
    """Raises an error in place of the `number`-th statement, not counting savepoints."""

    def __init__(self, number: int, error: Exception):
        self.remaining = number
        self.error = error
        self.statement = None  # the statement that it replaced, if there were enough

    def __call__(self, execute, sql, *arguments):
        if not sql.startswith(("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")):
            self.remaining -= 1
            if not self.remaining:
                self.statement = sql
                raise self.error
        return execute(sql, *arguments)


@pytest.fixture
def operations(api, stranger, acme, wallet, shop):
    """Functions to interrupt, by name. Each returns a status as the API does."""
    fund(wallet, "100")
    savings = make_wallet(acme, "Savings")
    pay = {"from": wallet.id, "to": shop.id, "amount": "10"}
    paid = api.post("/v1/payments", pay).json()["id"]
    held = book.hold(wallet.account_id, "20").id
    hold, capture, release = ids.new("hld"), uuid.uuid4(), uuid.uuid4()
    posting = Posting(
        id=ids.new("txn"),
        moves=(Move(wallet.account_id, shop.account_id, Decimal(15), "USD"),),
        reason="test",
    )
    items = [pay | {"idempotencyKey": f"item-{n}", "amount": str(n)} for n in range(1, 4)]
    rich = {"payments": [*items, pay | {"from": shop.id}]}

    def post(path, body, client=api):
        return lambda: client.post(path, body | KEY).status_code

    def step(work):
        def run():
            try:
                with transaction.atomic():
                    work()
            except RuntimeError:
                return 500
            except OperationalError:
                return 503
            return 200

        return run

    return {
        "a payment": post("/v1/payments", pay),
        "a refused payment": post("/v1/payments", pay | {"amount": "1000"}),
        "a transfer": post("/v1/transfers/internal", pay | {"to": savings.id}),
        "a batch": post("/v1/payments/batch", {"payments": items}),
        "a refused batch": post(
            "/v1/payments/batch", {"payments": [*items, pay | {"amount": "1000"}]}
        ),
        "a batch of a stranger": post("/v1/payments/batch", rich),
        "a funding": post(f"/v1/wallets/{wallet.id}/fund", {"amount": "10"}),
        "a reversal": post(f"/v1/payments/{paid}/reverse", {}, stranger),
        "a new wallet": post("/v1/wallets", {"name": "New"}),
        "a freeze": post(f"/v1/wallets/{wallet.id}/freeze", {}),
        "a closing": post(f"/v1/wallets/{savings.id}/close", {}),
        "a hold": step(lambda: book.hold(wallet.account_id, "5", id=hold)),
        "a capture": step(
            lambda: holds.capture(held, posting, amount=Decimal(15), operation=capture)
        ),
        "a release": step(lambda: holds.release(held, operation=release)),
        "a roll-up": step(journal.roll_up),
        "a freeze of the account": step(lambda: chart.set_state(wallet.account_id, "FROZEN")),
    }


EXPECTED_STATUS = {
    "a payment": 201,
    "a refused payment": 402,
    "a transfer": 201,
    "a batch": 200,
    "a refused batch": 207,
    "a batch of a stranger": 207,
    "a funding": 201,
    "a reversal": 200,
    "a new wallet": 201,
    "a freeze": 200,
    "a closing": 200,
    "a hold": 200,
    "a capture": 200,
    "a release": 200,
    "a roll-up": 200,
    "a freeze of the account": 200,
}


@pytest.mark.parametrize("what", EXPECTED_STATUS)
def test_error_at_any_statement_changes_nothing(operations, what):
    before = everything()

    for number in itertools.count(1):
        failure = FailAt(number, ERRORS[number % 2])
        with connection.execute_wrapper(failure):
            status = operations[what]()
        if not failure.statement:
            break
        assert status == (503 if number % 2 else 500), failure.statement
        assert everything() == before, failure.statement

    assert status == EXPECTED_STATUS[what]
    assert everything() != before
