"""Links that receive, paid from a wallet: with a key at once, else by a pay request."""

from datetime import timedelta

import pytest

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.organizations.models import ApiKey, Organization
from accounts.pay_ins.services import pay_requests
from accounts.payments.models import Payment
from links.payment_links.models import Claim
from links.payment_links.services import rate_limits
from tests import approving
from tests.accounts import rails
from tests.links.conftest import (
    claim_body,
    expire_links,
    lapse,
    look,
    send_claim,
    soon,
    stored,
    usdc_body,
)
from tests.world import (
    Client,
    actor_for,
    available_of,
    balance_of,
    error_of,
    events_of,
    everything,
    fund,
    in_parallel,
    make_key,
    make_wallet,
    unknown_id,
)
from wallgent.api.schemas import timestamp_text


@pytest.fixture
def ask(make):
    """Creates a link that receives 25."""

    def ask(**fields) -> dict:
        return make(**{"direction": "RECEIVE"} | fields)

    return ask


@pytest.fixture
def till(shop):
    """Globex's wallet, with 100: the one that pays in these tests."""
    fund(shop, "100")
    return shop


def refusal(response) -> tuple[int, str]:
    return response.status_code, error_of(response)


def pending_of(organization) -> Approval:
    """The pending approval of an organization."""
    return Approval.objects.get(organization=organization, status="PENDING")


class TestPayWithKey:
    @pytest.mark.parametrize("loses", ["key", "permission"])
    def test_replay_needs_the_access_that_paying_needed(self, ask, stranger, till, globex, loses):
        Organization.objects.filter(pk=globex.pk).update(accepts_pay_requests_sandbox=False)
        link, body = ask(), claim_body(till, idempotencyKey="k")
        assert send_claim(link, body, client=stranger).status_code == 200
        if loses == "permission":
            ApiKey.objects.filter(organization=globex).update(permissions=["payments:read"])

        client = stranger if loses == "permission" else Client()

        assert refusal(send_claim(link, body, client=client)) == (401, "UNAUTHORIZED")
        assert send_claim(link, body, client=Client()).status_code == 401

    def test_a_key_that_may_spend_pays_at_once(self, ask, stranger, payer, till, acme, globex):
        link = ask(description="Invoice 7")

        paid = send_claim(link, claim_body(till), client=stranger)

        answer = paid.json()
        assert (paid.status_code, answer["status"], answer["direction"]) == (
            200,
            "SETTLED",
            "RECEIVE",
        )
        assert (balance_of(till), balance_of(payer)) == (75, 125)
        assert stored(link).status == "SETTLED"
        payment = stranger.get(f"/v1/payments/{answer['transactionId']}").json()
        assert (payment["kind"], payment["fee"], payment["from"]) == (
            "PAYMENT_LINK",
            "0.00",
            till.id,
        )
        assert payment["description"] == "Invoice 7"
        [settled] = events_of(acme, "payment_link.settled")
        assert (settled.actor_type, settled.actor_id) == ("SYSTEM", "")  # the key is not Acme's
        [completed] = events_of(globex, "payment.completed")
        assert completed.actor_type == "API_KEY"
        assert not Approval.objects.exists()

    def test_insufficient_funds_are_refused_and_recorded_for_the_payer(
        self, ask, stranger, acme, globex, shop
    ):
        link = ask()

        refused = send_claim(link, claim_body(shop), client=stranger)

        assert refusal(refused) == (402, "INSUFFICIENT_FUNDS")
        assert stored(link).status == "ACTIVE"
        assert len(events_of(globex, "payment.failed")) == 1
        assert events_of(acme, "payment.failed") == []
        assert not Claim.objects.exists()

    def test_a_frozen_wallet_is_refused(self, ask, stranger, till):
        stranger.post(f"/v1/wallets/{till.id}/freeze")

        assert refusal(send_claim(ask(), claim_body(till), client=stranger)) == (
            403,
            "WALLET_FROZEN",
        )

    @pytest.mark.parametrize("case", ["reader", "scoped", "another organization's", "nonsense"])
    def test_a_key_that_may_not_spend_creates_a_pay_request(self, ask, till, api, globex, case):
        other = make_wallet(globex, "Other")
        client = {
            "reader": lambda: Client(make_key(globex, permissions=["payments:read"])),
            "scoped": lambda: Client(make_key(globex, wallet_scope=[other.id])),
            "another organization's": lambda: api,
            "nonsense": lambda: Client("wg_test_nonsense"),
        }[case]()

        answer = send_claim(ask(), claim_body(till), client=client)

        assert (answer.status_code, answer.json()["status"]) == (202, "PENDING_APPROVAL")
        assert balance_of(till) == 100

    def test_a_sandbox_key_pays_nothing_in_production(
        self, make, live_api, live_wallet, stranger, till
    ):
        link = make(client=live_api, walletId=live_wallet.id, direction="RECEIVE")
        before = everything()

        refused = send_claim(link, claim_body(till), client=stranger)

        assert refusal(refused) == (401, "UNAUTHORIZED")
        assert everything() == before

    def test_paying_ends_the_wallets_pending_pay_request(self, ask, stranger, till, globex):
        link = ask(maxUses=2)
        waiting = send_claim(link, claim_body(till))
        approval = pending_of(globex)

        assert send_claim(link, claim_body(till), client=stranger).status_code == 200

        assert look(link, waiting)["status"] == "EXPIRED"
        approval.refresh_from_db()
        assert (approval.status, stored(link).status) == ("EXPIRED", "ACTIVE")
        assert refusal(stranger.post(f"/v1/approvals/{approval.id}/approve"))[0] == 409
        assert balance_of(till) == 75

    def test_a_link_that_sends_ignores_the_key(self, make, stranger, till):
        assert send_claim(make(), claim_body(till), client=stranger).status_code == 200
        assert balance_of(till) == 125


