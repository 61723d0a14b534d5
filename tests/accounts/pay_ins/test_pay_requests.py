"""Pay requests: which wallets accept them, and how many may be pending."""

from contextlib import nullcontext

import pytest

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.organizations.models import Organization
from accounts.pay_ins.services import pay_requests
from accounts.wallets.models import Wallet
from tests import approving
from tests.accounts import rails
from tests.accounts.people import raises
from tests.world import (
    actor_for,
    available_of,
    everything,
    fund,
    in_parallel,
    make_organization,
    make_wallet,
    unknown_id,
)
from wallgent import service_runner
from wallgent.errors import Conflict, Unauthorized


@pytest.fixture
def ask(pay_in, acme):
    """Asks the organization of a wallet to pay Acme."""

    def ask(payer, reference: str = "inv_1", *, by=acme, **fields) -> Approval:
        asked, actor = pay_in(reference, **fields), actor_for(by)
        sender = Wallet.objects.get(pk=payer.pk)
        return service_runner.run(
            lambda: pay_requests.create(asked, sender, actor=actor), actor=actor
        )

    return ask


class TestFindPayer:
    def test_finds_a_wallet_that_accepts_pay_requests(self, shop):
        assert pay_requests.find_payer(shop.id, environment="SANDBOX") == shop

    @pytest.mark.parametrize(
        "case", ["unknown", "malformed", "closed", "does not accept", "other environment"]
    )
    def test_other_wallets_are_refused_alike(self, shop, globex, stranger, live_wallet, case):
        wallet_id = shop.id
        if case == "unknown":
            wallet_id = unknown_id("wal")
        elif case == "malformed":
            wallet_id = "wal_x"
        elif case == "closed":
            assert stranger.post(f"/v1/wallets/{shop.id}/close").status_code == 200
        elif case == "does not accept":
            Organization.objects.filter(pk=globex.pk).update(accepts_pay_requests_sandbox=False)
        else:
            wallet_id = live_wallet.id

        with raises(Unauthorized) as refusal:
            pay_requests.find_payer(wallet_id, environment="SANDBOX")

        assert refusal.value.details == {}
        assert refusal.value.message.startswith("Paying from a wallet needs an API key")

    @pytest.mark.parametrize(
        ("authorized_by", "is_found"), [("owner", True), ("reader", False), ("stranger", False)]
    )
    def test_a_wallet_that_accepts_none_is_found_by_who_may_spend_from_it(
        self, shop, acme, globex, authorized_by, is_found
    ):
        Organization.objects.filter(pk=globex.pk).update(accepts_pay_requests_sandbox=False)
        actor = {
            "owner": actor_for(globex),
            "reader": actor_for(globex, permissions=frozenset({"payments:read"})),
            "stranger": actor_for(acme),
        }[authorized_by]

        with nullcontext() if is_found else raises(Unauthorized):
            found = pay_requests.find_payer(shop.id, environment="SANDBOX", authorized_by=actor)
            assert found == shop

    def test_production_accepts_none_until_it_is_allowed(self, acme, live_wallet):
        with raises(Unauthorized):
            pay_requests.find_payer(live_wallet.id, environment="PRODUCTION")

        Organization.objects.filter(pk=acme.pk).update(accepts_pay_requests_production=True)
        found = pay_requests.find_payer(live_wallet.id, environment="PRODUCTION")
        assert found == live_wallet


class TestCreate:
    def test_asks_for_an_approval_and_holds_no_money(self, ask, wallet, shop, acme, globex):
        fund(shop, "100")

        approval = ask(shop)

        assert (approval.organization, approval.asked_by_organization) == (globex, acme)
        assert (approval.kind, approval.subject_id) == (approving.KIND, "inv_1")
        assert (approval.wallet, approval.recipient) == (shop, wallet)
        assert (approval.amount, approval.currency) == (25, "USD")
        assert (approval.description, approval.status) == ("Design work", "PENDING")
        assert available_of(shop) == 100

    def test_is_pending_once_for_a_wallet_and_reference(self, ask, shop, globex):
        ask(shop)
        before = everything()

        with pytest.raises(Conflict):
            ask(shop)

        assert everything() == before
        ask(shop, "inv_2")
        ask(make_wallet(globex, "Other"))
        assert Approval.objects.filter(status="PENDING").count() == 3

    def test_replaces_one_that_has_expired(self, ask, shop, globex, monkeypatch):
        monkeypatch.setattr(approving, "ended", [])
        first = ask(shop)
        rails.advance(globex, hours=25)

        second = ask(shop)

        assert approving.ended == [(first.id, "EXPIRED")]
        assert (approving.stored(first).status, second.status) == ("EXPIRED", "PENDING")

    def test_can_be_repeated_after_a_decision(self, ask, shop, globex):
        approvals.reject(ask(shop), actor=actor_for(globex))

        assert ask(shop).status == "PENDING"


class TestLimit:
    @pytest.fixture(autouse=True)
    def limit(self, monkeypatch):
        assert pay_requests.MAX_PENDING == 25
        monkeypatch.setattr(pay_requests, "MAX_PENDING", 2)

    def test_counts_those_that_are_pending(self, ask, shop, globex):
        first = ask(shop, "inv_1")
        ask(make_wallet(globex, "Other"), "inv_2")
        before = everything()

        with pytest.raises(Conflict):
            ask(shop, "inv_3")

        assert everything() == before
        approvals.reject(first, actor=actor_for(globex))
        ask(shop, "inv_3")

    def test_does_not_count_those_that_have_expired(self, ask, shop, globex):
        for number in range(2):
            ask(shop, f"inv_{number}")
        rails.advance(globex, hours=25)

        assert ask(shop, "inv_3").status == "PENDING"

    def test_is_for_each_pair_of_organizations(self, ask, shop, globex):
        initech = make_organization("Initech")
        for number in range(2):
            ask(shop, f"inv_{number}")

        ask(make_wallet(initech, "Desk"), "inv_3")
        theirs = make_wallet(initech, "Sales")
        ask(shop, "inv_4", by=initech, wallet=theirs)

        assert Approval.objects.filter(status="PENDING").count() == 4

    def test_an_organization_asks_itself_without_limit(self, ask, savings):
        for number in range(3):
            ask(savings, f"inv_{number}")

        assert Approval.objects.filter(status="PENDING").count() == 3

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_requests_over_other_subjects_do_not_exceed_it(self, ask, shop, globex):
        other = make_wallet(globex, "Other")

        def request(number: int) -> str:
            try:
                return ask((shop, other)[number % 2], f"inv_{number}").status
            except Conflict as error:
                return error.code

        answers = in_parallel(8, request)

        assert sorted(answers) == ["CONFLICT"] * 6 + ["PENDING"] * 2
        assert Approval.objects.count() == 2
