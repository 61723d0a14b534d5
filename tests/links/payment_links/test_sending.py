"""SEND links over rails: the held money leaves the wallet only when a transfer completes."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from accounts.ledger import chart, journal
from accounts.transfers.models import SimulatorEntry, Transfer
from links.payment_links.models import Claim
from links.payment_links.services import settings
from tests.accounts import rails
from tests.links.conftest import (
    ach_body,
    expire_links,
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
    events_of,
    everything,
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


class TestPayToBank:
    def test_claims_at_once_and_settles_when_the_transfer_completes(self, make, acme, payer):
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

    def test_records_events_of_claim_and_settlement(self, make, acme):
        link = make()
        claimed = send_claim(link, ach_body()).json()

        [event] = events_of(acme, "payment_link.claimed")
        assert (event.data["method"], event.data["transferId"]) == ("ach", claimed["transferId"])
        assert (event.data["status"], event.data["transactionId"]) == ("CLAIMED", None)
        assert events_of(acme, "payment_link.settled") == []
        rails.settle(acme)

        [event] = events_of(acme, "payment_link.settled")
        assert event.data["transactionId"] == stored(link).transaction_id
        assert event.data["transferId"] == claimed["transferId"]
        assert (event.data["status"], event.data["claimId"]) == ("SETTLED", claimed["id"])

    def test_stores_no_account_number_in_plain_text(self, make, acme):
        link = make()
        body = ach_body(number="123454321")

        answer = send_claim(link, body).text
        rails.settle(acme)

        assert "123454321" not in answer
        for table in (
            "links_claim",
            "accounts_transfer",
            "wallgent_event",
            "wallgent_idempotencyrecord",
        ):
            assert "123454321" not in _rows(table), table
        transfer = Transfer.objects.get()
        assert transfer.account_last4 == "4321"
        assert "123454321" in credentials.decrypt(transfer.counterparty)

    @pytest.mark.parametrize(("fault", "code"), [(1, "R01"), (2, "R02"), (3, "R03")])
    def test_failed_transfer_reopens_the_link(self, make, api, acme, payer, fault, code):
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
        [event] = events_of(acme, "payment_link.reopened")
        assert event.data["reason"] == after["reopenReason"]
        assert (event.data["status"], event.data["claimStatus"]) == ("ACTIVE", "FAILED")
        assert event.is_public

    def test_after_a_failure_the_same_claimant_can_claim_again(self, make, acme, payer):
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
    def test_slow_or_repeated_rail_events_pay_once(self, make, acme, payer, fault):
        link = make()
        send_claim(link, ach_body(fault))

        for _ in range(8):
            rails.settle(acme, seconds=20)

        assert stored(link).status == "SETTLED"
        assert balance_of(payer) == 75
        assert [entry.amount for entry in SimulatorEntry.objects.all()] == [-25]
        assert len(events_of(acme, "payment_link.settled")) == 1

    def test_transfer_without_answer_fails_at_its_deadline(self, make, acme, payer):
        link = make()
        send_claim(link, ach_body(60))

        rails.settle(acme, seconds=60)
        assert stored(link).status == "CLAIMED"
        rails.settle(acme, seconds=3600)

        assert (stored(link).status, available_of(payer)) == ("ACTIVE", 75)
        assert Claim.objects.get().status == "FAILED"

    def test_transfer_waits_while_the_wallet_is_frozen(self, make, acme, api, payer):
        link = make()
        send_claim(link, ach_body())
        api.post(f"/v1/wallets/{payer.id}/freeze")

        rails.settle(acme)
        assert stored(link).status == "CLAIMED"
        api.post(f"/v1/wallets/{payer.id}/unfreeze")
        rails.settle(acme, seconds=60)
        rails.settle(acme, seconds=60)

        assert stored(link).status == "SETTLED"

    def test_claim_from_a_frozen_wallet_is_refused_without_disclosing_it(self, make, api, payer):
        link = make()
        api.post(f"/v1/wallets/{payer.id}/freeze")
        before = everything()

        refused = send_claim(link, ach_body())

        assert refusal(refused) == (409, "INVALID_STATE")
        assert "roze" not in refused.text
        assert everything() == before

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_wallet_in_debt_pays_nothing(self, make, acme, payer, when):
        link = make(amount="60")
        if when == "after":
            claimed = send_claim(link, ach_body())
        returned = journal.Move(payer.account_id, TREASURY, Decimal(90), "USD")
        posting = journal.Posting(id=ids.new("txn"), moves=(returned,), reason="test")
        journal.post_set([posting], book="SANDBOX", forced=True)

        if when == "before":
            refused = send_claim(link, ach_body())
            assert refusal(refused) == (409, "INVALID_STATE")
            assert "cannot be paid out right now" in refused.json()["error"]["message"]
        rails.settle(acme, seconds=60)

        assert balance_of(payer) == 10
        fund(payer, "50")  # covers the debt and the link
        if when == "before":
            claimed = send_claim(link, ach_body())
        for _ in range(2):  # the transfer is retried after a while
            rails.settle(acme, seconds=60)
        assert look(link, claimed)["status"] == "SETTLED"
        assert balance_of(payer) == 0

    def test_each_bank_account_claims_once(self, make, acme):
        link = make(amount="10", maxUses=3)

        assert send_claim(link, ach_body()).status_code == 200
        assert refusal(send_claim(link, ach_body())) == (409, "CONFLICT")
        padded = ach_body(number="123456789")  # leading zeros do not make it another
        assert refusal(send_claim(link, padded)) == (409, "CONFLICT")
        assert send_claim(link, ach_body(number="987654321")).status_code == 200
        assert stored(link).use_count == 2

    def test_repeated_key_claims_once(self, make):
        link = make()

        first = send_claim(link, ach_body(idempotencyKey="k"))
        again = send_claim(link, ach_body(idempotencyKey="k"))

        assert again.content == first.content
        assert Transfer.objects.count() == 1

    def test_amount_with_fractions_of_a_cent_is_refused(self, make):
        link = make(amount="0.125")

        shown = Client().get(f"/v1/payment-links/claim/{link['slug']}").json()
        refused = send_claim(link, ach_body())

        assert shown["methods"] == ["usdc", "wallet"]
        assert refusal(refused) == (400, "INVALID_AMOUNT")
        assert stored(link).status == "ACTIVE"


class TestReturnedPayout:
    def test_keeps_its_history_and_reopens_the_link(self, make, acme, payer):
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
        [event] = events_of(acme, "payment_link.reopened")
        assert event.data["claimStatus"] == "RETURNED"
        assert send_claim(link, ach_body()).status_code == 200
        rails.settle(acme)
        assert (stored(link).status, balance_of(payer)) == ("SETTLED", 75)

    def test_increases_the_hold_of_a_link_with_remaining_uses(self, make, acme, payer):
        link = make(amount="10", maxUses=3)
        send_claim(link, ach_body(10))

        rails.settle(acme)
        rails.settle(acme, seconds=60)

        assert (stored(link).use_count, stored(link).hold.remaining) == (0, 30)
        assert (balance_of(payer), available_of(payer)) == (100, 70)

    def test_does_not_reopen_a_link_if_the_wallet_cannot_place_a_hold(
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
        assert events_of(acme, "payment_link.reopened") == []
        assert refusal(send_claim(link, ach_body())) == (409, "INVALID_STATE")

    def test_does_not_reopen_a_link_past_its_expiry(self, make, acme, payer):
        link = make(expiresAt=soon(30))
        send_claim(link, ach_body(10))
        rails.settle(acme)

        rails.settle(acme, seconds=60)

        assert stored(link).status == "SETTLED"
        assert available_of(payer) == 100

    def test_of_an_expired_link_goes_back_to_the_wallet(self, make, acme, payer):
        link = make(amount="10", maxUses=2, expiresAt=soon(30))
        send_claim(link, ach_body(10))
        rails.settle(acme)
        rails.advance(acme, seconds=3)
        lapse(link)
        assert expire_links() == 1

        rails.settle(acme, seconds=60)

        assert (stored(link).status, Claim.objects.get().status) == ("EXPIRED", "RETURNED")
        assert available_of(payer) == 100


class TestPayoutUnderWay:
    @pytest.mark.parametrize("end", ["cancelled", "expired"])
    def test_stays_on_hold_when_the_link_ends(self, make, api, acme, payer, end):
        link = make(amount="10", maxUses=3, expiresAt=soon())
        send_claim(link, ach_body())
        send_claim(link, ach_body(1))

        if end == "cancelled":
            api.patch(f"/v1/payment-links/{link['id']}")
        else:
            lapse(link)
            expire_links()
        assert (available_of(payer), stored(link).hold.remaining) == (80, 20)
        rails.settle(acme)

        assert stored(link).status == end.upper()
        assert (balance_of(payer), available_of(payer)) == (90, 90)
        assert events_of(acme, "payment_link.reopened") == []

    def test_failure_after_the_expiry_lets_the_link_expire(self, make, acme, payer):
        link = make(expiresAt=soon())
        send_claim(link, ach_body(1))
        lapse(link)
        expire_links()
        assert stored(link).status == "CLAIMED"  # a claimed link does not expire

        rails.settle(acme)
        assert expire_links() == 1

        assert (stored(link).status, available_of(payer)) == ("EXPIRED", 100)

    def test_the_last_claim_to_complete_settles_the_link(self, make, claim, acme, shop):
        link = make(amount="10", maxUses=3)
        send_claim(link, ach_body(20))  # a slow transfer
        claim(link, shop)
        send_claim(link, ach_body())
        rails.settle(acme)

        assert stored(link).status == "CLAIMED"
        rails.settle(acme, seconds=120)
        assert stored(link).status == "SETTLED"


class TestPayToAddress:
    def test_pays_usdc_from_a_usdc_wallet(self, make, acme, coins):
        link = make(walletId=coins.id)

        claimed = send_claim(link, usdc_body())
        rails.settle(acme)

        assert look(link, claimed)["status"] == "SETTLED"
        assert balance_of(coins) == 75
        assert [entry.currency for entry in SimulatorEntry.objects.all()] == ["USDC"]

    @pytest.mark.parametrize("fault", [1, 10])
    def test_failed_or_returned_transfer_reopens_the_link(self, make, acme, coins, fault):
        link = make(walletId=coins.id)
        send_claim(link, usdc_body(fault))

        rails.settle(acme)
        rails.settle(acme, seconds=60)

        assert (stored(link).status, available_of(coins)) == ("ACTIVE", 75)

    def test_address_in_any_letter_case_is_one_claimant(self, make, coins):
        link = make(walletId=coins.id, amount="5", maxUses=3)
        body = usdc_body()
        small = usdc_body()
        small["destination"]["address"] = small["destination"]["address"].lower()

        assert send_claim(link, body).status_code == 200
        assert refusal(send_claim(link, small)) == (409, "CONFLICT")

    def test_requires_an_address(self, make, coins):
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

    def test_returned_transfer_is_converted_back(self, make, acme, payer):
        link = make()
        send_claim(link, usdc_body(10))

        rails.settle(acme)
        rails.settle(acme, seconds=60)

        assert (stored(link).status, balance_of(payer)) == ("ACTIVE", 100)

    def test_changing_the_setting_records_an_event(self, acme):
        for allowed in (True, False, False, True):
            settings.set_conversion(acme, actor=actor_for(acme), allowed=allowed)
            assert settings.converts_currencies(acme, "SANDBOX") == allowed

        changes = [event.data["changes"] for event in events_of(acme, "organization.updated")]
        assert changes == [{"convertsLinkCurrencies": False}, {"convertsLinkCurrencies": True}]

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


def test_sandbox_time_past_a_deadline_does_not_change_a_settled_claim(make, acme, payer):
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
