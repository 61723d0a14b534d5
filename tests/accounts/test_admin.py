"""Support's pages, as a browser asks for them."""

import uuid
from decimal import Decimal

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.ledger import chart, holds
from accounts.ledger.models import Entry, Hold, LedgerAccount, Transaction
from accounts.organizations.models import ApiKey, Membership, Organization, User
from accounts.organizations.services import members
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from links.payment_links.services import claims, payment_links
from tests import approving, world
from wallgent import clock, ids
from wallgent.api.models import IdempotencyRecord
from wallgent.events.models import Event

PASSWORD = "correct horse battery staple"


def staff(email, *permissions):
    person = User.objects.create_user(email, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return person


def signed_in(person):
    browser = Client()
    browser.force_login(person)
    return browser


@pytest.fixture
def boss(db):
    return User.objects.create_superuser("boss@wallgent.example")


@pytest.fixture
def support(boss):
    """A browser in which a superuser has signed in."""
    return signed_in(boss)


@pytest.fixture
def paid(api, wallet, shop):
    """One of everything: a payment with its entries, keys, events and an idempotency record."""
    world.fund(wallet, "100")
    order = {"from": wallet.id, "to": shop.id, "amount": "10", "idempotencyKey": "order-A1"}
    return Payment.objects.get(pk=api.post("/v1/payments", order).json()["id"])


@pytest.fixture
def hold(paid):
    return a_hold(paid.sender)


def a_hold(wallet):
    id = ids.new("hld")
    holds.place(
        id,
        account_id=wallet.account_id,
        amount=Decimal("5"),
        reason="card",
        reference="lnk_01J00000000000000000000000",
        ahead=clock.offset(wallet),
    )
    return Hold.objects.get(pk=id)


def a_claimed_link(sender, recipient):
    """A link on the sender and its claim by the recipient."""
    actor = world.actor_for(sender.organization)
    link = payment_links.create(actor=actor, wallet=sender, amount=Decimal(1), direction="SEND")
    claim = claims.open(link, destination=recipient, actor=actor)
    return [claim.link, claim]


@pytest.fixture
def everything(paid, hold, acme, boss):
    """An object of each registered model, by its label."""
    person = User.objects.create_user("ada@acme.example", PASSWORD)
    boss.groups.create(name="Second line")
    member = Membership.objects.create(organization=acme, user=person, role="OWNER")
    invitation, _ = members.invite(
        actor=world.actor_for(acme), membership=member, email="bob@acme.example", role="VIEWER"
    )
    objects = [
        *(
            invitation,
            acme,
            person,
            member,
            acme.api_keys.get(),
            paid.sender,
            paid,
            hold,
            paid.sender.account,
        ),
        *(Transaction.objects.get(pk=paid.id), Entry.objects.first(), Event.objects.first()),
        *(IdempotencyRecord.objects.get(), boss.groups.get()),
    ]
    objects += a_claimed_link(paid.sender, paid.recipient)
    objects.append(approving.ask(paid.sender, paid.recipient))
    return {thing._meta.label_lower: thing for thing in objects}


def path(model, page, *arguments):
    return reverse(f"admin:{model.replace('.', '_')}_{page}", args=arguments)


def listed(browser, model, term):
    """The ids that a search finds."""
    answer = browser.get(path(model, "changelist"), {"q": term})
    assert answer.status_code == 200
    return {row.pk for row in answer.context["cl"].result_list}


def act(browser, thing, action, **fields):
    """Choose an action, confirm it, and return what the page then says."""
    url = path(thing._meta.label_lower, "changelist")
    chosen = {"action": action, "index": "0", "_selected_action": thing.pk}
    asked = browser.post(url, chosen)
    assert asked.status_code == 200
    assert thing.pk in asked.text
    done = browser.post(url, chosen | fields | {"confirmed": "yes"}, follow=True)
    return [str(message) for message in done.context["messages"]]


def facts(thing, type):
    return list(Event.objects.filter(subject=thing.pk, type=type))


class TestPages:
    def test_every_list_opens_and_can_be_searched(self, support):
        for model in admin.site._registry:
            name = model._meta.label_lower
            assert listed(support, name, "") >= set()
            assert listed(support, name, str(uuid.uuid4())) == set()

    def test_every_page_opens(self, support, everything):
        for model, thing in everything.items():
            assert listed(support, model, "") >= {thing.pk}
            for page in ("change", "history"):
                assert support.get(path(model, page, thing.pk)).status_code == 200, (model, page)
        assert support.get("/admin", follow=True).status_code == 200

    def test_an_object_is_found_by_its_id_in_either_spelling(self, support, everything):
        del everything["auth.group"], everything["events.event"]
        for model, thing in everything.items():
            plain = str(ids.read(str(thing.pk)))
            assert listed(support, model, thing.pk) == {thing.pk}, model
            assert thing.pk in listed(support, model, plain), model
            assert support.get(path(model, "change", plain)).status_code == 200, model

    def test_an_id_in_a_path_needs_no_quoting(self, support, wallet):
        assert support.get(f"/admin/accounts/wallet/{wallet.id}/change/").status_code == 200

    def test_what_belongs_together_is_found_by_each_others_ids(self, support, paid, hold, acme):
        wallet, key = paid.sender, acme.api_keys.get()
        wallets = {w.pk for w in Wallet.objects.filter(organization=acme)}
        entry = Entry.objects.filter(transaction=paid.id).first()

        assert listed(support, "accounts.organization", wallet.id) == {acme.id}
        assert listed(support, "accounts.organization", key.id) == {acme.id}
        assert listed(support, "accounts.wallet", acme.id) == wallets
        assert listed(support, "accounts.wallet", str(ids.to_uuid(acme.id))) == wallets
        assert listed(support, "accounts.wallet", wallet.account_id) == {wallet.id}
        assert listed(support, "accounts.payment", wallet.id) == {paid.id}
        assert listed(support, "accounts.payment", paid.recipient_organization_id) == {paid.id}
        assert listed(support, "accounts.apikey", key.key_prefix) == {key.id}
        assert listed(support, "ledger.transaction", entry.id) == {paid.id}
        assert listed(support, "ledger.entry", paid.id) >= {entry.id}
        assert listed(support, "ledger.hold", hold.reference) == {hold.id}
        assert len(listed(support, "ledger.ledgeraccount", acme.id)) == len(wallets)
        assert len(listed(support, "api.idempotencyrecord", "order-A1")) == 1
        assert listed(support, "accounts.payment", "acc_01J00000000000000000000000") == set()
        assert listed(support, "accounts.payment", "nonsense") == set()

    def test_an_approval_is_found_by_whoever_is_concerned(self, support, paid, acme, globex):
        approval = approving.ask(paid.sender, paid.recipient)

        for id in (paid.sender_id, paid.recipient_id, acme.id, globex.id, approval.subject_id):
            assert listed(support, "accounts.approval", id) == {approval.id}, id
        assert "Approve" not in support.get(path("accounts.approval", "change", approval.id)).text

    def test_money_is_printed_as_the_api_prints_it(self, support, paid):
        page = support.get(path("accounts.payment", "change", paid.id)).text
        assert "10.00" in page
        assert "10.00000000" not in page
        assert "89.75" in support.get(path("accounts.wallet", "change", paid.sender_id)).text

    def test_nothing_secret_is_shown(self, support, everything, api):
        key, person = everything["accounts.apikey"], everything["accounts.user"]
        answer = everything["api.idempotencyrecord"].answer
        invitation = everything["accounts.invitation"]
        secrets = [api.key, bytes(key.secret_hash).hex(), person.password, answer]
        secrets.append(bytes(invitation.token_hash).hex())
        secrets.append(everything["links.paymentlink"].slug)
        for model, thing in everything.items():
            pages = support.get(path(model, "change", thing.pk)).text
            pages += support.get(path(model, "changelist")).text
            assert not [secret for secret in secrets if secret in pages], model

    def test_lists_take_the_same_number_of_queries_for_any_number_of_rows(
        self, support, everything, acme
    ):
        models = [model for model in everything if model != "auth.group"]
        before = {model: self.queries(support, model) for model in models}
        for number in range(3):
            wallet = world.make_wallet(acme, f"Wallet {number}", funds="10")
            world.make_wallet(world.make_organization(f"Other {number}"))
            world.make_key(acme)
            a_hold(wallet)
            approving.ask(wallet, world.make_wallet(acme, "Payee"))
            person = User.objects.create_user(f"p{number}@acme.example")
            Membership.objects.create(organization=acme, user=person, role="MEMBER")
        assert {model: self.queries(support, model) for model in models} == before

    @staticmethod
    def queries(browser, model):
        with CaptureQueriesContext(connection) as captured:
            browser.get(path(model, "changelist"))
        return len(captured)

    def test_history_tells_what_happened_and_who_did_it(self, support, boss, wallet):
        act(support, wallet, "freeze", reason="Court order")

        page = support.get(path("accounts.wallet", "history", wallet.id)).text

        assert "wallet.created" in page
        assert "wallet.frozen" in page
        assert boss.id in page

    def test_nothing_is_added_changed_or_deleted(self, support, everything):
        for model in set(everything) - {"auth.group", "accounts.user"}:
            thing = everything[model]
            assert support.get(path(model, "add")).status_code == 403
            assert support.post(path(model, "change", thing.pk), {"name": "X"}).status_code == 403
            assert support.post(path(model, "delete", thing.pk)).status_code == 403
        assert support.post(path("accounts.user", "delete", thing.pk)).status_code in (302, 403)
        assert User.objects.count() == 2


class TestActions:
    def test_set_plan(self, support, boss, acme):
        assert act(support, acme, "set_plan", plan="GROWTH") == ["Acme: done (set plan)."]

        acme.refresh_from_db()
        (fact,) = facts(acme, "organization.updated")
        assert acme.plan == "GROWTH"
        assert (fact.actor_type, fact.actor_id) == ("USER", boss.id)
        assert fact.data["changes"] == {"plan": "GROWTH"}
        assert fact.origin.ip == "127.0.0.1"

    def test_an_unknown_plan_is_asked_again(self, support, acme):
        url = path("accounts.organization", "changelist")
        chosen = {"action": "set_plan", "_selected_action": acme.id, "confirmed": "yes"}

        assert "Select a valid choice" in support.post(url, chosen | {"plan": "GOLD"}).text
        assert Organization.objects.get(pk=acme.pk).plan == "ENTERPRISE"

    def test_set_limits(self, support, acme):
        figures = {"custom_reads_per_minute": "7", "custom_wallets": "0"}
        act(support, acme, "set_limits", **figures)

        limits = Organization.objects.get(pk=acme.pk).limits
        assert (limits.reads_per_minute, limits.writes_per_minute, limits.wallets) == (7, 500, 0)
        (fact,) = facts(acme, "organization.updated")
        expected = {"readsPerMinute": 7, "writesPerMinute": None, "wallets": 0}
        assert fact.data["changes"] == {"limits": expected}

    def test_the_form_for_limits_starts_with_those_in_force(self, support, acme):
        url = path("accounts.organization", "changelist")
        asked = support.post(url, {"action": "set_limits", "_selected_action": acme.id})

        assert 'name="custom_reads_per_minute" value="1000000"' in asked.text

    def test_activate_production(self, support, acme):
        act(support, acme, "activate_production")

        assert Organization.objects.get(pk=acme.pk).production_activated_at
        assert len(facts(acme, "organization.activated")) == 1

    def test_a_refusal_is_shown_and_changes_nothing(self, support, acme):
        Organization.objects.update(plan="FREE")

        assert act(support, acme, "activate_production") == [
            "Acme: The plan FREE does not include production."
        ]
        assert facts(acme, "organization.activated") == []

    def test_freeze_unfreeze_and_close(self, support, boss, wallet):
        act(support, wallet, "freeze", reason="Court order")
        assert Wallet.objects.get(pk=wallet.pk).status == "FROZEN"
        (fact,) = facts(wallet, "wallet.frozen")
        assert (fact.actor_type, fact.actor_id) == ("USER", boss.id)
        assert fact.data["reason"] == "Court order"

        act(support, wallet, "unfreeze")
        assert Wallet.objects.get(pk=wallet.pk).status == "ACTIVE"

        act(support, wallet, "close")
        assert Wallet.objects.get(pk=wallet.pk).status == "CLOSED"

    def test_one_refusal_does_not_stop_the_others(self, support, paid, acme):
        empty = world.make_wallet(acme, "Empty")
        url = path("accounts.wallet", "changelist")
        chosen = [paid.sender_id, empty.id]
        order = {"action": "close", "_selected_action": chosen, "confirmed": "yes"}

        said = [str(m) for m in support.post(url, order, follow=True).context["messages"]]

        assert "Empty: done (close for good)." in said
        assert any(text.startswith("Research agent: Only an empty wallet") for text in said)
        assert Wallet.objects.get(pk=empty.pk).status == "CLOSED"

    def test_a_revoked_key_is_refused_at_once(self, support, api, acme):
        act(support, acme.api_keys.get(), "revoke")

        assert world.error_of(api.get("/v1/wallets")) == "API_KEY_REVOKED"
        assert len(facts(ApiKey.objects.get(), "api_key.revoked")) == 1

    def test_the_page_of_an_object_offers_its_actions(self, support, wallet):
        page = support.get(path("accounts.wallet", "change", wallet.id)).text
        assert '<button class="button" name="action" value="freeze">Freeze</button>' in page

    def test_second_factors_are_removed_for_somebody_who_lost_them(
        self, support, boss, acme, globex
    ):
        person = User.objects.create_user("ada@acme.example", PASSWORD)
        for organization in (acme, globex):
            Membership.objects.create(organization=organization, user=person, role="VIEWER")
        Authenticator.objects.create(user=person, type="totp", data={})
        Authenticator.objects.create(user=person, type="recovery_codes", data={})
        page = support.get(path("accounts.user", "change", person.pk)).text
        assert "TOTP Authenticator, Recovery codes" in page

        act(support, person, "remove_second_factors")
        assert not Authenticator.objects.exists()
        found = facts(person, "user.mfa_removed")
        assert {fact.organization_id for fact in found} == {acme.id, globex.id}
        assert {fact.data["factor"] for fact in found} == {"totp", "recovery_codes"}
        assert {fact.actor_id for fact in found} == {boss.id}

    def test_only_superusers_remove_second_factors(self, db):
        person = User.objects.create_user("ada@acme.example", PASSWORD)
        Authenticator.objects.create(user=person, type="totp", data={})
        helper = signed_in(staff("helper@wallgent.example", "view_user", "change_user"))
        order = {"action": "remove_second_factors", "_selected_action": person.pk}

        helper.post(path("accounts.user", "changelist"), order | {"confirmed": "yes"})
        assert Authenticator.objects.exists()


class TestWhoMay:
    def test_createsuperuser_makes_somebody_who_can_sign_in(self, db, monkeypatch):
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        call_command("createsuperuser", email="Root@Wallgent.example", interactive=False)
        browser = Client()

        form = {"login": "root@wallgent.EXAMPLE", "password": PASSWORD}
        asked = browser.get("/admin/login/?next=/admin/", follow=True)
        answer = browser.post(asked.redirect_chain[-1][0], form, follow=True)

        assert asked.redirect_chain == [("/account/login/?next=%2Fadmin%2F", 302)]
        assert answer.redirect_chain == [("/admin/", 302)]
        assert "Wallgent support" in answer.text

    def test_staff_without_an_organization_land_here(self, boss):
        boss.set_password(PASSWORD)
        boss.save()

        answer = Client().post("/account/login/", {"login": boss.email, "password": PASSWORD})

        assert (answer.status_code, answer.url) == (302, "/admin/")

    def test_members_who_are_not_staff_are_refused_at_the_door(self, db):
        browser = signed_in(User.objects.create_user("ada@acme.example", PASSWORD))

        assert browser.get("/admin/", follow=True).status_code == 403

    def test_people_change_their_own_password(self, boss):
        boss.set_password(PASSWORD)
        boss.save()
        support = signed_in(boss)
        new = "a longer horse of another battery"
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        weak = form | {"new_password1": "horse", "new_password2": "horse"}

        assert "too short" in support.post("/admin/password_change/", weak).text
        answer = support.post("/admin/password_change/", form, follow=True)

        assert answer.status_code == 200
        boss.refresh_from_db()
        assert boss.check_password(new)
        assert support.get("/admin/").status_code == 200

    @pytest.mark.parametrize("is_known", [True, False])
    def test_who_is_not_staff_is_refused(self, everything, is_known):
        browser = signed_in(everything["accounts.user"]) if is_known else Client()
        for model, thing in everything.items():
            for url in (path(model, "changelist"), path(model, "change", thing.pk)):
                answer = browser.get(url)
                assert answer.status_code == 302
                assert answer.url.startswith("/admin/login/")

    def test_staff_see_and_do_what_they_are_permitted(self, wallet, acme):
        viewer = signed_in(staff("viewer@wallgent.example", "view_wallet"))
        url = path("accounts.wallet", "changelist")
        order = {"action": "freeze", "_selected_action": wallet.id, "confirmed": "yes"}

        assert viewer.get(path("accounts.organization", "changelist")).status_code == 403
        assert 'value="freeze"' not in viewer.get(path("accounts.wallet", "change", wallet.id)).text
        history = viewer.get(path("accounts.wallet", "history", wallet.id)).text
        assert "wallet.created" not in history
        viewer.post(url, order)
        assert Wallet.objects.get(pk=wallet.pk).status == "ACTIVE"

        helper = signed_in(staff("helper@wallgent.example", "view_wallet", "change_wallet"))
        helper.post(url, order)
        assert Wallet.objects.get(pk=wallet.pk).status == "FROZEN"

    def test_only_superusers_give_rights_and_never_to_themselves(self, support, boss):
        person = staff("new@wallgent.example", "view_user", "change_user")
        form = {"is_active": "on", "is_superuser": "on", "_save": "Save"}
        form |= {f"memberships-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}

        assert signed_in(person).post(path("accounts.user", "change", person.pk), form)
        person.refresh_from_db()
        assert not person.is_superuser

        assert support.post(path("accounts.user", "change", boss.pk), form).status_code == 403
        answer = support.post(path("accounts.user", "change", person.pk), form)
        assert answer.status_code == 302
        person.refresh_from_db()
        assert person.is_superuser
        assert not person.is_staff
        assert "Changed" in support.get(path("accounts.user", "history", person.pk)).text

    def test_a_forged_request_is_refused(self, boss, wallet):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(boss)
        order = {"action": "freeze", "_selected_action": wallet.id, "confirmed": "yes"}

        assert browser.post(path("accounts.wallet", "changelist"), order).status_code == 403


class TestBalances:
    def test_a_system_account_shows_what_is_not_rolled_up_yet(self, support, wallet):
        world.fund(wallet, "42")
        treasury = LedgerAccount.objects.get(pk=chart.treasury("SANDBOX", "USD"))

        page = support.get(path("ledger.ledgeraccount", "change", treasury.pk)).text

        assert "42.00" in page
