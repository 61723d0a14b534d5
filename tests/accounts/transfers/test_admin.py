"""Admin pages of transfers and the simulator: read-only, without full account numbers."""

import pytest

from accounts.transfers.models import SimulatorOrder
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.test_admin import act, events_about, listed, path, superuser, support  # noqa: F401

pytestmark = pytest.mark.django_db

NUMBER = "00099887766554"


@pytest.fixture
def transfer(acme, wallet):
    world.fund(wallet, "100")
    wallet = Wallet.objects.get(pk=wallet.pk)
    return rails.withdraw(wallet, destination=rails.bank(number=NUMBER), reference="clm_1")


def test_pages_show_only_the_last_four_digits(support, acme, transfer):  # noqa: F811
    rails.settle(acme)
    order = SimulatorOrder.objects.get()
    for obj in (transfer, order):
        for page in ("change", "history"):
            shown = support.get(path(obj._meta.label_lower, page, obj.pk))
            assert shown.status_code == 200
            assert NUMBER not in shown.text
    assert "…6554" in support.get(path("accounts.transfer", "change", transfer.pk)).text
    assert NUMBER not in support.get(path("accounts.transfer", "changelist")).text


def test_incoming_payments_are_shown_with_their_transfer(support, acme):  # noqa: F811
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    expected = rails.expect(coins, "25")
    rails.sweep()
    payment = rails.pay(expected, "25")
    rails.settle(acme)

    page = support.get(path("accounts.transfer", "change", expected.pk)).text
    assert payment.id in page
    shown = support.get(path("accounts.simulatorpayment", "change", payment.pk))
    assert shown.status_code == 200
    assert listed(support, "accounts.simulatorpayment", expected.address) == {payment.pk}
    assert listed(support, "accounts.transfer", expected.address) == {expected.pk}


def test_transfer_is_found_by_related_ids(support, acme, transfer):  # noqa: F811
    rails.settle(acme)
    stored = rails.stored(transfer)
    for term in (
        *(transfer.id, stored.wallet_id, acme.id, stored.hold_id, stored.transaction_id),
        *(stored.external_id, "clm_1"),
    ):
        assert listed(support, "accounts.transfer", term) == {transfer.pk}, term
    for term in (transfer.id, stored.external_id, acme.id):
        order = SimulatorOrder.objects.get()
        assert listed(support, "accounts.simulatororder", term) == {order.pk}, term


def test_support_can_check_a_transfer_with_its_rail(support, acme, transfer):  # noqa: F811
    rails.settle(acme)
    assert rails.row_of(transfer) is None

    act(support, transfer, "check_now_with_rail")
    rails.sweep()

    stored = rails.stored(transfer)
    assert (stored.status, rails.row_of(transfer)) == ("COMPLETED", None)
    [event] = events_about(transfer, "transfer.asked_about")
    assert (event.actor_type, event.is_public) == ("USER", False)


def test_checking_a_transfer_that_was_never_submitted_does_not_submit_it(support, acme, transfer):  # noqa: F811
    rails.cancel(transfer)
    act(support, transfer, "check_now_with_rail")
    rails.sweep()
    rails.settle(acme, seconds=3600)

    assert rails.stored(transfer).status == "CANCELLED"
    assert not SimulatorOrder.objects.exists()


@pytest.mark.parametrize("model", ["transfer", "simulatororder", "simulatorpayment"])
def test_objects_cannot_be_added_or_changed(support, transfer, model):  # noqa: F811
    assert support.get(path(f"accounts.{model}", "add")).status_code == 403
    if model == "transfer":
        url = path("accounts.transfer", "change", transfer.pk)
        assert support.post(url, {"status": "COMPLETED"}).status_code == 403
        assert rails.stored(transfer).status == "PENDING"
