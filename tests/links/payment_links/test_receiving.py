"""Links that receive over rails: by debiting a bank account, or in USDC."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.pay_ins.models import Mandate
from accounts.transfers.models import SimulatorEntry
from accounts.transfers.rails.simulator import pay_address
from links.payment_links.models import Claim
from links.payment_links.services import claim_status, settings
from tests.accounts import rails
from tests.links.conftest import (
    AS_SHOWN,
    ach_body,
    agreed,
    claim_body,
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
    make_wallet,
)
from wallgent import clock


@pytest.fixture
def ask(make):
    """Creates a link that receives 25."""

    def ask(**fields) -> dict:
        return make(**{"direction": "RECEIVE"} | fields)

    return ask


@pytest.fixture
def coins(acme):
    return make_wallet(acme, "Coins", currency="USDC")


@pytest.fixture
def wait(ask, coins):
    """Creates a link of 25 USDC and a claim that waits for the payment; answers both."""

    def wait(**fields):
        link = ask(walletId=coins.id, **fields)
        claimed = send_claim(link, usdc_body())
        assert claimed.status_code == 200, claimed.content
        rails.sweep()
        return link, claimed

    return wait


@pytest.fixture
def pay(django_capture_on_commit_callbacks):
    """Pays an amount to the address of a claim, and processes what the rail reports."""

    def pay(claimed, amount: str, chain: str = "ethereum") -> None:
        with django_capture_on_commit_callbacks(execute=True):
            pay_address(claimed.json()["deposit"]["address"], Decimal(amount), chain)
        rails.sweep()

    return pay


def refusal(response) -> tuple[int, str]:
    return response.status_code, error_of(response)


def reasons() -> list[str]:
    """The reasons in the history of the latest claim."""
    return [step.reason for step in Claim.objects.latest("pk").history.all() if step.reason]


class TestBankDebit:
    def test_settles_the_link_when_the_debit_completes(self, ask, acme, payer):
        link = ask()

        claimed = send_claim(link, ach_body() | agreed())
        assert (claimed.status_code, claimed.json()["status"]) == (200, "CLAIMED")
        assert (stored(link).status, balance_of(payer)) == ("CLAIMED", 100)
        rails.settle(acme)

        assert look(link, claimed)["status"] == "SETTLED"
        assert (stored(link).status, balance_of(payer)) == ("SETTLED", 125)
        assert stored(link).transaction_id == look(link, claimed)["transactionId"] == an_id("txn")
        assert [entry.amount for entry in SimulatorEntry.objects.all()] == [25]
        assert len(events_of(acme, "payment_link.settled")) == 1

    def test_records_the_mandate_with_its_time_and_network_address(self, ask):
        link = ask()
        shown = Client().get(f"/v1/payment-links/claim/{link['slug']}").json()["mandate"]
        assert "Acme" in shown["wording"]
        assert "$25.00" in shown["wording"]
        body = ach_body(mandate={"version": shown["version"], "accepted": True})

        Client(ip="192.0.2.7").post(
            f"/v1/payment-links/claim/{link['slug']}/claim", body, **{"User-Agent": "A browser"}
        )

        mandate = Mandate.objects.get()
        assert (mandate.version, mandate.wording) == (shown["version"], shown["wording"])
        assert (mandate.ip, mandate.user_agent) == ("192.0.2.7", "A browser")
        assert abs(mandate.accepted_at - clock.real_now()) < timedelta(seconds=30)
        assert (mandate.purpose, mandate.reference) == ("payment_link", Claim.objects.get().id)

    def test_records_the_mandate_without_a_network_address_if_it_is_unknown(self, ask):
        claimed = send_claim(ask(), ach_body() | agreed(), client=Client(ip=""))

        assert claimed.status_code == 200
        assert Mandate.objects.get().ip is None

    @pytest.mark.parametrize(
        "mandate",
        [
            {"version": "2020-01", "accepted": True},
            {"version": AS_SHOWN, "accepted": False},
            {"version": AS_SHOWN},
            {"version": "", "accepted": True},
            {"accepted": True},
            "yes",
        ],
    )
    def test_without_an_accepted_mandate_is_refused(self, ask, mandate):
        link = ask()
        before = everything()

        refused = send_claim(link, ach_body(mandate=mandate))

        assert refusal(refused) == (400, "VALIDATION_ERROR")
        assert any(
            name.startswith("mandate") for name in refused.json()["error"]["details"]["fields"]
        )
        assert everything() == before

    def test_refuses_a_mandate_whose_wording_has_changed(self, ask, acme):
        link = ask()
        acme.name = "Acme Robotics"
        acme.save()

        refused = send_claim(link, ach_body() | agreed())

        assert refusal(refused) == (400, "VALIDATION_ERROR")
        mandate = refused.json()["error"]["details"]["mandate"]
        assert "Acme Robotics" in mandate["wording"]
        body = ach_body(mandate={"version": mandate["version"], "accepted": True})
        assert send_claim(link, body).status_code == 200
        assert Mandate.objects.get().wording == mandate["wording"]

    def test_a_refusal_shows_the_current_mandate_unless_the_link_is_restricted(self, ask):
        stale = {"mandate": {"version": "2020-01", "accepted": True}}
        limits = {"emails": ["a@b.example"]}
        refused = send_claim(ask(recipientRestrictions=limits), ach_body() | stale)
        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert "Acme" not in refused.text

        details = send_claim(ask(), ach_body() | stale).json()["error"]["details"]

        assert len(details["mandate"]["version"]) == 16
        assert "debit" in details["mandate"]["wording"]

    def test_that_fails_leaves_the_link_open(self, ask, acme, payer):
        link = ask()
        claimed = send_claim(link, ach_body(1) | agreed())

        rails.settle(acme)

        assert (stored(link).status, stored(link).use_count) == ("ACTIVE", 0)
        assert "R01" in look(link, claimed)["reason"]
        assert balance_of(payer) == 100
        assert len(events_of(acme, "payment_link.reopened")) == 1

    def test_that_is_returned_opens_the_link_again(self, ask, acme, api, payer, shop):
        link = ask()
        claimed = send_claim(link, ach_body(10) | agreed())
        rails.settle(acme)
        # The money is spent already, so the return leaves a debt.
        api.post("/v1/payments", {"from": payer.id, "to": shop.id, "amount": "120"})

        rails.settle(acme, seconds=60)

        assert look(link, claimed)["status"] == "RETURNED"
        assert (stored(link).status, stored(link).use_count) == ("ACTIVE", 0)
        assert balance_of(payer) < 0
        assert "R10" in stored(link).reopen_reason

    def test_into_a_frozen_wallet_is_credited(self, ask, acme, api, payer):
        link = ask()
        api.post(f"/v1/wallets/{payer.id}/freeze")

        send_claim(link, ach_body() | agreed())
        rails.settle(acme)

        assert (stored(link).status, balance_of(payer)) == ("SETTLED", 125)

    def test_into_a_usdc_wallet_needs_the_organizations_consent(self, ask, acme, coins):
        link = ask(walletId=coins.id)
        settings.set_conversion(acme, actor=actor_for(acme), allowed=False)
        assert refusal(send_claim(link, ach_body() | agreed())) == (400, "VALIDATION_ERROR")

        settings.set_conversion(acme, actor=actor_for(acme), allowed=True)
        assert send_claim(link, ach_body() | agreed()).status_code == 200
        rails.settle(acme)

        assert (stored(link).status, balance_of(coins)) == ("SETTLED", 25)


class TestUsdcPayment:
    def test_each_claim_waits_at_its_own_address(self, wait, acme, coins):
        link, claimed = wait(maxUses=2)
        answer = claimed.json()

        assert (answer["status"], answer["transactionId"]) == ("AWAITING_PAYMENT", None)
        assert answer["expiresAt"] == A_TIME
        deposit = answer["deposit"]
        assert deposit == {
            "address": deposit["address"],
            "chain": "ethereum",
            "received": "0.00",
            "missing": "25.00",
            "payments": [],
        }
        other = send_claim(link, {"method": "usdc", "destination": {"type": "USDC"}}).json()
        assert other["deposit"]["address"] != deposit["address"]
        assert stored(link).status == "CLAIMED"
        assert events_of(acme, "payment_link.claimed")[0].data["method"] == "usdc"
        assert balance_of(coins) == 0

    def test_of_the_exact_amount_settles_the_link(self, wait, pay, coins):
        link, claimed = wait()

        pay(claimed, "25")

        assert look(link, claimed)["status"] == "SETTLED"
        assert (stored(link).status, balance_of(coins)) == ("SETTLED", 25)
        assert stored(link).transaction_id is not None
        assert look(link, claimed)["deposit"]["address"] is None  # nothing is missing

    def test_in_part_waits_for_the_rest(self, wait, pay, coins):
        link, claimed = wait()

        pay(claimed, "10")
        seen = look(link, claimed)
        assert seen["status"] == "AWAITING_PAYMENT"
        assert (seen["deposit"]["received"], seen["deposit"]["missing"]) == ("10.00", "15.00")
        assert seen["deposit"]["payments"][0] == {
            "kind": "PARTIAL",
            "amount": "10.00",
            "chain": "ethereum",
            "arrivedAt": A_TIME,
            "credited": True,
        }
        assert "15.00\xa0USDC is missing" in reasons()[0]
        pay(claimed, "15")

        assert (stored(link).status, balance_of(coins)) == ("SETTLED", 25)

    def test_of_too_much_is_credited_and_reported(self, wait, pay, coins):
        link, claimed = wait()

        pay(claimed, "30")
        pay(claimed, "1")

        assert (stored(link).status, balance_of(coins)) == ("SETTLED", 31)
        assert [payment["kind"] for payment in look(link, claimed)["deposit"]["payments"]] == [
            "EXCESS",
            "EXCESS",
        ]
        assert "more than was asked for" in reasons()[0]

    def test_on_another_chain_is_not_credited(self, wait, pay, coins):
        link, claimed = wait()

        pay(claimed, "25", chain="polygon")

        seen = look(link, claimed)
        assert (seen["status"], seen["deposit"]["received"]) == ("AWAITING_PAYMENT", "0.00")
        assert seen["deposit"]["payments"][0]["credited"] is False
        assert "polygon" in reasons()[0]
        assert balance_of(coins) == 0

    def test_that_does_not_arrive_frees_the_use(self, wait, acme):
        link, claimed = wait()

        rails.settle(acme, seconds=3700)

        assert look(link, claimed)["status"] == "EXPIRED"
        assert look(link, claimed)["reason"] == "Nobody paid in time."
        assert (stored(link).status, stored(link).use_count) == ("ACTIVE", 0)
        assert len(events_of(acme, "payment_link.reopened")) == 1
        assert send_claim(link, usdc_body()).status_code == 200

    def test_that_expires_in_part_stays_in_the_wallet(self, wait, pay, acme, coins):
        link, claimed = wait()
        pay(claimed, "10")

        rails.settle(acme, seconds=3700)

        assert look(link, claimed)["status"] == "EXPIRED"
        assert "Only 10.00\xa0USDC of 25.00\xa0USDC came" in look(link, claimed)["reason"]
        assert (stored(link).status, balance_of(coins)) == ("ACTIVE", 10)

    def test_that_is_late_settles_a_link_that_is_still_open(self, wait, pay, acme, coins):
        link, claimed = wait()
        rails.settle(acme, seconds=3700)

        pay(claimed, "25")

        assert look(link, claimed)["status"] == "SETTLED"
        assert (stored(link).status, balance_of(coins)) == ("SETTLED", 25)
        assert [step.status for step in Claim.objects.get().history.all()] == [
            "AWAITING_PAYMENT",
            "EXPIRED",
            "EXPIRED",  # the late payment is recorded first
            "SETTLED",
        ]

    def test_that_is_late_while_another_claim_has_the_use_is_credited_and_reported(
        self, wait, pay, acme, coins
    ):
        link, claimed = wait()
        rails.settle(acme, seconds=3700)
        other = send_claim(link, {"method": "usdc", "destination": {"type": "USDC"}})
        rails.sweep()

        pay(claimed, "25")
        assert look(link, claimed)["status"] == "EXPIRED"
        pay(other, "25")

        assert (stored(link).status, stored(link).use_count) == ("SETTLED", 1)
        assert balance_of(coins) == 50
        assert "It came late" in Claim.objects.earliest("pk").history.last().reason

    @pytest.mark.parametrize("parts", [["24"], ["10", "14.999999"]])
    def test_that_is_late_and_in_part_does_not_settle_the_link(self, wait, pay, acme, parts):
        link, claimed = wait()
        rails.settle(acme, seconds=3700)

        for part in parts:
            pay(claimed, part)

        assert look(link, claimed)["status"] == "EXPIRED"
        assert stored(link).status == "ACTIVE"

    def test_whose_rest_is_late_settles_the_link(self, wait, pay, acme):
        link, claimed = wait()
        pay(claimed, "10")
        rails.settle(acme, seconds=3700)

        pay(claimed, "15")

        assert look(link, claimed)["status"] == "SETTLED"

    def test_past_the_deadline_counts_if_the_claim_has_not_expired_yet(self, wait, acme, coins):
        link, claimed = wait()
        rails.advance(acme, seconds=3700)
        pay_address(claimed.json()["deposit"]["address"], Decimal(25))

        rails.sweep()

        assert look(link, claimed)["status"] == "SETTLED"
        assert (stored(link).status, balance_of(coins)) == ("SETTLED", 25)

    def test_that_is_late_for_a_canceled_link_is_credited(self, wait, pay, acme, api, coins):
        link, claimed = wait()
        rails.settle(acme, seconds=3700)
        api.patch(f"/v1/payment-links/{link['id']}")

        pay(claimed, "25")

        assert (stored(link).status, look(link, claimed)["status"]) == ("CANCELLED", "EXPIRED")
        assert balance_of(coins) == 25

    def test_into_a_usd_wallet_needs_the_organizations_consent(self, ask, pay, acme, payer):
        settings.set_conversion(acme, actor=actor_for(acme), allowed=False)
        link = ask()
        assert refusal(send_claim(link, usdc_body())) == (400, "VALIDATION_ERROR")

        settings.set_conversion(acme, actor=actor_for(acme), allowed=True)
        claimed = send_claim(link, usdc_body())
        rails.sweep()
        pay(claimed, "25")

        assert (stored(link).status, balance_of(payer)) == ("SETTLED", 125)

    def test_an_address_pays_a_link_once(self, wait):
        link, _ = wait(maxUses=3)

        assert refusal(send_claim(link, usdc_body())) == (409, "CONFLICT")

    def test_settles_a_link_that_expires_meanwhile(self, wait, pay, claim, coins):
        link, claimed = wait(expiresAt=soon())
        lapse(link)

        pay(claimed, "25")

        assert (stored(link).status, balance_of(coins)) == ("SETTLED", 25)


class TestClosedWallet:
    @pytest.mark.parametrize("body", [ach_body() | agreed(), usdc_body()], ids=["ach", "usdc"])
    def test_claims_are_refused_without_naming_the_wallet(self, ask, api, acme, body):
        wallet = make_wallet(acme, "Closing", currency="USDC" if "usdc" in body.values() else "USD")
        link = ask(walletId=wallet.id)
        assert api.post(f"/v1/wallets/{wallet.id}/close").status_code == 200
        before = everything()

        refused = send_claim(link, body)

        assert refusal(refused) == (409, "INVALID_STATE")
        assert wallet.id not in refused.text
        assert everything() == before

    def test_a_claim_made_before_it_closed_still_settles(self, ask, api, acme):
        wallet = make_wallet(acme, "Closing")
        link = ask(walletId=wallet.id)
        send_claim(link, ach_body() | agreed())

        api.post(f"/v1/wallets/{wallet.id}/close")
        rails.settle(acme)

        assert Claim.objects.get().status == "SETTLED"


class TestPublicStatus:
    def test_shows_the_latest_of_many_small_payments(
        self, wait, monkeypatch, django_capture_on_commit_callbacks
    ):
        monkeypatch.setattr(claim_status, "INCOMING_SHOWN", 2)
        _, claimed = wait()
        with django_capture_on_commit_callbacks(execute=True):
            for amount in ("0.01", "0.02", "0.03"):
                pay_address(claimed.json()["deposit"]["address"], Decimal(amount))
        rails.sweep()

        status = claim_status.public_status(Claim.objects.get())

        assert [payment.amount for payment in status.incoming] == [Decimal("0.02"), Decimal("0.03")]
        assert status.received == Decimal("0.06")

    def test_needs_the_token_of_the_claim(self, make, acme):
        link, other = make(amount="5", maxUses=2), make(amount="5")
        claimed = send_claim(link, ach_body()).json()
        path = f"/v1/payment-links/claim/{link['slug']}"

        assert Client().get(path).json()["claim"] is None
        assert Client().get(path, claimToken=claimed["claimToken"]).json()["claim"] == claimed
        for token in (claimed["id"], claimed["claimToken"][:-2], "x", "clm_x:y"):
            assert refusal(Client().get(path, claimToken=token)) == (404, "NOT_FOUND")
        elsewhere = f"/v1/payment-links/claim/{other['slug']}"
        seen = Client().get(elsewhere, claimToken=claimed["claimToken"])
        assert refusal(seen) == (404, "NOT_FOUND")

    def test_changes_nothing(self, wait):
        link, claimed = wait()
        before = everything()

        look(link, claimed)

        assert everything() == before


@pytest.mark.parametrize(
    "body", [ach_body() | agreed(), usdc_body(), None], ids=["ach", "usdc", "wallet"]
)
def test_a_link_for_certain_wallets_accepts_no_other_method_or_wallet(ask, shop, body):
    link = ask(recipientRestrictions={"walletIds": ["wal_x"]})
    before = everything()

    refused = send_claim(link, body or claim_body(shop))

    assert refusal(refused) == (403, "PERMISSION_DENIED")
    assert everything() == before
    assert available_of(shop) == 0
