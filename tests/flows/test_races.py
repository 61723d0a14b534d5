"""Concurrent API calls with real commits: the later one sees the result of the earlier one."""

import threading
import time
from collections import Counter
from decimal import Decimal

import pytest
from django.db import connection, transaction

from accounts.ledger import checks as ledger_checks
from accounts.ledger.models import LedgerAccount
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from tests.world import (
    Client,
    balance_of,
    error_of,
    everything,
    fund,
    in_parallel,
    make_key,
    make_wallet,
)

pytestmark = pytest.mark.django_db(transaction=True)


def payment_body(sender, recipient, amount="1", **more) -> dict:
    return {"from": sender.id, "to": recipient.id, "amount": amount, **more}


def statuses(answers) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


def stored() -> dict[str, int]:
    """Count the stored payments by status."""
    return dict(Counter(Payment.objects.values_list("status", flat=True)))


@pytest.fixture
def savings(acme):
    return make_wallet(acme, "Savings")


class TestOneBalance:
    def test_twelve_payments_cannot_overdraw(self, api, wallet, shop):
        fund(wallet, "100")

        answers = in_parallel(
            12, lambda n: api.post("/v1/payments", payment_body(wallet, shop, "30"))
        )

        assert statuses(answers) == {201: 3, 402: 9}
        assert stored() == {"POSTED": 3, "FAILED": 9}
        assert (balance_of(wallet), balance_of(shop)) == (Decimal("9.25"), 90)

    def test_payments_in_opposite_directions_all_succeed(self, api, wallet, savings):
        fund(wallet, "100")
        fund(savings, "100")

        def pay(number):
            one, other = (wallet, savings) if number % 2 else (savings, wallet)
            return [api.post("/v1/payments", payment_body(one, other)) for _ in range(8)]

        answers = [answer for some in in_parallel(4, pay) for answer in some]

        assert statuses(answers) == {201: 32}
        assert balance_of(wallet) == balance_of(savings) == 100 - 16 * Decimal("0.25")

    def test_batches_in_a_ring_do_not_deadlock(self, api, acme):
        ring = [make_wallet(acme, f"Ring {number}", funds="50") for number in range(3)]

        def turn(number):
            steps = [
                (ring[(number + step) % 3], ring[(number + step + 1) % 3]) for step in range(3)
            ]
            batch = {"payments": [payment_body(one, other, "10") for one, other in steps]}
            return [api.post("/v1/payments/batch", batch) for _ in range(3)]

        answers = [answer for some in in_parallel(4, turn) for answer in some]

        assert statuses(answers) == {200: 12}
        assert [balance_of(wallet) for wallet in ring] == [50 - 12 * Decimal("0.25")] * 3

    def test_batches_and_payments_cannot_overdraw(self, api, wallet, shop):
        fund(wallet, "100")
        batch = {"payments": [payment_body(wallet, shop, "10")] * 3}

        def pay(number):
            if number % 2:
                return api.post("/v1/payments/batch", batch).status_code == 200
            return api.post("/v1/payments", payment_body(wallet, shop, "10")).status_code == 201

        outcomes = in_parallel(8, pay)

        paid = 3 * sum(outcomes[1::2]) + sum(outcomes[::2])
        assert balance_of(shop) == 10 * paid
        assert balance_of(wallet) == 100 - paid * Decimal("10.25")
        assert stored()["POSTED"] == paid
        assert paid >= 7  # the rest is not enough for a batch

    def test_ledger_is_right_at_every_moment(self, api, stranger, wallet, savings, shop):
        fund(wallet, "100")
        at_work = {1, 2, 3}

        def act(number):
            if number == 0:
                found = []
                while at_work:
                    found.append(ledger_checks.differences())
                return found
            try:
                batch = {"payments": [payment_body(savings, wallet, "1")] * 2}
                for _ in range(6):
                    paid = api.post("/v1/payments", payment_body(wallet, shop, "2")).json()["id"]
                    api.post(f"/v1/wallets/{savings.id}/fund", {"amount": "5"})
                    stranger.post(f"/v1/payments/{paid}/reverse")
                    api.post("/v1/payments/batch", batch)
            finally:
                at_work.remove(number)

        found, *_ = in_parallel(4, act)

        assert found == [[]] * len(found)
        assert len(found) > 1


