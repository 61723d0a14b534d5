"""Transfers as due work: an open one always waits for something."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.transfers.models import Transfer
from accounts.transfers.rails.simulator import Simulator, pay_address
from accounts.transfers.services import worker
from tests import world
from tests.accounts import rails
from tests.accounts.rails import stored
from wallgent import clock, due_work
from wallgent.due_work.models import DueWork

pytestmark = pytest.mark.django_db


@pytest.fixture
def transfer(wallet):
    world.fund(wallet, "100")
    return rails.withdraw(wallet)


@pytest.fixture
def coins(acme):
    return world.make_wallet(acme, "Coins", currency="USDC")


def test_transfer_is_processed_when_it_is_due(acme, transfer):
    assert rails.work() == 1
    assert stored(transfer).status == "PROCESSING"

    assert rails.work() == 0
    assert stored(transfer).attempts == 1

    rails.advance(acme, seconds=5)
    assert rails.work() == 1
    assert (stored(transfer).status, rails.row_of(transfer)) == ("COMPLETED", None)


def test_blocked_withdrawal_waits_without_an_attempt(acme, api, transfer):
    api.post(f"/v1/wallets/{transfer.wallet_id}/freeze")
    rails.work()
    row = rails.row_of(transfer)
    assert (stored(transfer).attempts, row.failures) == (0, 0)
    assert timedelta(seconds=20) < row.due_at - row.now <= worker.BLOCKED_DELAY


class TestAnOpenTransferWaitsForSomething:
    def refused(self):
        with connection.cursor() as cursor, pytest.raises(IntegrityError, match="nothing waits"):
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    @pytest.fixture(autouse=True)
    def _in_transaction(self, transfer):
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    def test_its_due_work_cannot_be_deleted(self, transfer):
        DueWork.objects.all().delete()
        self.refused()

    def test_its_due_work_cannot_be_of_something_else(self, transfer):
        DueWork.objects.update(kind="expire_link")
        self.refused()

    def test_it_cannot_be_created_without(self, transfer):
        Transfer.objects.filter(pk=transfer.pk).update(status="PROCESSING")
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_transfer SELECT (jsonb_populate_record(t,"
                " jsonb_build_object('id', gen_random_uuid()))).* FROM accounts_transfer t"
            )
        self.refused()

    def test_it_can_end_without(self, transfer):
        rails.cancel(transfer)
        assert rails.row_of(transfer) is None
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class TestOpenAddress:
    def test_waits_for_its_deadline_instead_of_being_polled(self, acme, coins):
        expected = rails.expect(coins, "25")
        for _ in range(5):
            rails.settle(acme, seconds=60)
        assert (stored(expected).attempts, stored(expected).status) == (1, "PROCESSING")
        assert rails.row_of(expected).due_at == stored(expected).deadline_at

    def test_is_looked_at_when_the_rail_sends_an_event(
        self, coins, django_capture_on_commit_callbacks
    ):
        expected = rails.expect(coins, "25")
        rails.sweep()
        with django_capture_on_commit_callbacks(execute=True):
            pay_address(expected.address, Decimal(25))
        rails.work()
        assert stored(expected).status == "COMPLETED"

    def test_event_during_a_call_is_not_lost(self, coins):
        """The answer of that call may be older than the payment."""

        class Slow(Simulator):
            def submit(self, order):
                report = super().submit(order)
                pay_address(expected.address, Decimal(25))
                worker.on_rail_event(self.name, {"address": expected.address})
                return report

        expected = rails.expect(coins, "25")
        with rails.rail(Slow()):
            rails.sweep()
        assert stored(expected).status == "COMPLETED"


def test_open_addresses_of_one_organization_do_not_delay_a_payout_of_another(acme, coins, globex):
    for _ in range(30):
        expected = rails.expect(coins, "1")
        with transaction.atomic():
            due_work.schedule(worker.DUE_WORK, expected, at=clock.real_now() - timedelta(minutes=5))
    shop = world.make_wallet(globex, "Payouts", funds="100")
    payout = rails.withdraw(shop, rail_type="ACH")
    order = []

    class Recording(Simulator):
        def submit(self, order_):
            order.append(order_.id)
            return super().submit(order_)

    with rails.rail(Recording()):
        rails.sweep()

    assert order.index(payout.id) <= 1
