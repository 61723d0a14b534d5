"""A refusal rolls the work back; a second transaction is opened only for what must outlive it."""

import pytest
from django.db import OperationalError, connection, transaction
from django.test import RequestFactory

from accounts.organizations.models import Organization
from tests.world import error_of
from wallgent import service_runner
from wallgent.api import commands, errors
from wallgent.errors import Conflict, ServiceUnavailable

LOST = OperationalError("the connection is lost")


class Transactions:
    """Counts transactions; from the second on the connection is lost."""

    def __init__(self):
        self.count = 0

    def atomic(self):
        self.count += 1
        if self.count > 1:
            raise LOST
        return transaction.atomic()


@pytest.fixture
def transactions(monkeypatch):
    """The transactions of whoever runs a command."""
    counted = Transactions()
    for module in (commands, service_runner):
        monkeypatch.setattr(module, "transaction", counted)
    return counted


def refuse(*, after_rollback=None):
    refusal = Conflict("No.")
    refusal.after_rollback = after_rollback
    raise refusal


@pytest.mark.django_db
class TestRun:
    def test_a_refusal_without_a_record_opens_no_second_transaction(self, transactions):
        with pytest.raises(Conflict):
            service_runner.run(refuse, actor=None)
        assert transactions.count == 1

    def test_the_record_of_a_refusal_outlives_it(self, acme):
        def record(*, actor):
            Organization.objects.filter(pk=acme.pk).update(name="Recorded")

        def work():
            Organization.objects.filter(pk=acme.pk).update(email="changed@acme.example")
            refuse(after_rollback=record)

        with pytest.raises(Conflict):
            service_runner.run(work, actor=None)
        stored = Organization.objects.get(pk=acme.pk)
        assert (stored.name, stored.email) == ("Recorded", acme.email)

    def test_a_connection_lost_before_the_record_is_a_503(self, transactions):
        with pytest.raises(ServiceUnavailable):
            service_runner.run(lambda: refuse(after_rollback=lambda **_: None), actor=None)
        assert transactions.count == 2

    def test_a_connection_lost_during_the_work_is_a_503(self, transactions):
        def work():
            raise LOST

        with pytest.raises(ServiceUnavailable):
            service_runner.run(work, actor=None)
        assert transactions.count == 1

    def test_a_server_that_only_reads_is_a_503(self):
        def work():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL transaction_read_only = on")
                cursor.execute("DELETE FROM accounts_organization")

        with pytest.raises(ServiceUnavailable):
            service_runner.run(work, actor=None)

    def test_a_bug_is_raised_as_it_is(self):
        with pytest.raises(KeyError):
            service_runner.run(lambda: {}["missing"], actor=None)


class TestCommand:
    def test_a_refusal_without_key_or_record_opens_no_second_transaction(
        self, api, wallet, transactions
    ):
        answer = api.post("/v1/payments", {"from": wallet.id, "to": wallet.id, "amount": "1"})

        assert (answer.status_code, error_of(answer)) == (400, "VALIDATION_ERROR")
        assert transactions.count == 1

    @pytest.mark.parametrize("key", [{}, {"idempotencyKey": "k"}], ids=["no key", "a key"])
    def test_a_connection_lost_before_the_record_is_a_503(
        self, api, wallet, shop, transactions, key
    ):
        order = {"from": wallet.id, "to": shop.id, "amount": "1"}

        answer = api.post("/v1/payments", order | key)

        assert (answer.status_code, error_of(answer)) == (503, "SERVICE_UNAVAILABLE")
        assert answer.headers["Retry-After"] == "1"
        assert transactions.count == 2


@pytest.mark.django_db
class TestPages:
    def test_a_page_without_a_database_says_when_to_come_back(self):
        request = RequestFactory().get("/account/")
        try:
            raise LOST
        except OperationalError:
            answer = errors.server_error(request)

        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
