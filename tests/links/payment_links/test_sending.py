"""Links that send, over rails: what is promised leaves its hold when it has arrived, or never."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from accounts.ledger import chart, journal
from accounts.transfers.models import SimulatorEntry, Transfer
from links.payment_links import tasks
from links.payment_links.models import Claim
from links.payment_links.services import settings
from tests.accounts import rails
from tests.links.conftest import (
    ach_body,
    lapse,
    look,
    send_claim,
    soon,
    stored,
    usdc_body,
)
from tests.world import (
    A_TIME,
    Client,
    actor_for,
    an_id,
    available_of,
    balance_of,
    error_of,
    everything,
    facts_of,
    fund,
    make_wallet,
)
from wallgent import credentials, ids

TREASURY = chart.treasury("SANDBOX", "USD")


@pytest.fixture
def coins(acme):
    """A wallet of Acme's with 100 USDC."""
    return make_wallet(acme, "Coins", currency="USDC", funds="100")


def refusal(response) -> tuple[int, str]:
    return response.status_code, error_of(response)


def steps() -> list[str]:
    return [step.status for step in Claim.objects.latest("pk").history.all()]


class TestToABank:
    def test_is_claimed_at_once_and_settled_when_it_arrives(self, make, acme, payer):
        link = make(description="Design work")

        claimed = send_claim(link, ach_body())

        assert claimed.status_code == 200
        answer = claimed.json()
        assert answer | {"claimToken": ""} == {
            "id": an_id("clm"),
            "slug": link["slug"],
            "status": "CLAIMED",
            "method": "ach",
            "direction": "SEND",
            "amount": "25.00",
            "currency": "USD",
            "transactionId": None,
            "transferId": an_id("xfr"),
            "transferStatus": "PENDING",
            "reason": None,
            "deposit": None,
            "claimToken": "",
            "createdAt": A_TIME,
            "settledAt": None,
            "expiresAt": A_TIME,
        }
        assert (stored(link).status, stored(link).hold.remaining) == ("CLAIMED", 25)
        assert (balance_of(payer), available_of(payer)) == (100, 75)

        rails.settle(acme)

        after = look(link, claimed)
        assert (after["status"], after["transferStatus"]) == ("SETTLED", "COMPLETED")
        assert after["transactionId"] == stored(link).transaction_id == an_id("txn")
        assert after["settledAt"] == A_TIME
        assert (stored(link).status, stored(link).hold.captured) == ("SETTLED", 25)
        assert (balance_of(payer), available_of(payer)) == (75, 75)
        assert [entry.amount for entry in SimulatorEntry.objects.all()] == [-25]
        assert steps() == ["CLAIMED", "SETTLED"]

    def test_is_told_when_it_is_claimed_and_when_it_is_settled(self, make, acme):
        link = make()
        claimed = send_claim(link, ach_body()).json()

        [told] = facts_of(acme, "payment_link.claimed")
        assert (told.data["method"], told.data["transferId"]) == ("ach", claimed["transferId"])
        assert (told.data["status"], told.data["transactionId"]) == ("CLAIMED", None)
        assert facts_of(acme, "payment_link.settled") == []
        rails.settle(acme)

        [told] = facts_of(acme, "payment_link.settled")
        assert told.data["transactionId"] == stored(link).transaction_id
        assert told.data["transferId"] == claimed["transferId"]
        assert (told.data["status"], told.data["claimId"]) == ("SETTLED", claimed["id"])

    def test_keeps_no_account_number_in_clear(self, make, acme):
        link = make()
        body = ach_body(number="123454321")

        answer = send_claim(link, body).text
        rails.settle(acme)

        assert "123454321" not in answer
        for table in ("links_claim", "accounts_transfer", "events_event", "api_idempotencyrecord"):
            assert "123454321" not in _rows(table), table
        transfer = Transfer.objects.get()
        assert transfer.account_last4 == "4321"
        assert "123454321" in credentials.decrypt(transfer.counterparty)

    @pytest.mark.parametrize(("fault", "code"), [(1, "R01"), (2, "R02"), (3, "R03")])
    def test_that_refuses_it_gives_the_link_back_to_its_maker(
        self, make, api, acme, payer, fault, code
    ):
        link = make()
        claimed = send_claim(link, ach_body(fault))

        rails.settle(acme)

        after = api.get(f"/v1/payment-links/{link['id']}").json()
        assert (after["status"], after["useCount"], after["claimedAt"]) == ("ACTIVE", 0, None)
        assert code in after["reopenReason"]
        assert after["reopenedAt"] == A_TIME
        assert (available_of(payer), stored(link).hold.remaining) == (75, 25)
        assert look(link, claimed)["status"] == "FAILED"
        assert code in look(link, claimed)["reason"]
        [told] = facts_of(acme, "payment_link.reopened")
        assert told.data["reason"] == after["reopenReason"]
        assert (told.data["status"], told.data["claimStatus"]) == ("ACTIVE", "FAILED")
        assert told.is_public

    def test_after_a_failure_it_is_claimed_again_even_by_the_same_person(self, make, acme, payer):
        link = make()
        send_claim(link, ach_body(1))
        rails.settle(acme)

        assert send_claim(link, ach_body(1)).status_code == 200
        rails.settle(acme)
        assert send_claim(link, ach_body()).status_code == 200
        rails.settle(acme)

        assert stored(link).status == "SETTLED"
        assert [claim.status for claim in Claim.objects.order_by("pk")] == [
            "FAILED",
            "FAILED",
            "SETTLED",
        ]
        assert (balance_of(payer), available_of(payer)) == (75, 75)

    @pytest.mark.parametrize("fault", [20, 30, 31, 40, 50])
    def test_slow_silent_or_chatty_it_is_paid_once(self, make, acme, payer, fault):
        link = make()
        send_claim(link, ach_body(fault))

        for _ in range(8):
            rails.settle(acme, seconds=20)

        assert stored(link).status == "SETTLED"
        assert balance_of(payer) == 75
        assert [entry.amount for entry in SimulatorEntry.objects.all()] == [-25]
        assert len(facts_of(acme, "payment_link.settled")) == 1

    def test_that_never_answers_is_given_up_at_its_deadline(self, make, acme, payer):
        link = make()
        send_claim(link, ach_body(60))

        rails.settle(acme, seconds=60)
        assert stored(link).status == "CLAIMED"
        rails.settle(acme, seconds=3600)

        assert (stored(link).status, available_of(payer)) == ("ACTIVE", 75)
        assert Claim.objects.get().status == "FAILED"

    def test_of_a_wallet_frozen_meanwhile_waits(self, make, acme, api, payer):
        link = make()
        send_claim(link, ach_body())
        api.post(f"/v1/wallets/{payer.id}/freeze")

        rails.settle(acme)
        assert stored(link).status == "CLAIMED"
        api.post(f"/v1/wallets/{payer.id}/unfreeze")
        rails.settle(acme, seconds=60)
        rails.settle(acme, seconds=60)

        assert stored(link).status == "SETTLED"

    def test_of_a_frozen_wallet_is_not_claimed_and_says_nothing(self, make, api, payer):
        link = make()
        api.post(f"/v1/wallets/{payer.id}/freeze")
        before = everything()

        refused = send_claim(link, ach_body())

        assert refusal(refused) == (409, "INVALID_STATE")
        assert "roze" not in refused.text
        assert everything() == before

    @pytest.mark.parametrize("when", ["before", "meanwhile"])
    def test_of_a_wallet_in_debt_nothing_leaves(self, make, acme, payer, when):
        link = make(amount="60")
        if when == "meanwhile":
            claimed = send_claim(link, ach_body())
        taken_back = journal.Move(payer.account_id, TREASURY, Decimal(90), "USD")
        posting = journal.Posting(id=ids.new("txn"), moves=(taken_back,), reason="transfer_return")
        journal.post_set([posting], book="SANDBOX", forced=True)

        if when == "before":
            refused = send_claim(link, ach_body())
            assert refusal(refused) == (409, "INVALID_STATE")
            assert "cannot be paid out right now" in refused.json()["error"]["message"]
        rails.settle(acme, seconds=60)

        assert balance_of(payer) == 10
        fund(payer, "50")  # what is lacking
        if when == "before":
            claimed = send_claim(link, ach_body())
        for _ in range(2):  # it is looked at again after a while
            rails.settle(acme, seconds=60)
        assert look(link, claimed)["status"] == "SETTLED"
        assert balance_of(payer) == 0

    def test_each_bank_account_once(self, make, acme):
        link = make(amount="10", maxUses=3)

        assert send_claim(link, ach_body()).status_code == 200
        assert refusal(send_claim(link, ach_body())) == (409, "CONFLICT")
        padded = ach_body(number="123456789")  # leading zeros do not make it another
        assert refusal(send_claim(link, padded)) == (409, "CONFLICT")
        assert send_claim(link, ach_body(number="987654321")).status_code == 200
        assert stored(link).use_count == 2

    def test_once_for_each_key(self, make):
        link = make()

        first = send_claim(link, ach_body(idempotencyKey="k"))
        again = send_claim(link, ach_body(idempotencyKey="k"))

        assert again.content == first.content
        assert Transfer.objects.count() == 1

    def test_of_an_amount_that_no_bank_carries_is_refused(self, make):
        link = make(amount="0.125")

        shown = Client().get(f"/v1/payment-links/claim/{link['slug']}").json()
        refused = send_claim(link, ach_body())

        assert shown["methods"] == ["usdc", "wallet"]
        assert refusal(refused) == (400, "INVALID_AMOUNT")
        assert stored(link).status == "ACTIVE"


