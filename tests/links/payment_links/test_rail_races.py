"""Concurrent claims of a link over rails, with real commits."""

from collections import Counter

import pytest

from accounts.transfers.models import SimulatorEntry, Transfer
from links.payment_links.models import Claim
from tests.accounts import rails
from tests.links.conftest import (
    ach_body,
    agreed,
    claim_body,
    expire_links,
    lapse,
    send_claim,
    soon,
    stored,
)
from tests.world import (
    available_of,
    balance_of,
    error_of,
    events_of,
    fund,
    in_parallel,
    make_wallet,
)

pytestmark = pytest.mark.django_db(transaction=True)


def bank(number: int, fault: int = 0) -> dict:
    return ach_body(fault, number=f"77{number:06}")


def statuses(answers) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


@pytest.mark.parametrize("uses", [1, 5])
def test_24_claimants_consume_no_more_than_the_uses(make, acme, payer, uses):
    link = make(amount="10", maxUses=uses)

    answers = in_parallel(24, lambda n: send_claim(link, bank(n)))

    assert statuses(answers) == {200: uses, 409: 24 - uses}
    refused = {error_of(answer) for answer in answers if answer.status_code == 409}
    assert refused == {"INVALID_STATE"}
    assert Transfer.objects.count() == uses
    rails.settle(acme)
    assert (balance_of(payer), available_of(payer)) == (100 - 10 * uses, 100 - 10 * uses)
    assert (stored(link).status, SimulatorEntry.objects.count()) == ("SETTLED", uses)


def test_24_payers_are_debited_no_more_than_the_uses(make, acme, payer):
    link = make(direction="RECEIVE", amount="10", maxUses=3)

    answers = in_parallel(24, lambda n: send_claim(link, bank(n) | agreed()))
    rails.settle(acme)

    assert statuses(answers) == {200: 3, 409: 21}
    assert balance_of(payer) == 130


def test_concurrent_claims_of_one_bank_account_consume_one_use(make):
    link = make(amount="10", maxUses=5)

    answers = in_parallel(8, lambda n: send_claim(link, bank(0)))

    assert statuses(answers) == {200: 1, 409: 7}
    assert Claim.objects.count() == Transfer.objects.count() == 1


@pytest.mark.parametrize("round", range(3))
def test_claiming_cancelling_and_expiring_at_once_keeps_the_balance(make, api, acme, payer, round):
    link = make(amount="10", maxUses=3, expiresAt=soon())

    def act(number):
        if number == round % 4:
            return api.patch(f"/v1/payment-links/{link['id']}").status_code
        if number == (round + 1) % 4:
            lapse(link)
            return expire_links()
        return send_claim(link, bank(number)).status_code

    in_parallel(4, act)
    expire_links()
    claimed = Claim.objects.count()
    assert stored(link).status in ("CANCELLED", "EXPIRED")
    assert available_of(payer) == 100 - 10 * claimed
    rails.settle(acme)
    assert balance_of(payer) == available_of(payer) == 100 - 10 * claimed
    assert stored(link).use_count == claimed


@pytest.mark.parametrize("fault", [0, 1, 10])
@pytest.mark.parametrize("verb", ["claim", "cancel"])
def test_transfer_outcomes_and_claims_do_not_deadlock(
    make, claim, api, acme, payer, shop, fault, verb
):
    """Transfers end while the link is claimed or cancelled: locks have one order."""
    link = make(amount="10", maxUses=4)
    for number in range(2):
        send_claim(link, bank(number, fault if number else 0))
    rails.sweep()
    rails.advance(acme, seconds=60)

    def act(number):
        if number < 2:
            return rails.sweep()
        if verb == "cancel":
            return api.patch(f"/v1/payment-links/{link['id']}").status_code
        return claim(link, shop).status_code

    in_parallel(4, act)
    rails.sweep()
    rails.advance(acme, seconds=60)
    rails.sweep()

    settled = Claim.objects.filter(status="SETTLED").count()
    assert balance_of(payer) == 100 - 10 * settled
    assert not Claim.objects.filter(status="CLAIMED").exists()
    held = 0 if verb == "cancel" else 10 * (4 - stored(link).use_count)
    assert available_of(payer) == 100 - 10 * settled - held


def test_several_workers_settle_each_claim_once(make, acme, payer):
    link = make(amount="5", maxUses=8)
    for number in range(8):
        send_claim(link, bank(number))
    rails.sweep()
    rails.advance(acme, seconds=60)

    in_parallel(4, lambda n: rails.sweep())

    assert (stored(link).status, balance_of(payer)) == ("SETTLED", 60)
    assert len(events_of(acme, "payment_link.settled")) == 8


def test_returned_money_is_either_held_again_or_spent(make, api, acme, payer, shop):
    """The link reopens if its wallet still has the money."""
    link = make(amount="100")
    send_claim(link, bank(0, 10))
    rails.settle(acme)
    fund(payer, "50")
    rails.advance(acme, seconds=60)

    def act(number):
        if number:
            payment = {"from": payer.id, "to": shop.id, "amount": "60"}
            return api.post("/v1/payments", payment).status_code
        return rails.sweep()

    _, spent = in_parallel(2, act)
    rails.sweep()

    assert Claim.objects.get().status == "RETURNED"
    if spent == 201:
        assert stored(link).status == "SETTLED"
        assert available_of(payer) == balance_of(payer) < 100
    else:
        assert (stored(link).status, available_of(payer)) == ("ACTIVE", 50)


def test_an_approval_and_a_payment_with_a_key_consume_one_use(make, stranger, globex, payer):
    link = make(direction="RECEIVE", amount="10")
    purses = [make_wallet(globex, str(number), funds="20") for number in range(2)]
    send_claim(link, claim_body(purses[0]))
    [approval] = stranger.get("/v1/approvals").json()["data"]

    def act(number):
        if number:
            return send_claim(link, claim_body(purses[1]), client=stranger).status_code
        return stranger.post(f"/v1/approvals/{approval['id']}/approve").status_code

    assert sorted(in_parallel(2, act)) == [200, 409]
    assert balance_of(payer) == 110
