"""The pages of approvals for each role: list, details, approve, reject."""

import pytest
from django.utils.html import escape

from accounts.controls.models import Approval
from accounts.organizations.models import Organization
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts.site import Site, names_in, printed
from tests.approving import ask, lapse, stored
from tests.world import balance_of, events_of, fund
from wallgent import clock, ids

HOSTILE_TEXT = "<script>alert(1)</script> ‮שלום 🦉"


@pytest.fixture
def owner(acme):
    return Site(acme, "OWNER")


@pytest.fixture
def viewer(acme):
    return Site(acme, "VIEWER")


@pytest.fixture
def payer(wallet):
    fund(wallet, "100")
    return Wallet.objects.get(pk=wallet.pk)


@pytest.fixture
def asked(payer, shop):
    """A request of Globex for 25 from Acme's wallet."""
    return ask(payer, shop)


def at(approval: Approval, verb: str = "") -> str:
    return f"/approvals/{approval.id}" + (f"/{verb}" if verb else "")


class TestList:
    def test_empty_list(self, owner):
        html = owner.html("/approvals")

        assert "Nothing waits for you" in html
        assert "rail-count" not in html

    def test_shows_asker_amount_and_deadline(self, owner, asked, payer):
        html = owner.html("/approvals")

        for text in ("Globex", "Design work", "Research agent", printed("25"), "Needs approval"):
            assert text in html
        assert owner.root + at(asked) in html
        assert 'class="rail-count">1<' in html

    def test_pending_ones_come_first(self, owner, payer, shop):
        for number, text in enumerate(("Oldest", "Middle", "Newest")):
            ask(payer, shop, subject_id=f"lnk_{number}", description=text)
        newest = Approval.objects.get(description="Newest")
        owner.send(at(newest, "reject"), reason="")

        html = owner.html("/approvals")

        assert names_in(html, "Oldest", "Middle", "Newest") == ["Middle", "Oldest", "Newest"]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"status": "PENDING"}, ["Reef survey", "Type design"]),
            ({"status": "REJECTED"}, ["Old dues"]),
            ({"q": "reef"}, ["Reef survey"]),
            ({"q": "globex"}, ["Old dues", "Reef survey", "Type design"]),
            ({"q": "lnk_2"}, ["Type design"]),
            ({"q": "nothing like it"}, []),
            ({"wallet": "savings"}, ["Type design"]),
        ],
    )
    def test_is_filtered(self, owner, payer, savings, shop, query, found):
        old = ask(payer, shop, description="Old dues", subject_id="lnk_0")
        owner.send(at(old, "reject"), reason="")
        ask(payer, shop, description="Reef survey", subject_id="lnk_1")
        ask(savings, shop, description="Type design", subject_id="lnk_2")
        if "wallet" in query:
            query = {"wallet": savings.id}

        html = owner.html("/approvals", **query)

        assert sorted(names_in(html, "Old dues", "Reef survey", "Type design")) == found
        assert ("Nothing fits this filter" in html) == (found == [])

    def test_finds_an_approval_by_its_id(self, owner, asked, payer, shop):
        ask(payer, shop, description="Another", subject_id="lnk_2")

        html = owner.html("/approvals", q=asked.id)

        assert names_in(html, "Design work", "Another") == ["Design work"]

    def test_shows_only_the_current_environment_and_organization(self, acme, globex, asked):
        for site in (Site(acme, "OWNER", "production"), Site(globex, "OWNER")):
            assert "Design work" not in site.html("/approvals")
            assert site.get(at(asked)).status_code == 404

    def test_navigation_counts_open_approvals(self, owner, payer, shop):
        made = [ask(payer, shop, subject_id=f"lnk_{number}") for number in range(3)]
        lapse(made[0])

        assert 'class="rail-count">2<' in owner.html("/wallets")

    def test_viewer_sees_no_buttons(self, viewer, asked):
        assert "Decide<" not in viewer.html("/approvals")


class TestPage:
    def test_quotes_another_organization_and_warns_that_it_is_unverified(self, owner, asked, shop):
        html = owner.html(at(asked))

        assert "In the words of" in html
        assert "We have not verified who" in html
        assert "asks for $25.00 from" in html, "the timeline"
        assert "· <bdi>Wallgent</bdi>" not in html, "the actor is not Wallgent"
        for text in ("Globex", "asks you for", printed("25"), "Design work", shop.id, "Decide by"):
            assert text in html
        assert "Shop" not in html, "wallet names are private to their organization"
        assert owner.root + at(asked, "approve") in html
        assert owner.root + at(asked, "reject") in html

    def test_verified_organization_is_shown_as_another_organization(self, owner, globex, asked):
        Organization.objects.filter(pk=globex.pk).update(production_activated_at=clock.real_now())

        html = owner.html(at(asked))

        assert "We have not verified" not in html
        assert "Another organization asks" in html

    def test_kind_is_named_and_its_effect_is_shown_before_approving(self, owner, asked):
        assert "Commission" in owner.html(at(asked))
        assert "The designer is paid." in owner.html(at(asked, "approve"))

    def test_subject_of_an_own_request_can_be_opened(self, owner, acme, payer, savings, asked):
        own = ask(payer, savings, by=world.actor_for(acme), subject_id="wal_1")

        assert f"{owner.root}/wallets/wal_1" in owner.html(at(own))
        assert "lnk_1" in owner.html(at(asked))
        assert "/payment-links/lnk_1" not in owner.html(at(asked))  # of another organization

    def test_kind_of_an_app_that_is_gone_is_readable(self, owner, asked):
        Approval.objects.update(kind="old_bill")

        assert "Old bill" in owner.html(at(asked))
        assert "not available on this server" in owner.html(at(asked, "approve"))

    def test_own_request_has_no_warning(self, owner, acme, payer, savings):
        own = ask(payer, savings, by=world.actor_for(acme))

        html = owner.html(at(own))

        assert "asks to pay" in html
        assert "Savings" in html
        assert "We have not verified" not in html
        assert "Another organization" not in html

    def test_escapes_hostile_text(self, owner, globex, payer, shop):
        Organization.objects.filter(pk=globex.pk).update(name=HOSTILE_TEXT)
        shop.organization.refresh_from_db()
        approval = ask(payer, shop, description=HOSTILE_TEXT)

        for path in (at(approval), at(approval, "approve"), at(approval, "reject"), "/approvals"):
            html = owner.html(path)
            assert escape(HOSTILE_TEXT) in html
            assert "<script>alert" not in html

    def test_viewer_may_not_decide(self, viewer, asked):
        html = viewer.html(at(asked))

        assert "Your role may look at this, but not decide" in html
        assert at(asked, "approve") not in html
        for verb in ("approve", "reject"):
            assert viewer.get(at(asked, verb)).status_code == 403
            assert viewer.send(at(asked, verb)).status_code == 403
        assert stored(asked).status == "PENDING"

    def test_expired_one_has_no_buttons(self, owner, asked):
        lapse(asked)

        html = owner.html(at(asked))

        assert "Expired" in html
        assert at(asked, "approve") not in html
        assert "This request expired" in owner.html(at(asked, "approve"))