class TestReturned:
    def test_keeps_its_history_and_opens_the_link_again(self, make, acme, payer):
        link = make()
        claimed = send_claim(link, ach_body(10))
        rails.settle(acme)
        assert stored(link).status == "SETTLED"
        old = stored(link).hold_id

        rails.settle(acme, seconds=60)

        after = stored(link)
        assert (after.status, after.use_count, after.settled_at) == ("ACTIVE", 0, None)
        assert (balance_of(payer), available_of(payer)) == (100, 75)
        assert (after.hold_id != old, after.hold.remaining) == (True, 25)
        assert "R10" in after.reopen_reason
        assert look(link, claimed)["status"] == "RETURNED"
        assert look(link, claimed)["settledAt"] == A_TIME
        assert steps() == ["CLAIMED", "SETTLED", "RETURNED"]
        [told] = facts_of(acme, "payment_link.reopened")
        assert told.data["claimStatus"] == "RETURNED"
        assert send_claim(link, ach_body()).status_code == 200
        rails.settle(acme)
        assert (stored(link).status, balance_of(payer)) == ("SETTLED", 75)

    def test_of_a_link_with_uses_left_grows_the_hold(self, make, acme, payer):
        link = make(amount="10", maxUses=3)
        send_claim(link, ach_body(10))

        rails.settle(acme)
        rails.settle(acme, seconds=60)

        assert (stored(link).use_count, stored(link).hold.remaining) == (0, 30)
        assert (balance_of(payer), available_of(payer)) == (100, 70)

    def test_does_not_open_it_where_the_wallet_cannot_promise_again(
        self, make, acme, api, payer, shop
    ):
        link = make(amount="100")
        send_claim(link, ach_body(10))
        rails.settle(acme)
        fund(payer, "10")
        api.post(f"/v1/wallets/{payer.id}/freeze")

        rails.settle(acme, seconds=60)

        assert (stored(link).status, stored(link).use_count) == ("SETTLED", 1)
        assert Claim.objects.get().status == "RETURNED"
        assert (balance_of(payer), available_of(payer)) == (110, 110)
        assert facts_of(acme, "payment_link.reopened") == []
        assert refusal(send_claim(link, ach_body())) == (409, "INVALID_STATE")

    def test_does_not_open_one_whose_time_is_over(self, make, acme, payer):
        link = make(expiresAt=soon(30))
        send_claim(link, ach_body(10))
        rails.settle(acme)

        rails.settle(acme, seconds=60)

        assert stored(link).status == "SETTLED"
        assert available_of(payer) == 100

    def test_of_an_expired_link_goes_to_its_wallet(self, make, acme, payer):
        link = make(amount="10", maxUses=2, expiresAt=soon(30))
        send_claim(link, ach_body(10))
        rails.settle(acme)
        rails.advance(acme, seconds=3)
        lapse(link)
        assert tasks.expire_links() == 1

        rails.settle(acme, seconds=60)

        assert (stored(link).status, Claim.objects.get().status) == ("EXPIRED", "RETURNED")
        assert available_of(payer) == 100


