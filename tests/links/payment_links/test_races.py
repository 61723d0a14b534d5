"""Many at once at one link, with real commits: each use is taken once, and nothing else happens."""

from collections import Counter
from decimal import Decimal

import pytest

from links.payment_links import tasks
from links.payment_links.models import Claim, PaymentLink
from tests.links.conftest import lapse, soon, stored
from tests.world import (
    available_of,
    balance_of,
    error_of,
    facts_of,
    in_parallel,
    make_wallet,
)

pytestmark = pytest.mark.django_db(transaction=True)


def statuses(answers) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


@pytest.fixture
def takers(globex):
    return [make_wallet(globex, f"Taker {number}") for number in range(24)]


def test_of_24_claimers_one_is_paid(make, claim, takers, payer, acme):
    link = make()

    answers = in_parallel(24, lambda n: claim(link, takers[n]))

    assert statuses(answers) == {200: 1, 409: 23}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {error_of(answer) for answer in refused} == {"INVALID_STATE"}
    assert {answer.json()["error"]["message"] for answer in refused} == {
        "This payment link was claimed already."
    }
    assert sorted(map(balance_of, takers)) == [0] * 23 + [25]
    assert (balance_of(payer), available_of(payer)) == (75, 75)
    assert len(facts_of(acme, "payment_link.claimed")) == 1


def test_of_24_claimers_as_many_are_paid_as_there_are_uses(make, claim, takers, payer):
    link = make(amount="10", maxUses=5)

    answers = in_parallel(24, lambda n: claim(link, takers[n]))

    assert statuses(answers) == {200: 5, 409: 19}
    assert sum(map(balance_of, takers)) == 50
    assert stored(link).status == "SETTLED"


def test_one_wallet_at_once_takes_one_use(make, claim, takers):
    link = make(amount="10", maxUses=5)

    answers = in_parallel(8, lambda n: claim(link, takers[0]))

    assert statuses(answers) == {200: 1, 409: 7}
    assert balance_of(takers[0]) == 10


def test_twins_with_a_key_get_one_answer(make, claim, shop):
    link = make()

    answers = in_parallel(8, lambda n: claim(link, shop, idempotencyKey="k"))

    assert statuses(answers) == {200: 8}
    assert len({answer.content for answer in answers}) == 1
    assert balance_of(shop) == 25


@pytest.mark.parametrize("round", range(4))
def test_it_is_claimed_or_cancelled(make, claim, api, payer, shop, round):
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
def test_it_is_claimed_or_expired(make, claim, payer, takers, round):
    """Some claim, some sweep, and its time is over in between."""
    link = make(amount="10", maxUses=2, expiresAt=soon())

    def act(number):
        if number == 0:
            lapse(link)
            return tasks.expire_links()
        if number == 1:
            return tasks.expire_links()
        return claim(link, takers[number])

    _, _, *answers = in_parallel(4, act)
    tasks.expire_links()

    claimed = statuses(answers).get(200, 0)
    assert statuses(answers).get(409, 0) == 2 - claimed
    assert stored(link).status == ("SETTLED" if claimed == 2 else "EXPIRED")
    assert Claim.objects.count() == claimed
    assert available_of(payer) == balance_of(payer) == 100 - 10 * claimed


def test_links_promise_no_more_than_there_is(api, payer):
    body = {"walletId": payer.id, "amount": "30", "direction": "SEND"}

    answers = in_parallel(8, lambda n: api.post("/v1/payment-links", body))

    assert statuses(answers) == {201: 3, 402: 5}
    assert available_of(payer) == 10
    assert PaymentLink.objects.count() == 3


def test_payments_and_links_share_what_there_is(api, payer, shop):
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


def test_claims_that_cross_all_arrive(make, claim, acme, api):
    """Two wallets, each claiming links of the other: locks are taken in one order."""
    one, other = (make_wallet(acme, name, funds="50") for name in ("One", "Other"))
    ours = [make(walletId=one.id, amount="5") for _ in range(6)]
    theirs = [make(walletId=other.id, amount="5") for _ in range(6)]

    def act(number):
        if number % 2:
            return [claim(link, other) for link in ours[number // 2 :: 2]]
        return [claim(link, one) for link in theirs[number // 2 :: 2]]

    answers = [answer for some in in_parallel(4, act) for answer in some]

    assert statuses(answers) == {200: 12}
    assert balance_of(one) == balance_of(other) == 50


def test_while_the_wallet_is_frozen_and_thawed_each_link_is_paid_once_or_not(
    make, claim, api, payer, takers
):
    links = [make(amount="5") for _ in range(8)]

    def act(number):
        if number == 0:
            verbs = ("freeze", "unfreeze") * 3
            return [api.post(f"/v1/wallets/{payer.id}/{verb}") for verb in verbs]
        return [claim(link, takers[number]) for link in links[number - 1 :: 3]]

    _, *claimed = in_parallel(4, act)

    answers = [answer for some in claimed for answer in some]
    assert set(statuses(answers)) <= {200, 409}
    paid = statuses(answers).get(200, 0)
    assert PaymentLink.objects.filter(status="SETTLED").count() == paid
    assert balance_of(payer) == 100 - 5 * paid
