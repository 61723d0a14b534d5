"""An error rolls the work back; a second transaction is opened only for what it must keep."""

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
    """Counts transactions; from the second one on the connection is lost."""

    def __init__(self):
        self.count = 0

    def atomic(self):
        self.count += 1
        if self.count > 1:
            raise LOST
        return transaction.atomic()


@pytest.fixture
def transactions(monkeypatch):
    """Count the transactions of commands and of the service runner."""
    counter = Transactions()
    for module in (commands, service_runner):
        monkeypatch.setattr(module, "transaction", counter)
    return counter


def fail(*, after_rollback=None):
    error = Conflict("No.")
    error.after_rollback = after_rollback
    raise error


@pytest.mark.django_db
class TestRun:
    def test_error_without_a_record_opens_no_second_transaction(self, transactions):
        with pytest.raises(Conflict):
            service_runner.run(fail, actor=None)
        assert transactions.count == 1

    def test_record_of_an_error_is_kept(self, acme):
        def record(*, actor):
            Organization.objects.filter(pk=acme.pk).update(name="Recorded")

        def work():
            Organization.objects.filter(pk=acme.pk).update(email="changed@acme.example")
            fail(after_rollback=record)

        with pytest.raises(Conflict):
            service_runner.run(work, actor=None)
        stored = Organization.objects.get(pk=acme.pk)
        assert (stored.name, stored.email) == ("Recorded", acme.email)

    def test_connection_lost_before_the_record_is_a_503(self, transactions):
        with pytest.raises(ServiceUnavailable):
            service_runner.run(lambda: fail(after_rollback=lambda **_: None), actor=None)
        assert transactions.count == 2

    def test_connection_lost_during_the_work_is_a_503(self, transactions):
        def work():
            raise LOST

        with pytest.raises(ServiceUnavailable):
            service_runner.run(work, actor=None)
        assert transactions.count == 1

    def test_read_only_server_is_a_503(self):
        def work():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL transaction_read_only = on")
                cursor.execute("DELETE FROM accounts_organization")

        with pytest.raises(ServiceUnavailable):
            service_runner.run(work, actor=None)

    def test_bug_is_raised_unchanged(self):
        with pytest.raises(KeyError):
            service_runner.run(lambda: {}["missing"], actor=None)


class TestCommand:
    def test_error_without_key_or_record_opens_no_second_transaction(
        self, api, wallet, transactions
    ):
        response = api.post("/v1/payments", {"from": wallet.id, "to": wallet.id, "amount": "1"})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert transactions.count == 1

    @pytest.mark.parametrize("key", [{}, {"idempotencyKey": "k"}], ids=["no key", "a key"])
    def test_connection_lost_before_the_record_is_a_503(self, api, wallet, shop, transactions, key):
        body = {"from": wallet.id, "to": shop.id, "amount": "1"}

        response = api.post("/v1/payments", body | key)

        assert (response.status_code, error_of(response)) == (503, "SERVICE_UNAVAILABLE")
        assert response.headers["Retry-After"] == "1"
        assert transactions.count == 2


@pytest.mark.django_db
class TestPages:
    def test_page_without_a_database_has_a_retry_after(self):
        request = RequestFactory().get("/account/")
        try:
            raise LOST
        except OperationalError:
            response = errors.server_error(request)

        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