class TestWhileUnderWay:
    @pytest.mark.parametrize("end", ["cancelled", "expired"])
    def test_what_is_under_way_stays_promised_when_the_link_ends(self, make, api, acme, payer, end):
        link = make(amount="10", maxUses=3, expiresAt=soon())
        send_claim(link, ach_body())
        send_claim(link, ach_body(1))

        if end == "cancelled":
            api.patch(f"/v1/payment-links/{link['id']}")
        else:
            lapse(link)
            tasks.expire_links()
        assert (available_of(payer), stored(link).hold.remaining) == (80, 20)
        rails.settle(acme)

        assert stored(link).status == end.upper()
        assert (balance_of(payer), available_of(payer)) == (90, 90)
        assert facts_of(acme, "payment_link.reopened") == []

    def test_a_failure_past_the_links_time_lets_it_expire(self, make, acme, payer):
        link = make(expiresAt=soon())
        send_claim(link, ach_body(1))
        lapse(link)
        assert tasks.expire_links() == 0  # it is claimed

        rails.settle(acme)
        assert tasks.expire_links() == 1

        assert (stored(link).status, available_of(payer)) == ("EXPIRED", 100)

    def test_of_several_claims_the_last_to_arrive_settles_the_link(self, make, claim, acme, shop):
        link = make(amount="10", maxUses=3)
        send_claim(link, ach_body(20))  # it takes its time
        claim(link, shop)
        send_claim(link, ach_body())
        rails.settle(acme)

        assert stored(link).status == "CLAIMED"
        rails.settle(acme, seconds=120)
        assert stored(link).status == "SETTLED"


