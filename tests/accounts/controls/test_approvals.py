"""Approvals over HTTP: requesting, listing, approving, rejecting, expiring and withdrawing."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.payments.models import Payment
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import approving, world
from tests.approving import ask, lapse, stored
from tests.world import (
    A_TIME,
    Client,
    an_id,
    balance_of,
    error_of,
    events_of,
    fund,
    in_parallel,
    make_key,
    unknown_id,
)


@pytest.fixture
def payer(wallet):
    """Acme's wallet, funded with 100."""
    fund(wallet, "100")
    return Wallet.objects.get(pk=wallet.pk)


@pytest.fixture
def asked(payer, shop):
    """A request of Globex for 25 from Acme's wallet."""
    return ask(payer, shop)


@pytest.fixture(autouse=True)
def _clear_ended():
    approving.ended.clear()


def path(approval: Approval, verb: str = "") -> str:
    return f"/v1/approvals/{approval.id}" + (f"/{verb}" if verb else "")


def ids_in(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [approval["id"] for approval in response.json()["data"]]


class TestRequest:
    def test_is_pending_and_recorded_for_the_payer(self, api, acme, globex, asked, payer, shop):
        (event,) = events_of(acme, "approval.created")

        assert balance_of(payer) == 100, "an approval holds no money"
        assert event.data == {
            "approvalId": asked.id,
            "walletId": payer.id,
            "policyId": None,
            "amount": "25.00",
            "currency": "USD",
            "from": payer.id,
            "to": shop.id,
            "description": "Design work",
            "expiresAt": A_TIME,
            "environment": "SANDBOX",
        }
        assert (event.subject, event.actor_id) == (asked.id, "")
        assert events_of(globex, "approval.created") == []

    def test_expires_after_a_day_by_the_payers_clock(self, acme, globex, payer, shop):
        Organization.objects.filter(pk=acme.pk).update(sandbox_offset=timedelta(days=400))
        ahead = Wallet.objects.get(pk=payer.pk)

        approval = ask(ahead, shop)

        assert approval.expires_at - approval.created_at == timedelta(hours=24)
        assert approval.created_at > world.clock.real_now() + timedelta(days=399)

    def test_asking_again_returns_the_pending_one(self, acme, asked, payer, shop, savings):
        again = ask(payer, shop, "30")
        other_wallet = ask(savings, shop)
        other_subject = ask(payer, shop, subject_id="lnk_2")

        assert (again.id, again.amount) == (asked.id, 25)
        assert len({asked.id, other_wallet.id, other_subject.id}) == 3
        assert len(events_of(acme, "approval.created")) == 3

    @pytest.mark.parametrize("end", ["rejected", "expired", "lapsed"])
    def test_asking_again_after_its_end_creates_another(self, api, asked, payer, shop, end):
        if end == "rejected":
            assert api.post(path(asked, "reject")).status_code == 200
        else:
            lapse(asked)
        if end == "expired":
            assert approving.expire_approvals() == 1

        again = ask(payer, shop)

        assert (again.id != asked.id, again.status) == (True, "PENDING")
        assert stored(asked).status == ("REJECTED" if end == "rejected" else "EXPIRED")

    def test_own_request_names_who_asked(self, api, acme, payer, savings):
        approval = ask(payer, savings, by=replace(world.actor_for(acme), id="key_1"))

        shown = api.get(path(approval)).json()

        assert (shown["requestedBy"], shown["requestedByOrganization"]) == ("key_1", "Acme")

    def test_needs_a_registered_executor(self, payer, shop):
        with pytest.raises(AssertionError, match="no executor"), transaction.atomic():
            ask(payer, shop, kind="unregistered")

    def test_kind_cannot_be_registered_twice(self):
        with pytest.raises(AssertionError, match="twice"):
            approvals.register(approving.KIND, approvals.Kind(label="Again"))


class TestShow:
    def test_has_flat_and_nested_keys(self, api, asked, payer, shop):
        assert api.get(path(asked)).json() == {
            "id": an_id("apr"),
            "status": "PENDING",
            "kind": "test",
            "subjectId": "lnk_1",
            "walletId": payer.id,
            "amount": "25.00",
            "currency": "USD",
            "policyId": None,
            "rule": None,
            "requestedBy": None,
            "requestedByOrganization": "Globex",
            "transactionDetails": {
                "amount": "25.00",
                "currency": "USD",
                "recipient": shop.id,
                "recipientName": "Globex",
                "from": payer.id,
                "fromWalletId": payer.id,
                "to": shop.id,
                "toWalletId": shop.id,
                "description": "Design work",
            },
            "reason": None,
            "decidedBy": None,
            "transactionId": None,
            "createdAt": A_TIME,
            "expiresAt": A_TIME,
            "decidedAt": None,
            "expiredAt": None,
        }

    def test_only_whole_ids_are_found(self, api, asked):
        ulid = asked.id.removeprefix("apr_")

        for id in (f"dlg_{ulid}", ulid, f"apr_{ulid[:-1]}", unknown_id("apr"), "apr_"):
            response = api.get(f"/v1/approvals/{id}")
            assert (response.status_code, error_of(response)) == (404, "NOT_FOUND"), id

    def test_is_found_and_decided_under_the_other_prefix_of_its_id(self, api, payer, shop, asked):
        other = approving.ask(payer, shop, "5", subject_id="order-2")

        def path(approval, *rest):
            return "/".join(["/v1/approvals", approval.id.replace("apr_", "del_"), *rest])

        assert api.get(path(asked)).json()["id"] == asked.id
        assert api.post(path(asked, "approve"), {}).json()["id"] == asked.id
        assert api.post(path(other, "reject"), {}).json()["status"] == "REJECTED"
        assert api.get(path(asked).replace("del_", "dlg_")).status_code == 404

    def test_only_the_payer_has_access(self, stranger, live_api, acme, asked, savings):
        elsewhere = Client(make_key(acme, wallet_scope=[savings.id]))

        for client, code in (
            (stranger, "NOT_FOUND"),
            (live_api, "ENVIRONMENT_MISMATCH"),
            (elsewhere, "PERMISSION_DENIED"),
        ):
            for verb in ("approve", "reject"):
                assert error_of(client.post(path(asked, verb))) == code
            assert error_of(client.get(path(asked))) == code
        assert stored(asked).status == "PENDING"


class TestList:
    def test_is_filtered_by_wallet_and_status(self, api, payer, shop, savings):
        one, two = ask(payer, shop), ask(savings, shop)
        api.post(path(one, "reject"))

        assert ids_in(api.get("/v1/approvals")) == [two.id, one.id]
        assert ids_in(api.get("/v1/approvals", walletId=payer.id)) == [one.id]
        assert ids_in(api.get("/v1/approvals", status="PENDING")) == [two.id]
        assert ids_in(api.get("/v1/approvals", status="REJECTED", walletId=savings.id)) == []
        assert error_of(api.get("/v1/approvals", status="MAYBE")) == "VALIDATION_ERROR"
        assert error_of(api.get("/v1/approvals", walletId=shop.id)) == "WALLET_NOT_FOUND"

    def test_is_paged(self, api, payer, shop):
        made = [ask(payer, shop, subject_id=f"lnk_{n}").id for n in range(3)]

        first = api.get("/v1/approvals", limit=2).json()
        rest = api.get("/v1/approvals", limit=2, cursor=first["cursor"]).json()

        assert [found["id"] for found in first["data"] + rest["data"]] == made[::-1]
        assert (first["hasMore"], rest["hasMore"], rest["cursor"]) == (True, False, None)

    def test_scoped_key_sees_only_its_wallets(self, acme, stranger, live_api, payer, shop, savings):
        one, _ = ask(payer, shop), ask(savings, shop)
        scoped = Client(make_key(acme, wallet_scope=[payer.id]))

        assert ids_in(scoped.get("/v1/approvals")) == [one.id]
        assert ids_in(stranger.get("/v1/approvals")) == []
        assert ids_in(live_api.get("/v1/approvals")) == []

    def test_number_of_queries_is_constant(self, api, payer, shop, django_assert_max_num_queries):
        for number in range(5):
            ask(payer, shop, subject_id=f"lnk_{number}")

        with django_assert_max_num_queries(3):
            assert len(ids_in(api.get("/v1/approvals"))) == 5


class TestApprove:
    def test_pays_at_once(self, api, acme, asked, payer, shop):
        response = api.post(path(asked, "approve"))

        answered = response.json()
        payment = Payment.objects.get()
        assert response.status_code == 200
        assert (answered["status"], answered["decidedAt"]) == ("APPROVED", A_TIME)
        assert answered["decidedBy"] == acme.api_keys.get().id
        assert answered["transactionId"] == payment.id
        assert answered["payment"]["id"] == payment.id
        assert (answered["payment"]["status"], answered["payment"]["fee"]) == ("POSTED", "0.25")
        assert (balance_of(payer), balance_of(shop)) == (Decimal("74.75"), 25)
        assert api.get(path(asked)).json() == {
            key: value for key, value in answered.items() if key != "payment"
        }
        (event,) = events_of(acme, "approval.approved")
        assert event.data == {
            "approvalId": asked.id,
            "walletId": payer.id,
            "transactionId": payment.id,
            "decidedBy": acme.api_keys.get().id,
            "environment": "SANDBOX",
        }
        assert approving.ended == []

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    @pytest.mark.parametrize("first", ["approve", "reject"])
    def test_is_decided_once(self, api, asked, shop, first, verb):
        assert api.post(path(asked, first)).status_code == 200

        again = api.post(path(asked, verb))

        decided = "APPROVED" if first == "approve" else "REJECTED"
        assert (again.status_code, error_of(again)) == (409, "INVALID_STATE")
        assert again.json()["error"]["details"] == {"approvalId": asked.id, "status": decided}
        assert balance_of(shop) == (25 if first == "approve" else 0)

    def test_repeating_the_key_replays_the_answer(self, api, asked, shop):
        first, again = (api.post(path(asked, "approve"), {"idempotencyKey": "k"}) for _ in "12")

        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert balance_of(shop) == 25

    def test_refusal_says_why_and_can_be_retried(self, api, acme, payer, shop):
        asked = ask(payer, shop, "100")

        short = api.post(path(asked, "approve"))
        wallets.freeze(payer, actor=world.actor_for(acme))
        frozen = api.post(path(asked, "approve"))
        wallets.unfreeze(payer, actor=world.actor_for(acme))
        fund(payer, "0.5")
        paid = api.post(path(asked, "approve"))

        assert (short.status_code, error_of(short)) == (402, "INSUFFICIENT_FUNDS")
        assert short.json()["error"]["details"]["requested"] == "100.50"
        assert (frozen.status_code, error_of(frozen)) == (403, "WALLET_FROZEN")
        assert paid.status_code == 200
        assert len(events_of(acme, "approval.approved")) == 1

    def test_refusal_leaves_it_pending(self, api, asked, payer, acme):
        wallets.freeze(payer, actor=world.actor_for(acme))

        api.post(path(asked, "approve"))

        assert api.get(path(asked)).json()["status"] == "PENDING"
        assert stored(asked).payment_id is None
        assert events_of(acme, "approval.approved") == []

    def test_scoped_key_may_not_decide(self, api, acme, asked, payer, shop):
        agent = Client(make_key(acme, wallet_scope=[payer.id]))

        for verb in ("approve", "reject"):
            response = agent.post(path(asked, verb), {"idempotencyKey": "k"})
            assert (response.status_code, error_of(response)) == (403, "PERMISSION_DENIED")
        assert agent.get(path(asked)).json()["status"] == "PENDING"
        assert api.post(path(asked, "approve"), {"idempotencyKey": "k"}).status_code == 200
        assert balance_of(shop) == 25

    def test_late_decision_is_refused_and_expires_it(self, api, acme, asked, shop):
        lapse(asked)

        for verb in ("approve", "reject"):
            response = api.post(path(asked, verb))
            assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")
            assert response.json()["error"]["details"]["status"] == "EXPIRED"
        assert stored(asked).status == "EXPIRED"
        assert balance_of(shop) == 0
        assert len(events_of(acme, "approval.expired")) == 1
        assert approving.ended == [(asked.id, "EXPIRED")]


class TestReject:
    def test_pays_nothing_and_stores_the_reason(self, api, acme, globex, asked, payer, shop):
        response = api.post(path(asked, "reject"), {"reason": "Never heard of them"})

        answered = response.json()
        assert (response.status_code, answered["status"]) == (200, "REJECTED")
        assert (answered["reason"], answered["decidedAt"]) == ("Never heard of them", A_TIME)
        assert (answered["transactionId"], answered["expiredAt"]) == (None, None)
        assert (balance_of(payer), balance_of(shop)) == (100, 0)
        (event,) = events_of(acme, "approval.rejected")
        assert event.data == {
            "approvalId": asked.id,
            "walletId": payer.id,
            "reason": "Never heard of them",
            "decidedBy": acme.api_keys.get().id,
            "environment": "SANDBOX",
        }
        assert events_of(globex, "approval.rejected") == []
        assert approving.ended == [(asked.id, "REJECTED")]

    @pytest.mark.parametrize("body", [None, {}, {"reason": None}])
    def test_needs_no_reason(self, api, asked, body):
        response = api.post(path(asked, "reject"), body)

        assert (response.status_code, response.json()["reason"]) == (200, None)

    @pytest.mark.parametrize("reason", ["w" * 1025, 7, ["no"]])
    def test_malformed_reason_is_refused(self, api, asked, reason):
        response = api.post(path(asked, "reject"), {"reason": reason})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert "reason" in response.json()["error"]["details"]["fields"]
        assert stored(asked).status == "PENDING"


class TestExpiry:
    def test_happens_after_a_day(self, acme, asked, payer, shop):
        fresh = ask(payer, shop, subject_id="lnk_2")
        lapse(asked)

        assert [approving.expire_approvals(), approving.expire_approvals()] == [1, 0]

        assert (stored(asked).status, stored(fresh).status) == ("EXPIRED", "PENDING")
        assert stored(asked).expired_at is not None
        (event,) = events_of(acme, "approval.expired")
        assert event.data == {
            "approvalId": asked.id,
            "walletId": payer.id,
            "reason": None,
            "environment": "SANDBOX",
        }
        assert approving.ended == [(asked.id, "EXPIRED")]

    def test_follows_a_sandbox_clock_that_is_ahead(self, acme, globex, asked, shop, payer):
        of_others = ask(shop, payer)
        Organization.objects.filter(pk=acme.pk).update(sandbox_offset=timedelta(hours=24))

        assert approving.expire_approvals() == 1

        assert (stored(asked).status, stored(of_others).status) == ("EXPIRED", "PENDING")

    def test_failure_of_one_does_not_stop_the_others(self, payer, shop, monkeypatch, caplog):
        bad, good = ask(payer, shop), ask(payer, shop, subject_id="lnk_2")
        lapse(bad)
        lapse(good)
        record = approvals.events.record

        def fail(type, approval, **options):
            assert approval.id != bad.id, "a bug"
            return record(type, approval, **options)

        monkeypatch.setattr(approvals.events, "record", fail)

        approving.expire_approvals()
        assert (stored(bad).status, stored(good).status) == ("PENDING", "EXPIRED")
        assert bad.id in caplog.text


class TestWithdraw:
    def test_expires_the_pending_approvals_of_a_subject(self, acme, payer, savings, shop):
        withdrawn = [ask(payer, shop), ask(savings, shop)]
        other = ask(payer, shop, subject_id="lnk_2")

        ended = approvals.withdraw(approving.KIND, "lnk_1", reason="The link was cancelled.")

        assert ended == 2
        assert {stored(one).status for one in withdrawn} == {"EXPIRED"}
        assert stored(withdrawn[0]).reason == "The link was cancelled."
        assert stored(other).status == "PENDING"
        assert len(events_of(acme, "approval.expired")) == 2
        assert approving.ended == [], "the caller of withdraw is the app itself"
        assert approvals.withdraw(approving.KIND, "lnk_1") == 0

    def test_can_be_limited_to_one_wallet(self, payer, savings, shop):
        one, other = ask(payer, shop), ask(savings, shop)

        assert approvals.withdraw(approving.KIND, "lnk_1", wallet=payer) == 1
        assert (stored(one).status, stored(other).status) == ("EXPIRED", "PENDING")


class TestPayRequests:
    def test_are_accepted_by_default_in_the_sandbox_only(self, acme):
        accepts = organizations.accepts_pay_requests

        assert (accepts(acme, "SANDBOX"), accepts(acme, "PRODUCTION")) == (True, False)

    def test_have_a_setting_for_each_environment(self, acme):
        Organization.objects.filter(pk=acme.pk).update(
            accepts_pay_requests_sandbox=False, accepts_pay_requests_production=True
        )
        acme.refresh_from_db()
        accepts = organizations.accepts_pay_requests

        assert (accepts(acme, "SANDBOX"), accepts(acme, "PRODUCTION")) == (False, True)


def statuses(answers) -> list[int]:
    return sorted(answer.status_code for answer in answers)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_racing_decisions_decide_once(self, api, acme, asked, payer, shop):
        def decide(number):
            return api.post(path(asked, "approve" if number % 2 else "reject"))

        answers = in_parallel(8, decide)

        assert statuses(answers) == [200] + [409] * 7
        paid = 25 if stored(asked).status == "APPROVED" else 0
        assert balance_of(shop) == paid
        decisions = [
            event
            for type in ("approval.approved", "approval.rejected")
            for event in events_of(acme, type)
        ]
        assert len(decisions) == 1

    def test_concurrent_repeats_of_a_key_get_one_answer(self, api, asked, shop):
        answers = in_parallel(
            6, lambda _: api.post(path(asked, "approve"), {"idempotencyKey": "k"})
        )

        assert statuses(answers) == [200] * 6
        assert len({answer.content for answer in answers}) == 1
        assert balance_of(shop) == 25

    @pytest.mark.parametrize("round", range(4))
    def test_approving_races_expiry(self, api, acme, asked, shop, round):
        def act(number):
            if number == round % 2:
                return api.post(path(asked, "approve"))
            lapse(asked)
            return approving.expire_approvals()

        in_parallel(2, act)
        approving.expire_approvals()

        status = stored(asked).status
        assert status in ("APPROVED", "EXPIRED")
        assert balance_of(shop) == (25 if status == "APPROVED" else 0)
        assert len(approving.ended) == (status == "EXPIRED")
        decisions = events_of(acme, "approval.approved") + events_of(acme, "approval.expired")
        assert len(decisions) == 1

    @pytest.mark.parametrize("round", range(4))
    def test_approving_races_withdrawing(self, api, asked, payer, shop, round):
        """Both `withdraw` and `approve` lock the subject first."""

        def act(number):
            if number == round % 2:
                return api.post(path(asked, "approve")).status_code
            with transaction.atomic():
                Wallet.objects.locked(payer.id)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.05)")
                return approvals.withdraw(approving.KIND, asked.subject_id)

        answers = in_parallel(2, act)

        status = stored(asked).status
        assert sorted(answers) == ([0, 200] if status == "APPROVED" else [1, 409])
        assert balance_of(shop) == (25 if status == "APPROVED" else 0)

    def test_racing_requests_create_one_approval(self, acme, payer, shop):
        found = in_parallel(8, lambda _: ask(payer, shop).id)

        assert len(set(found)) == 1
        assert Approval.objects.count() == 1
        assert len(events_of(acme, "approval.created")) == 1

    def test_racing_approvals_cannot_overdraw(self, api, payer, shop):
        made = [ask(payer, shop, "60", subject_id=f"lnk_{n}") for n in range(2)]

        answers = in_parallel(2, lambda n: api.post(path(made[n], "approve")))

        assert statuses(answers) == [200, 402]
        assert sorted(stored(one).status for one in made) == ["APPROVED", "PENDING"]
        assert balance_of(shop) == 60