class TestPayRequest:
    def test_moves_nothing_and_takes_no_use(self, ask, acme, globex, payer, till):
        link = ask(description="Invoice 7")

        answer = send_claim(link, claim_body(till))

        assert (answer.status_code, answer.json()["status"]) == (202, "PENDING_APPROVAL")
        assert (balance_of(till), available_of(till)) == (100, 100)
        assert (stored(link).status, stored(link).use_count) == ("ACTIVE", 0)
        approval = pending_of(globex)
        assert (approval.wallet_id, approval.recipient_id) == (till.id, payer.id)
        assert (approval.amount, approval.currency) == (25, "USD")
        assert (approval.description, approval.subject_id) == ("Invoice 7", link["id"])
        assert events_of(acme, "payment_link.claimed") == []
        assert len(events_of(globex, "approval.created")) == 1

    def test_approving_it_pays(self, ask, stranger, acme, payer, till, globex):
        link = ask()
        asked = send_claim(link, claim_body(till))

        done = stranger.post(f"/v1/approvals/{pending_of(globex).id}/approve")

        assert (done.status_code, done.json()["status"]) == (200, "APPROVED")
        assert (balance_of(till), balance_of(payer)) == (75, 125)
        assert look(link, asked)["status"] == "SETTLED"
        assert look(link, asked)["transactionId"] == done.json()["transactionId"]
        assert stored(link).status == "SETTLED"
        assert [event.data["claimId"] for event in events_of(acme, "payment_link.claimed")] == [
            asked.json()["id"]
        ]

    def test_takes_its_use_at_the_time_of_approval(self, ask, stranger, acme, globex, till):
        link = ask()
        asked = send_claim(link, claim_body(till)).json()
        rails.advance(acme, hours=2)

        stranger.post(f"/v1/approvals/{pending_of(globex).id}/approve")

        [event] = events_of(acme, "payment_link.claimed")
        assert event.data["claimedAt"] > asked["createdAt"]
        assert event.data["claimedAt"] == timestamp_text(stored(link).claimed_at)

    def test_rejecting_it_pays_nothing_and_allows_another(self, ask, stranger, globex, till):
        link = ask()
        asked = send_claim(link, claim_body(till))

        stranger.post(f"/v1/approvals/{pending_of(globex).id}/reject", {"reason": "Who are you?"})

        assert look(link, asked)["status"] == "REJECTED"
        assert "Who are you?" not in look(link, asked)["reason"]
        assert (stored(link).status, balance_of(till)) == ("ACTIVE", 100)
        assert send_claim(link, claim_body(till)).status_code == 202

    def test_expires_without_a_decision(self, ask, globex, till):
        link = ask()
        asked = send_claim(link, claim_body(till))
        rails.advance(globex, hours=25)

        approving.expire_approvals()

        assert look(link, asked)["status"] == "EXPIRED"
        assert send_claim(link, claim_body(till)).status_code == 202

    def test_a_new_one_replaces_one_past_its_expiry(self, ask, globex, till):
        link = ask()
        asked = send_claim(link, claim_body(till))
        rails.advance(globex, hours=25)

        assert send_claim(link, claim_body(till)).status_code == 202
        assert look(link, asked)["status"] == "EXPIRED"

    def test_is_pending_once_for_each_link_and_wallet(self, ask, till, globex):
        link, other = ask(), ask()
        more = make_wallet(globex, "More")

        assert send_claim(link, claim_body(till)).status_code == 202
        assert refusal(send_claim(link, claim_body(till))) == (409, "CONFLICT")
        assert send_claim(link, claim_body(more)).status_code == 202
        assert send_claim(other, claim_body(till)).status_code == 202
        assert Approval.objects.count() == 3

    @pytest.mark.parametrize("end", ["cancelled", "expired", "paid"])
    def test_ends_with_its_link(self, ask, api, stranger, till, globex, acme, end):
        link = ask(expiresAt=soon())
        asked = send_claim(link, claim_body(till))
        if end == "cancelled":
            api.patch(f"/v1/payment-links/{link['id']}")
        elif end == "expired":
            lapse(link)
            expire_links()
        else:
            rich = make_wallet(acme, "Rich", funds="50")
            assert send_claim(link, claim_body(rich), client=api).status_code == 200

        assert look(link, asked)["status"] == "EXPIRED"
        assert Approval.objects.get().status == "EXPIRED"
        assert balance_of(till) == 100

    def test_stays_pending_while_another_claim_has_the_last_use(self, ask, acme, stranger, globex):
        """That use may become free again; only then can the request be approved."""
        coins, purse = (
            make_wallet(one, "Coins", currency="USDC", funds=funds)
            for one, funds in ((acme, "0"), (globex, "50"))
        )
        link = ask(walletId=coins.id)
        send_claim(link, claim_body(purse))
        send_claim(link, usdc_body())

        refused = stranger.post(f"/v1/approvals/{pending_of(globex).id}/approve")
        assert refusal(refused) == (409, "INVALID_STATE")
        assert (pending_of(globex).status, balance_of(purse)) == ("PENDING", 50)
        rails.settle(acme, seconds=3700)
        assert stranger.post(f"/v1/approvals/{pending_of(globex).id}/approve").status_code == 200

        assert (stored(link).status, balance_of(purse)) == ("SETTLED", 25)

    def test_stays_pending_until_the_wallet_has_the_funds(self, ask, stranger, globex, shop):
        link = ask()
        send_claim(link, claim_body(shop))
        approve = f"/v1/approvals/{pending_of(globex).id}/approve"

        assert refusal(stranger.post(approve)) == (402, "INSUFFICIENT_FUNDS")
        assert (stored(link).status, pending_of(globex).status) == ("ACTIVE", "PENDING")
        fund(shop, "25")
        assert stranger.post(approve).status_code == 200
        assert Payment.objects.filter(status="FAILED").count() == 1

    def test_a_wallet_pays_a_link_of_several_uses_once(self, ask, stranger, globex, till):
        link = ask(amount="10", maxUses=3)
        send_claim(link, claim_body(till))
        stranger.post(f"/v1/approvals/{pending_of(globex).id}/approve")

        assert refusal(send_claim(link, claim_body(till))) == (409, "CONFLICT")
        assert (stored(link).use_count, balance_of(till)) == (1, 90)

    def test_an_organization_may_ask_itself(self, ask, api, acme, savings):
        link = ask()
        fund(savings, "30")

        assert send_claim(link, claim_body(savings)).status_code == 202
        assert api.post(f"/v1/approvals/{pending_of(acme).id}/approve").status_code == 200
        assert balance_of(savings) == 5