class TestToAnAddress:
    def test_pays_coins_from_coins(self, make, acme, coins):
        link = make(walletId=coins.id)

        claimed = send_claim(link, usdc_body())
        rails.settle(acme)

        assert look(link, claimed)["status"] == "SETTLED"
        assert balance_of(coins) == 75
        assert [entry.currency for entry in SimulatorEntry.objects.all()] == ["USDC"]

    @pytest.mark.parametrize("fault", [1, 10])
    def test_that_fails_or_returns_it(self, make, acme, coins, fault):
        link = make(walletId=coins.id)
        send_claim(link, usdc_body(fault))

        rails.settle(acme)
        rails.settle(acme, seconds=60)

        assert (stored(link).status, available_of(coins)) == ("ACTIVE", 75)

    def test_however_its_letters_are_written_it_is_one_person(self, make, coins):
        link = make(walletId=coins.id, amount="5", maxUses=3)
        body = usdc_body()
        small = usdc_body()
        small["destination"]["address"] = small["destination"]["address"].lower()

        assert send_claim(link, body).status_code == 200
        assert refusal(send_claim(link, small)) == (409, "CONFLICT")

    def test_needs_an_address(self, make, coins):
        link = make(walletId=coins.id)
        before = everything()

        refused = send_claim(link, {"method": "usdc", "destination": {"type": "USDC"}})

        assert refusal(refused) == (400, "VALIDATION_ERROR")
        assert "destination.address" in refused.json()["error"]["details"]["fields"]
        assert everything() == before


class TestConversion:
    def test_is_refused_unless_the_organization_allows_it(self, make, acme, payer, coins):
        settings.set_conversion(acme, actor=actor_for(acme), allowed=False)
        dollars, usdc = make(), make(walletId=coins.id)

        for link, body in ((dollars, usdc_body()), (usdc, ach_body())):
            refused = send_claim(link, body)
            assert refusal(refused) == (400, "VALIDATION_ERROR")
            assert "method" in refused.json()["error"]["details"]["fields"]
            assert stored(link).status == "ACTIVE"

    def test_is_one_to_one_in_the_sandbox(self, make, acme, payer, coins):
        dollars, usdc = make(), make(walletId=coins.id)
        shown = Client().get(f"/v1/payment-links/claim/{dollars['slug']}").json()
        assert shown["methods"] == ["ach", "usdc", "wallet"]
        assert shown["conversion"] == {"method": "usdc", "currency": "USDC", "rate": "1.00"}

        send_claim(dollars, usdc_body())
        send_claim(usdc, ach_body())
        rails.settle(acme)

        assert (stored(dollars).status, stored(usdc).status) == ("SETTLED", "SETTLED")
        assert (balance_of(payer), balance_of(coins)) == (75, 75)
        paid = {entry.currency: entry.amount for entry in SimulatorEntry.objects.all()}
        assert paid == {"USD": -25, "USDC": -25}

    def test_comes_back_as_it_went(self, make, acme, payer):
        link = make()
        send_claim(link, usdc_body(10))

        rails.settle(acme)
        rails.settle(acme, seconds=60)

        assert (stored(link).status, balance_of(payer)) == ("ACTIVE", 100)

    def test_is_a_setting_that_is_told(self, acme):
        for allowed in (True, False, False, True):
            settings.set_conversion(acme, actor=actor_for(acme), allowed=allowed)
            assert settings.converts_currencies(acme, "SANDBOX") == allowed

        told = [fact.data["changes"] for fact in facts_of(acme, "organization.updated")]
        assert told == [{"convertsLinkCurrencies": False}, {"convertsLinkCurrencies": True}]

    def test_is_on_in_the_sandbox_and_off_in_production_until_changed(self, acme):
        def converts():
            return [
                settings.converts_currencies(acme, environment)
                for environment in ("SANDBOX", "PRODUCTION")
            ]

        assert converts() == [True, False]
        for environment, allowed in (("PRODUCTION", True), ("SANDBOX", False)):
            actor = actor_for(acme, environment)
            settings.set_conversion(acme, actor=actor, allowed=allowed)
            assert settings.converts_currencies(acme, environment) == allowed
        assert converts() == [False, True]


def test_sandbox_time_past_a_deadline_changes_nothing_that_has_arrived(make, acme, payer):
    link = make()
    send_claim(link, ach_body())
    rails.settle(acme)

    rails.advance(acme, days=300)
    rails.sweep()

    assert stored(link).status == "SETTLED"
    assert stored(link).settled_at < Claim.objects.get().created_at + timedelta(hours=1)


def _rows(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT string_agg(t::text, ' ') FROM {table} t")
        return cursor.fetchone()[0] or ""