class TestOneKey:
    def test_eight_repeats_pay_once(self, api, wallet, shop):
        fund(wallet, "100")
        body = payment_body(wallet, shop, "10", idempotencyKey="order-A1")

        answers = in_parallel(8, lambda n: api.post("/v1/payments", body))

        assert statuses(answers) == {201: 8}
        assert len({answer.content for answer in answers}) == 1
        assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
        assert stored() == {"POSTED": 1}
        assert balance_of(shop) == 10

    def test_eight_repeats_of_a_refusal_fail_once(self, api, wallet, shop):
        body = payment_body(wallet, shop, "10", idempotencyKey="order-A1")

        answers = in_parallel(8, lambda n: api.post("/v1/payments", body))

        assert statuses(answers) == {402: 8}
        assert len({answer.content for answer in answers}) == 1
        assert stored() == {"FAILED": 1}

    def test_repeats_agree_even_if_the_wallet_is_funded_meanwhile(self, api, wallet, shop, acme):
        body = payment_body(wallet, shop, "10", idempotencyKey="order-A1")
        funding_body = {"amount": "100"}

        def act(number):
            path = f"/v1/wallets/{wallet.id}/fund"
            return api.post(path, funding_body) if number == 0 else api.post("/v1/payments", body)

        funding, *answers = in_parallel(8, act)

        assert funding.status_code == 201
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        assert sum(stored().values()) == 1
        paid = answers[0].status_code == 201
        assert (stored(), balance_of(shop)) == (({"POSTED": 1}, 10) if paid else ({"FAILED": 1}, 0))

    def test_only_one_of_different_requests_is_served(self, api, wallet, shop):
        fund(wallet, "100")

        def pay(number):
            body = payment_body(wallet, shop, str(number + 1), idempotencyKey="order-A1")
            return api.post("/v1/payments", body)

        answers = in_parallel(6, pay)

        assert statuses(answers) == {201: 1, 409: 5}
        refusals = [error_of(answer) for answer in answers if answer.status_code == 409]
        assert set(refusals) == {"IDEMPOTENCY_KEY_REUSE"}
        (served,) = (n + 1 for n, answer in enumerate(answers) if answer.status_code == 201)
        assert balance_of(shop) == served

    def test_batches_with_the_same_keys_in_opposite_order_pay_once(self, api, wallet, shop):
        fund(wallet, "100")
        items = [
            payment_body(wallet, shop, str(n), idempotencyKey=f"item-{n}") for n in range(1, 6)
        ]

        def pay(number):
            some = items[::-1] if number % 2 else items
            return api.post("/v1/payments/batch", {"payments": some})

        answers = in_parallel(6, pay)

        assert statuses(answers) == {200: 6}
        ids = [sorted(r["transactionId"] for r in answer.json()["results"]) for answer in answers]
        assert all(some == ids[0] for some in ids)
        assert stored() == {"POSTED": 5}
        assert balance_of(shop) == 15

    def test_batches_that_share_an_item_key_pay_it_once(self, api, wallet, shop):
        fund(wallet, "100")
        shared = payment_body(wallet, shop, "7", idempotencyKey="shared")

        def pay(number):
            own = payment_body(wallet, shop, "1", idempotencyKey=f"own-{number}")
            both = [own, shared] if number % 2 else [shared, own]
            return api.post("/v1/payments/batch", {"payments": both})

        answers = in_parallel(6, pay)

        assert statuses(answers) == {200: 6}
        assert balance_of(shop) == 7 + 6