class TestApprove:
    def test_preview_shows_the_totals_and_moves_nothing(self, owner, asked):
        before = world.everything()

        html = owner.html(at(asked, "approve"))

        # This kind of approval makes an ordinary payment, which has a fee.
        for text in (printed("25"), printed("0.25"), printed("25.25"), printed("74.75"), "Globex"):
            assert text in html
        assert "Approve and pay" in html
        assert world.everything() == before

    @pytest.mark.parametrize("role", ["MEMBER", "ADMIN", "OWNER"])
    def test_pays_and_shows_it(self, acme, asked, shop, role):
        site = Site(acme, role)

        answer = site.send(at(asked, "approve"))

        assert (answer.status_code, answer.url) == (303, site.root + at(asked))
        assert balance_of(shop) == 25
        html = site.html(at(asked))
        approved = stored(asked)
        assert "Approved and paid." in html
        assert "Request to pay approved" in html
        assert "Request to pay approved" in site.html("/"), "the overview shows it, too"
        assert f"{site.root}/payments/{approved.payment_id}" in html
        assert (approved.decided_by, approved.decided_by_type) == (site.user.id, "USER")
        assert at(asked, "approve") not in html
        assert "rail-count" not in html

    def test_sent_twice_pays_once(self, owner, asked, shop):
        key = ids.new("sub")

        first, again = (owner.send(at(asked, "approve"), submission=key) for _ in "12")

        assert (first.status_code, first.url) == (again.status_code, again.url)
        assert balance_of(shop) == 25

    def test_preview_warns_of_a_frozen_wallet(self, owner, acme, asked, payer):
        wallets.freeze(payer, actor=world.actor_for(acme))

        html = owner.html(at(asked, "approve"))
        answer = owner.send(at(asked, "approve"))

        assert "As things stand, this cannot be paid." in html
        assert "Approve and pay" not in html
        assert "The wallet is frozen." in html
        assert answer.status_code == 422
        assert "The wallet is frozen." in answer.content.decode()
        assert stored(asked).status == "PENDING"
        wallets.unfreeze(payer, actor=world.actor_for(acme))
        assert owner.send(at(asked, "approve")).status_code == 303

    def test_preview_warns_of_missing_funds(self, owner, payer, shop):
        unaffordable = ask(payer, shop, "500")

        html = owner.html(at(unaffordable, "approve"))

        assert "does not cover" in html
        assert owner.send(at(unaffordable, "approve")).status_code == 422
        assert stored(unaffordable).status == "PENDING"

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    def test_decided_one_cannot_be_decided_again(self, owner, asked, shop, verb):
        owner.send(at(asked, "reject"), reason="")

        assert "rejected already" in owner.html(at(asked, verb))
        answer = owner.send(at(asked, verb), reason="")
        assert answer.status_code == 422
        assert "rejected already" in answer.content.decode()
        assert balance_of(shop) == 0

    def test_late_decision_expires_it(self, owner, acme, asked, shop):
        lapse(asked)

        answer = owner.send(at(asked, "approve"))

        assert answer.status_code == 422
        assert "This request expired" in answer.content.decode()
        assert (stored(asked).status, balance_of(shop)) == ("EXPIRED", 0)
        assert len(events_of(acme, "approval.expired")) == 1


class TestReject:
    def test_rejects_and_stores_the_reason(self, owner, asked, shop):
        question = owner.html(at(asked, "reject"))

        answer = owner.send(at(asked, "reject"), reason=HOSTILE_TEXT)

        assert "Nothing is paid" in question
        assert (answer.status_code, answer.url) == (303, owner.root + at(asked))
        html = owner.html(at(asked))
        assert "Rejected. Nothing was paid." in html
        assert escape(HOSTILE_TEXT) in html
        assert "<script>alert" not in html
        assert (stored(asked).status, balance_of(shop)) == ("REJECTED", 0)

    def test_too_long_reason_stays_in_the_form(self, owner, asked):
        answer = owner.send(at(asked, "reject"), reason="w" * 1025)

        assert answer.status_code == 422
        assert "w" * 1025 in answer.content.decode()
        assert 'id="id_reason_error"' in answer.content.decode()
        assert stored(asked).status == "PENDING"
