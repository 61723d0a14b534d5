"""Concurrent claims of a link, with real commits, consume each use once."""

from collections import Counter
from decimal import Decimal

import pytest

from links.payment_links.models import Claim, PaymentLink
from tests.links.conftest import expire_links, lapse, soon, stored
from tests.world import (
    available_of,
    balance_of,
    error_of,
    events_of,
    in_parallel,
    make_wallet,
)

pytestmark = pytest.mark.django_db(transaction=True)


def statuses(answers) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


@pytest.fixture
def recipients(globex):
    return [make_wallet(globex, f"Recipient {number}") for number in range(24)]


def test_one_of_24_claimants_is_paid(make, claim, recipients, payer, acme):
    link = make()

    answers = in_parallel(24, lambda n: claim(link, recipients[n]))

    assert statuses(answers) == {200: 1, 409: 23}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {error_of(answer) for answer in refused} == {"INVALID_STATE"}
    assert {answer.json()["error"]["message"] for answer in refused} == {
        "This payment link was claimed already."
    }
    assert sorted(map(balance_of, recipients)) == [0] * 23 + [25]
    assert (balance_of(payer), available_of(payer)) == (75, 75)
    assert len(events_of(acme, "payment_link.claimed")) == 1


def test_24_claimants_consume_no_more_than_the_uses(make, claim, recipients, payer):
    link = make(amount="10", maxUses=5)

    answers = in_parallel(24, lambda n: claim(link, recipients[n]))

    assert statuses(answers) == {200: 5, 409: 19}
    assert sum(map(balance_of, recipients)) == 50
    assert stored(link).status == "SETTLED"


def test_concurrent_claims_of_one_wallet_consume_one_use(make, claim, recipients):
    link = make(amount="10", maxUses=5)

    answers = in_parallel(8, lambda n: claim(link, recipients[0]))

    assert statuses(answers) == {200: 1, 409: 7}
    assert balance_of(recipients[0]) == 10


def test_concurrent_calls_with_one_key_get_one_answer(make, claim, shop):
    link = make()

    answers = in_parallel(8, lambda n: claim(link, shop, idempotencyKey="k"))

    assert statuses(answers) == {200: 8}
    assert len({answer.content for answer in answers}) == 1
    assert balance_of(shop) == 25


@pytest.mark.parametrize("round", range(4))
def test_a_link_is_either_claimed_or_cancelled(make, claim, api, payer, shop, round):
    link = make()

    def act(number):
        if number == round % 2:
            return api.patch(f"/v1/payment-links/{link['id']}")
        return claim(link, shop)

    answers = in_parallel(2, act)

    assert statuses(answers) == {200: 1, 409: 1}
    status = stored(link).status
    paid = 25 if status == "SETTLED" else 0
    assert status in ("SETTLED", "CANCELLED")
    assert (balance_of(shop), available_of(payer)) == (paid, 100 - paid)


@pytest.mark.parametrize("round", range(4))
def test_a_use_is_either_claimed_or_expired(make, claim, payer, recipients, round):
    """The link expires while claims and sweeps run."""
    link = make(amount="10", maxUses=2, expiresAt=soon())

    def act(number):
        if number == 0:
            lapse(link)
            return expire_links()
        if number == 1:
            return expire_links()
        return claim(link, recipients[number])

    _, _, *answers = in_parallel(4, act)
    expire_links()

    claimed = statuses(answers).get(200, 0)
    assert statuses(answers).get(409, 0) == 2 - claimed
    assert stored(link).status == ("SETTLED" if claimed == 2 else "EXPIRED")
    assert Claim.objects.count() == claimed
    assert available_of(payer) == balance_of(payer) == 100 - 10 * claimed


def test_links_hold_no_more_than_the_balance(api, payer):
    body = {"walletId": payer.id, "amount": "30", "direction": "SEND"}

    answers = in_parallel(8, lambda n: api.post("/v1/payment-links", body))

    assert statuses(answers) == {201: 3, 402: 5}
    assert available_of(payer) == 10
    assert PaymentLink.objects.count() == 3


def test_payments_and_links_spend_no_more_than_the_balance(api, payer, shop):
    def act(number):
        if number % 2:
            body = {"walletId": payer.id, "amount": "20", "direction": "SEND"}
            return api.post("/v1/payment-links", body)
        return api.post("/v1/payments", {"from": payer.id, "to": shop.id, "amount": "19.75"})

    answers = in_parallel(8, act)

    assert statuses(answers) == {201: 5, 402: 3}
    links = PaymentLink.objects.count()
    assert balance_of(shop) == Decimal("19.75") * (5 - links)
    assert available_of(payer) == 0


def test_claims_in_opposite_directions_do_not_deadlock(make, claim, acme, api):
    """Two wallets claim links of each other: locks are always taken in the same order."""
    one, other = (make_wallet(acme, name, funds="50") for name in ("One", "Other"))
    ours = [make(walletId=one.id, amount="5") for _ in range(6)]
    theirs = [make(walletId=other.id, amount="5") for _ in range(6)]

    def act(number):
        if number % 2:
            return [claim(link, other) for link in ours[number // 2 :: 2]]
        return [claim(link, one) for link in theirs[number // 2 :: 2]]

    answers = [answer for group in in_parallel(4, act) for answer in group]

    assert statuses(answers) == {200: 12}
    assert balance_of(one) == balance_of(other) == 50


def test_freezing_and_unfreezing_the_wallet_never_pays_a_link_twice(
    make, claim, api, payer, recipients
):
    links = [make(amount="5") for _ in range(8)]

    def act(number):
        if number == 0:
            verbs = ("freeze", "unfreeze") * 3
            return [api.post(f"/v1/wallets/{payer.id}/{verb}") for verb in verbs]
        return [claim(link, recipients[number]) for link in links[number - 1 :: 3]]

    _, *claimed = in_parallel(4, act)

    answers = [answer for group in claimed for answer in group]
    assert set(statuses(answers)) <= {200, 409}
    paid = statuses(answers).get(200, 0)
    assert PaymentLink.objects.filter(status="SETTLED").count() == paid
    assert balance_of(payer) == 100 - 5 * paid