class TestStates:
    def test_no_payment_started_after_a_freeze_succeeds(self, api, wallet, shop):
        fund(wallet, "1000")
        running = threading.Semaphore(0)

        def act(number):
            if number == 0:
                for _ in range(4):
                    running.acquire(timeout=10)
                frozen = api.post(f"/v1/wallets/{wallet.id}/freeze")
                return [(time.monotonic(), frozen)]
            made = []
            while not made or made[-1][1].status_code == 201:
                made.append(
                    (time.monotonic(), api.post("/v1/payments", payment_body(wallet, shop)))
                )
                running.release()
            return made

        ((frozen_at, frozen),), *made = in_parallel(4, act)

        payments = [payment for some in made for payment in some]
        posted = [started_at for started_at, answer in payments if answer.status_code == 201]
        refused = [answer for _, answer in payments if answer.status_code != 201]
        assert frozen.json()["status"] == "FROZEN"
        assert max(posted) < frozen_at
        assert {error_of(answer) for answer in refused} == {"WALLET_FROZEN"}
        assert len(refused) == 3
        assert balance_of(shop) == len(posted)
        assert stored() == {"POSTED": len(posted), "FAILED": 3}

    def test_freezing_races_unfreezing(self, api, wallet, shop):
        fund(wallet, "100")

        def act(number):
            if number < 2:
                verb = ("freeze", "unfreeze")[number]
                return [api.post(f"/v1/wallets/{wallet.id}/{verb}") for _ in range(6)]
            return [api.post("/v1/payments", payment_body(wallet, shop)) for _ in range(6)]

        *changes, one, two = in_parallel(4, act)

        assert statuses(answer for some in changes for answer in some) == {200: 12}
        assert set(statuses([*one, *two])) <= {201, 403}
        assert balance_of(shop) == statuses([*one, *two]).get(201, 0)
        last = Wallet.objects.get(pk=wallet.pk).status
        assert api.get(f"/v1/wallets/{wallet.id}").json()["status"] == last

    def test_closing_races_payment(self, api, acme, wallet):
        fund(wallet, "100")

        for number in range(6):
            empty = make_wallet(acme, f"Empty {number}")
            close, pay = f"/v1/wallets/{empty.id}/close", payment_body(wallet, empty)

            def act(number, close=close, pay=pay):
                return api.post(close) if number == 0 else api.post("/v1/payments", pay)

            closed, paid = in_parallel(2, act)

            state = Wallet.objects.get(pk=empty.pk)
            if closed.status_code == 200:
                assert (paid.status_code, error_of(paid)) == (409, "INVALID_STATE")
                assert (state.status, state.account.balance) == ("CLOSED", 0)
            else:
                assert (closed.status_code, error_of(closed)) == (409, "INVALID_STATE")
                assert paid.status_code == 201
                assert (state.status, state.account.balance) == ("ACTIVE", 1)

    def test_funding_stops_at_the_ceiling(self, api, wallet):
        path = f"/v1/wallets/{wallet.id}/fund"

        answers = in_parallel(12, lambda n: api.post(path, {"amount": "10000"}))

        assert statuses(answers) == {201: 10, 400: 2}
        refused = [answer for answer in answers if answer.status_code == 400]
        assert {error_of(answer) for answer in refused} == {"INVALID_AMOUNT"}
        assert balance_of(wallet) == Wallet.objects.get(pk=wallet.pk).sandbox_funds == 100_000