class TestRefused:
    def test_unknown_wallets_and_those_that_accept_none_answer_alike(
        self, ask, globex, till, live_wallet
    ):
        link = ask()
        Organization.objects.filter(pk=globex.pk).update(accepts_pay_requests_sandbox=False)
        before = everything()

        answers = []
        for id in (till.id, unknown_id("wal"), "wal_x", live_wallet.id):
            till.id = id
            answers.append(send_claim(link, claim_body(till)))

        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.content for answer in answers}) == 1
        assert error_of(answers[0]) == "UNAUTHORIZED"
        assert everything() == before

    def test_production_accepts_none_until_it_is_allowed(self, ask, live_api, live_wallet, acme):
        other = make_wallet(acme, "Other", environment="PRODUCTION")
        link = ask(client=live_api, walletId=live_wallet.id)

        assert refusal(send_claim(link, claim_body(other))) == (401, "UNAUTHORIZED")
        Organization.objects.filter(pk=acme.pk).update(accepts_pay_requests_production=True)
        assert send_claim(link, claim_body(other)).status_code == 202

    def test_the_links_own_wallet_and_other_currencies(self, ask, payer, globex):
        link = ask()
        coins = make_wallet(globex, "Coins", currency="USDC")
        before = everything()

        for wallet in (payer, coins):
            refused = send_claim(link, claim_body(wallet))
            assert refusal(refused) == (400, "VALIDATION_ERROR")
            assert "destination.walletId" in refused.json()["error"]["details"]["fields"]
        assert everything() == before

    def test_wallets_that_the_link_is_not_for(self, ask, till, globex, stranger):
        other = make_wallet(globex, "Other", funds="50")
        link = ask(recipientRestrictions={"walletIds": [till.id]})

        assert refusal(send_claim(link, claim_body(other))) == (403, "PERMISSION_DENIED")
        assert refusal(send_claim(link, claim_body(other), client=stranger))[0] == 403
        assert send_claim(link, claim_body(till)).status_code == 202

    def test_too_many_calls(self, ask, till, monkeypatch):
        monkeypatch.setattr(rate_limits, "REQUESTS", 2)
        link = ask()

        seen = [send_claim(link, claim_body(till)).status_code for _ in range(3)]

        assert seen == [202, 409, 429]

    def test_more_than_may_be_pending_with_another_organization(
        self, ask, till, savings, monkeypatch
    ):
        monkeypatch.setattr(pay_requests, "MAX_PENDING", 2)
        for _ in "12":
            assert send_claim(ask(), claim_body(till)).status_code == 202

        assert refusal(send_claim(ask(), claim_body(till))) == (409, "CONFLICT")

        assert send_claim(ask(), claim_body(savings)).status_code == 202, (
            "an organization asks itself without limit"
        )
        approvals.reject(
            Approval.objects.filter(wallet=till).first(), actor=actor_for(till.organization)
        )
        assert send_claim(ask(), claim_body(till)).status_code == 202

    def test_canceled_link(self, ask, api, till):
        link = ask()
        api.patch(f"/v1/payment-links/{link['id']}")

        assert refusal(send_claim(link, claim_body(till))) == (409, "INVALID_STATE")
        assert not Approval.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestConcurrency:
    def test_of_8_requests_for_one_link_and_wallet_one_is_created(self, ask, till):
        link = ask()

        answers = in_parallel(8, lambda n: send_claim(link, claim_body(till)))

        assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
        assert Approval.objects.count() == Claim.objects.count() == 1

    def test_requests_over_many_links_do_not_exceed_the_limit(self, ask, till, globex, monkeypatch):
        monkeypatch.setattr(pay_requests, "MAX_PENDING", 3)
        more = make_wallet(globex, "More")
        links = [ask() for _ in range(12)]

        answers = in_parallel(
            len(links), lambda n: send_claim(links[n], claim_body((till, more)[n % 2]))
        )

        assert sorted(answer.status_code for answer in answers) == [202] * 3 + [409] * 9
        assert Approval.objects.count() == Claim.objects.count() == 3

    @pytest.mark.parametrize("round", range(3))
    def test_approving_races_canceling_and_one_wins(
        self, ask, api, stranger, globex, till, payer, round
    ):
        link = ask()
        send_claim(link, claim_body(till))
        approve = f"/v1/approvals/{pending_of(globex).id}/approve"

        def act(number):
            if number == round % 2:
                return stranger.post(approve).status_code
            return api.patch(f"/v1/payment-links/{link['id']}").status_code

        assert sorted(in_parallel(2, act)) == [200, 409]
        paid = 25 if stored(link).status == "SETTLED" else 0
        assert (balance_of(till), balance_of(payer)) == (100 - paid, 100 + paid)
        assert Approval.objects.get().status == ("APPROVED" if paid else "EXPIRED")

    def test_of_several_approvals_for_one_use_one_pays(self, ask, stranger, globex, payer):
        link = ask()
        purses = [make_wallet(globex, f"Purse {n}", funds="30") for n in range(4)]
        for purse in purses:
            send_claim(link, claim_body(purse))
        approvals = list(Approval.objects.order_by("pk"))

        answers = in_parallel(
            4, lambda n: stranger.post(f"/v1/approvals/{approvals[n].id}/approve").status_code
        )

        assert sorted(answers) == [200, 409, 409, 409]
        assert balance_of(payer) == 125
        assert {claim.status for claim in Claim.objects.all()} == {"SETTLED", "EXPIRED"}


def test_expiry_follows_the_clock_of_the_paying_organization(ask, globex, till):
    rails.advance(globex, days=3)
    link = ask()

    asked = send_claim(link, claim_body(till))

    waits = pending_of(globex).expires_at - Claim.objects.get().created_at
    assert timedelta(days=3) < waits < timedelta(days=5)
    assert asked.json()["expiresAt"] is not None