class TestReversals:
    @pytest.fixture
    def paid(self, api, wallet, shop):
        """The id of a payment of 10 to the shop."""
        fund(wallet, "100")
        return api.post("/v1/payments", payment_body(wallet, shop, "10")).json()["id"]

    def test_only_one_of_two_reversals_succeeds(self, stranger, paid, wallet, shop):
        path = f"/v1/payments/{paid}/reverse"

        answers = in_parallel(2, lambda n: stranger.post(path))

        assert statuses(answers) == {200: 1, 422: 1}
        assert (balance_of(wallet), balance_of(shop)) == (Decimal("99.75"), 0)
        assert stored() == {"REVERSED": 1, "POSTED": 1}

    def test_repeats_of_a_key_all_succeed(self, stranger, paid, shop):
        path = f"/v1/payments/{paid}/reverse"

        answers = in_parallel(4, lambda n: stranger.post(path, {"idempotencyKey": "give-back"}))

        assert statuses(answers) == {200: 4}
        assert balance_of(shop) == 0

    def test_reversal_races_spending(self, stranger, paid, wallet, shop):
        spend = payment_body(shop, wallet, "9.75")

        def act(number):
            if number == 0:
                return stranger.post(f"/v1/payments/{paid}/reverse")
            return stranger.post("/v1/payments", spend)

        reversed_, spent = in_parallel(2, act)

        assert {reversed_.status_code, spent.status_code} in ({200, 402}, {402, 201})
        assert balance_of(shop) == 0
        status = Payment.objects.get(pk=paid).status
        assert status == ("REVERSED" if reversed_.status_code == 200 else "POSTED")


class TestLockTimeouts:
    """A call that waits too long for a lock gets a 503 with Retry-After and changes nothing."""

    @pytest.fixture
    def impatient(self, acme):
        """A function that calls the API over a connection with a short lock timeout."""
        key = make_key(acme)

        def call(path, body):
            def work(number):
                with connection.cursor() as cursor:
                    cursor.execute("SET lock_timeout = '150ms'")
                return Client(key).post(path, body)

            return in_parallel(1, work)[0]

        return call

    @pytest.fixture
    def paid(self, api, wallet, savings):
        fund(wallet, "100")
        return api.post("/v1/payments", payment_body(wallet, savings, "10")).json()["id"]

    @pytest.mark.parametrize("what", ["payment", "batch", "fund", "freeze", "reverse"])
    def test_key_can_be_used_again(self, api, impatient, acme, paid, wallet, savings, what):
        pay = payment_body(wallet, savings, "5")
        path, body, locked = {
            "payment": ("/v1/payments", pay, LedgerAccount.objects.filter(wallet=wallet)),
            "batch": (
                "/v1/payments/batch",
                {"payments": [pay | {"idempotencyKey": "item"}]},
                LedgerAccount.objects.filter(wallet=savings),
            ),
            "fund": (
                f"/v1/wallets/{wallet.id}/fund",
                {"amount": "5"},
                Wallet.objects.filter(pk=wallet.pk),
            ),
            "freeze": (
                f"/v1/wallets/{wallet.id}/freeze",
                {},
                LedgerAccount.objects.filter(wallet=wallet),
            ),
            "reverse": (f"/v1/payments/{paid}/reverse", {}, Payment.objects.filter(pk=paid)),
        }[what]
        body = body | {"idempotencyKey": "key"}
        before = everything()

        with transaction.atomic():
            assert locked.order_by("pk").select_for_update(no_key=True, of=("self",)).get()
            busy = impatient(path, body)
        after = everything()
        served = api.post(path, body)

        assert (busy.status_code, error_of(busy)) == (503, "SERVICE_UNAVAILABLE")
        assert int(busy.headers["Retry-After"]) > 0
        assert after == before
        assert served.status_code in (200, 201)
        assert "Idempotent-Replayed" not in served.headers

    def test_repeat_after_a_lock_timeout_gets_the_answer(self, api, impatient, wallet, savings):
        fund(wallet, "100")
        body = payment_body(wallet, savings, "5", idempotencyKey="key")

        with transaction.atomic():
            first = api.post("/v1/payments", body)
            busy = impatient("/v1/payments", body)
        again = impatient("/v1/payments", body)

        assert (first.status_code, busy.status_code) == (201, 503)
        assert again.content == first.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert balance_of(savings) == 5
