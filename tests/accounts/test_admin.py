"""The admin, used in a browser."""

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


def make_staff(email, *permissions):
    user = User.objects.create_user(email, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def signed_in(user):
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def superuser(db):
    return User.objects.create_superuser("root@wallgent.example")


@pytest.fixture
def support(superuser):
    """A browser in which a superuser has signed in."""
    return signed_in(superuser)


@pytest.fixture
def paid(api, wallet, shop):
    """Create a payment through the API, with its entries, key, events and idempotency record."""
    world.fund(wallet, "100")
    order = {"from": wallet.id, "to": shop.id, "amount": "10", "idempotencyKey": "order-A1"}
    return Payment.objects.get(pk=api.post("/v1/payments", order).json()["id"])


@pytest.fixture
def hold(paid):
    return make_hold(paid.sender)


def make_hold(wallet):
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


def make_claimed_link(sender, recipient):
    """Create a link of the sender and its claim by the recipient."""
    actor = world.actor_for(sender.organization)
    link = payment_links.create(actor=actor, wallet=sender, amount=Decimal(1), direction="SEND")
    claim = claims.open(link, destination=recipient, actor=actor)
    return [claim.link, claim]


@pytest.fixture
def objects_by_model(paid, hold, acme, superuser):
    """Create an object of each registered model, by its label."""
    user = User.objects.create_user("ada@acme.example", PASSWORD)
    superuser.groups.create(name="Second line")
    member = Membership.objects.create(organization=acme, user=user, role="OWNER")
    invitation, _ = members.invite(
        actor=world.actor_for(acme), membership=member, email="bob@acme.example", role="VIEWER"
    )
    objects = [
        *(
            invitation,
            acme,
            user,
            member,
            acme.api_keys.get(),
            paid.sender,
            paid,
            hold,
            paid.sender.account,
        ),
        *(Transaction.objects.get(pk=paid.id), Entry.objects.first(), Event.objects.first()),
        *(IdempotencyRecord.objects.get(), superuser.groups.get()),
    ]
    objects += make_claimed_link(paid.sender, paid.recipient)
    objects.append(approving.ask(paid.sender, paid.recipient))
    return {obj._meta.label_lower: obj for obj in objects}


def path(model, page, *arguments):
    return reverse(f"admin:{model.replace('.', '_')}_{page}", args=arguments)


def listed(browser, model, term):
    """Return the IDs that a search finds."""
    answer = browser.get(path(model, "changelist"), {"q": term})
    assert answer.status_code == 200
    return {row.pk for row in answer.context["cl"].result_list}


def act(browser, obj, action, **fields):
    """Choose an action, confirm it, and return the messages that the page then shows."""
    url = path(obj._meta.label_lower, "changelist")
    chosen = {"action": action, "index": "0", "_selected_action": obj.pk}
    confirmation = browser.post(url, chosen)
    assert confirmation.status_code == 200
    assert obj.pk in confirmation.text
    done = browser.post(url, chosen | fields | {"confirmed": "yes"}, follow=True)
    return [str(message) for message in done.context["messages"]]


def events_about(obj, type):
    return list(Event.objects.filter(subject=obj.pk, type=type))


class TestPages:
    def test_every_list_opens_and_can_be_searched(self, support):
        for model in admin.site._registry:
            name = model._meta.label_lower
            assert listed(support, name, "") >= set()
            assert listed(support, name, str(uuid.uuid4())) == set()

    def test_every_page_opens(self, support, objects_by_model):
        for model, obj in objects_by_model.items():
            assert listed(support, model, "") >= {obj.pk}
            for page in ("change", "history"):
                assert support.get(path(model, page, obj.pk)).status_code == 200, (model, page)
        assert support.get("/admin", follow=True).status_code == 200

    def test_object_is_found_by_id_and_uuid(self, support, objects_by_model):
        del objects_by_model["auth.group"], objects_by_model["wallgent.event"]
        for model, obj in objects_by_model.items():
            plain = str(ids.read(str(obj.pk)))
            assert listed(support, model, obj.pk) == {obj.pk}, model
            assert obj.pk in listed(support, model, plain), model
            assert support.get(path(model, "change", plain)).status_code == 200, model

    def test_id_in_a_path_needs_no_quoting(self, support, wallet):
        assert support.get(f"/admin/accounts/wallet/{wallet.id}/change/").status_code == 200

    def test_objects_are_found_by_related_ids(self, support, paid, hold, acme):
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
        assert len(listed(support, "wallgent.idempotencyrecord", "order-A1")) == 1
        assert listed(support, "accounts.payment", "acc_01J00000000000000000000000") == set()
        assert listed(support, "accounts.payment", "nonsense") == set()

    def test_approval_is_found_by_related_ids(self, support, paid, acme, globex):
        approval = approving.ask(paid.sender, paid.recipient)

        for id in (paid.sender_id, paid.recipient_id, acme.id, globex.id, approval.subject_id):
            assert listed(support, "accounts.approval", id) == {approval.id}, id
        assert "Approve" not in support.get(path("accounts.approval", "change", approval.id)).text

    def test_money_and_statuses_are_shown_as_on_pages(self, support, paid):
        page = support.get(path("accounts.payment", "change", paid.id)).text
        assert "$10.00<" in page
        assert '<span class="badge tone-success">Completed</span>' in page
        wallet = support.get(path("accounts.wallet", "change", paid.sender_id)).text
        assert "$89.75<" in wallet
        assert '<span class="badge tone-success">Active</span>' in wallet
        assert "css/support.css" in page

    def test_secrets_are_not_shown(self, support, objects_by_model, api):
        key, user = objects_by_model["accounts.apikey"], objects_by_model["accounts.user"]
        answer = objects_by_model["wallgent.idempotencyrecord"].answer
        invitation = objects_by_model["accounts.invitation"]
        secrets = [api.key, bytes(key.secret_hash).hex(), user.password, answer]
        secrets.append(bytes(invitation.token_hash).hex())
        secrets.append(objects_by_model["links.paymentlink"].slug)
        for model, obj in objects_by_model.items():
            pages = support.get(path(model, "change", obj.pk)).text
            pages += support.get(path(model, "changelist")).text
            assert not [secret for secret in secrets if secret in pages], model

    def test_lists_take_the_same_number_of_queries_for_any_number_of_rows(
        self, support, objects_by_model, acme
    ):
        models = [model for model in objects_by_model if model != "auth.group"]
        before = {model: self.queries(support, model) for model in models}
        for number in range(3):
            wallet = world.make_wallet(acme, f"Wallet {number}", funds="10")
            world.make_wallet(world.make_organization(f"Other {number}"))
            world.make_key(acme)
            make_hold(wallet)
            approving.ask(wallet, world.make_wallet(acme, "Payee"))
            user = User.objects.create_user(f"p{number}@acme.example")
            Membership.objects.create(organization=acme, user=user, role="MEMBER")
        assert {model: self.queries(support, model) for model in models} == before

    @staticmethod
    def queries(browser, model):
        with CaptureQueriesContext(connection) as captured:
            browser.get(path(model, "changelist"))
        return len(captured)

    def test_history_shows_events_and_actors(self, support, superuser, wallet):
        act(support, wallet, "freeze", reason="Court order")

        page = support.get(path("accounts.wallet", "history", wallet.id)).text

        assert "wallet.created" in page
        assert "wallet.frozen" in page
        assert superuser.id in page

    def test_objects_cannot_be_added_changed_or_deleted(self, support, objects_by_model):
        for model in set(objects_by_model) - {"auth.group", "accounts.user"}:
            obj = objects_by_model[model]
            assert support.get(path(model, "add")).status_code == 403
            assert support.post(path(model, "change", obj.pk), {"name": "X"}).status_code == 403
            assert support.post(path(model, "delete", obj.pk)).status_code == 403
        assert support.post(path("accounts.user", "delete", obj.pk)).status_code in (302, 403)
        assert User.objects.count() == 2


class TestActions:
    def test_set_plan(self, support, superuser, acme):
        assert act(support, acme, "set_plan", plan="GROWTH") == ["Acme: done (set plan)."]

        acme.refresh_from_db()
        (event,) = events_about(acme, "organization.updated")
        assert acme.plan == "GROWTH"
        assert (event.actor_type, event.actor_id) == ("USER", superuser.id)
        assert event.data["changes"] == {"plan": "GROWTH"}
        assert event.origin.ip == "127.0.0.1"

    def test_unknown_plan_shows_the_form_again(self, support, acme):
        url = path("accounts.organization", "changelist")
        chosen = {"action": "set_plan", "_selected_action": acme.id, "confirmed": "yes"}

        assert "Select a valid choice" in support.post(url, chosen | {"plan": "GOLD"}).text
        assert Organization.objects.get(pk=acme.pk).plan == "ENTERPRISE"

    def test_set_limits(self, support, acme):
        limits = {"custom_reads_per_minute": "7", "custom_wallets": "0"}
        act(support, acme, "set_limits", **limits)

        limits = Organization.objects.get(pk=acme.pk).limits
        assert (limits.reads_per_minute, limits.writes_per_minute, limits.wallets) == (7, 500, 0)
        (event,) = events_about(acme, "organization.updated")
        expected = {"readsPerMinute": 7, "writesPerMinute": None, "wallets": 0}
        assert event.data["changes"] == {"limits": expected}

    def test_limits_form_starts_with_the_current_limits(self, support, acme):
        url = path("accounts.organization", "changelist")
        form = support.post(url, {"action": "set_limits", "_selected_action": acme.id})

        assert 'name="custom_reads_per_minute" value="1000000"' in form.text

    def test_activate_production(self, support, acme):
        act(support, acme, "activate_production")

        assert Organization.objects.get(pk=acme.pk).production_activated_at
        assert len(events_about(acme, "organization.activated")) == 1

    def test_error_is_shown_and_changes_nothing(self, support, acme):
        Organization.objects.update(plan="FREE")

        assert act(support, acme, "activate_production") == [
            "Acme: The plan FREE does not include production."
        ]
        assert events_about(acme, "organization.activated") == []

    def test_freeze_unfreeze_and_close(self, support, superuser, wallet):
        act(support, wallet, "freeze", reason="Court order")
        assert Wallet.objects.get(pk=wallet.pk).status == "FROZEN"
        (event,) = events_about(wallet, "wallet.frozen")
        assert (event.actor_type, event.actor_id) == ("USER", superuser.id)
        assert event.data["reason"] == "Court order"

        act(support, wallet, "unfreeze")
        assert Wallet.objects.get(pk=wallet.pk).status == "ACTIVE"

        act(support, wallet, "close")
        assert Wallet.objects.get(pk=wallet.pk).status == "CLOSED"

    def test_one_error_does_not_stop_the_others(self, support, paid, acme):
        empty = world.make_wallet(acme, "Empty")
        url = path("accounts.wallet", "changelist")
        chosen = [paid.sender_id, empty.id]
        order = {"action": "close", "_selected_action": chosen, "confirmed": "yes"}

        messages = [str(m) for m in support.post(url, order, follow=True).context["messages"]]

        assert "Empty: done (close for good)." in messages
        assert any(text.startswith("Research agent: Only an empty wallet") for text in messages)
        assert Wallet.objects.get(pk=empty.pk).status == "CLOSED"

    def test_revoked_key_is_refused_at_once(self, support, api, acme):
        act(support, acme.api_keys.get(), "revoke")

        assert world.error_of(api.get("/v1/wallets")) == "API_KEY_REVOKED"
        assert len(events_about(ApiKey.objects.get(), "api_key.revoked")) == 1

    def test_page_of_an_object_offers_its_actions(self, support, wallet):
        page = support.get(path("accounts.wallet", "change", wallet.id)).text
        assert '<button class="button" name="action" value="freeze">Freeze</button>' in page

    def test_second_factors_are_removed(self, support, superuser, acme, globex):
        user = User.objects.create_user("ada@acme.example", PASSWORD)
        for organization in (acme, globex):
            Membership.objects.create(organization=organization, user=user, role="VIEWER")
        Authenticator.objects.create(user=user, type="totp", data={})
        Authenticator.objects.create(user=user, type="recovery_codes", data={})
        page = support.get(path("accounts.user", "change", user.pk)).text
        assert "TOTP Authenticator, Recovery codes" in page

        act(support, user, "remove_second_factors")
        assert not Authenticator.objects.exists()
        found = events_about(user, "user.mfa_removed")
        assert {event.organization_id for event in found} == {acme.id, globex.id}
        assert {event.data["factor"] for event in found} == {"totp", "recovery_codes"}
        assert {event.actor_id for event in found} == {superuser.id}

    def test_only_superusers_remove_second_factors(self, db):
        user = User.objects.create_user("ada@acme.example", PASSWORD)
        Authenticator.objects.create(user=user, type="totp", data={})
        helper = signed_in(make_staff("helper@wallgent.example", "view_user", "change_user"))
        order = {"action": "remove_second_factors", "_selected_action": user.pk}

        helper.post(path("accounts.user", "changelist"), order | {"confirmed": "yes"})
        assert Authenticator.objects.exists()


class TestAccess:
    def test_createsuperuser_creates_a_user_who_can_sign_in(self, db, monkeypatch):
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        call_command("createsuperuser", email="Root@Wallgent.example", interactive=False)
        browser = Client()

        form = {"login": "root@wallgent.EXAMPLE", "password": PASSWORD}
        login = browser.get("/admin/login/?next=/admin/", follow=True)
        answer = browser.post(login.redirect_chain[-1][0], form, follow=True)

        assert login.redirect_chain == [("/account/login/?next=%2Fadmin%2F", 302)]
        assert answer.redirect_chain == [("/admin/", 302)]
        assert "Wallgent support" in answer.text

    def test_staff_without_an_organization_are_redirected_here(self, superuser):
        superuser.set_password(PASSWORD)
        superuser.save()

        answer = Client().post("/account/login/", {"login": superuser.email, "password": PASSWORD})

        assert (answer.status_code, answer.url) == (302, "/admin/")

    def test_members_who_are_not_staff_are_refused(self, db):
        browser = signed_in(User.objects.create_user("ada@acme.example", PASSWORD))

        assert browser.get("/admin/", follow=True).status_code == 403

    def test_staff_change_their_own_password(self, superuser):
        superuser.set_password(PASSWORD)
        superuser.save()
        support = signed_in(superuser)
        new = "a longer horse of another battery"
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        weak = form | {"new_password1": "horse", "new_password2": "horse"}

        assert "too short" in support.post("/admin/password_change/", weak).text
        answer = support.post("/admin/password_change/", form, follow=True)

        assert answer.status_code == 200
        superuser.refresh_from_db()
        assert superuser.check_password(new)
        assert support.get("/admin/").status_code == 200

    @pytest.mark.parametrize("is_known", [True, False])
    def test_users_who_are_not_staff_are_redirected_to_sign_in(self, objects_by_model, is_known):
        browser = signed_in(objects_by_model["accounts.user"]) if is_known else Client()
        for model, obj in objects_by_model.items():
            for url in (path(model, "changelist"), path(model, "change", obj.pk)):
                answer = browser.get(url)
                assert answer.status_code == 302
                assert answer.url.startswith("/admin/login/")

    def test_staff_see_and_do_only_what_they_are_permitted(self, wallet, acme):
        viewer = signed_in(make_staff("viewer@wallgent.example", "view_wallet"))
        url = path("accounts.wallet", "changelist")
        order = {"action": "freeze", "_selected_action": wallet.id, "confirmed": "yes"}

        assert viewer.get(path("accounts.organization", "changelist")).status_code == 403
        assert 'value="freeze"' not in viewer.get(path("accounts.wallet", "change", wallet.id)).text
        history = viewer.get(path("accounts.wallet", "history", wallet.id)).text
        assert "wallet.created" not in history
        viewer.post(url, order)
        assert Wallet.objects.get(pk=wallet.pk).status == "ACTIVE"

        helper = signed_in(make_staff("helper@wallgent.example", "view_wallet", "change_wallet"))
        helper.post(url, order)
        assert Wallet.objects.get(pk=wallet.pk).status == "FROZEN"

    def test_only_superusers_grant_rights_and_never_to_themselves(self, support, superuser):
        user = make_staff("new@wallgent.example", "view_user", "change_user")
        form = {"is_active": "on", "is_superuser": "on", "_save": "Save"}
        form |= {f"memberships-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}

        assert signed_in(user).post(path("accounts.user", "change", user.pk), form)
        user.refresh_from_db()
        assert not user.is_superuser

        assert support.post(path("accounts.user", "change", superuser.pk), form).status_code == 403
        answer = support.post(path("accounts.user", "change", user.pk), form)
        assert answer.status_code == 302
        user.refresh_from_db()
        assert user.is_superuser
        assert not user.is_staff
        assert "Changed" in support.get(path("accounts.user", "history", user.pk)).text

    def test_request_without_csrf_token_is_refused(self, superuser, wallet):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(superuser)
        order = {"action": "freeze", "_selected_action": wallet.id, "confirmed": "yes"}

        assert browser.post(path("accounts.wallet", "changelist"), order).status_code == 403


class TestBalances:
    def test_system_account_includes_entries_not_rolled_up_yet(self, support, wallet):
        world.fund(wallet, "42")
        treasury = LedgerAccount.objects.get(pk=chart.treasury("SANDBOX", "USD"))

        page = support.get(path("ledger.ledgeraccount", "change", treasury.pk)).text

        assert "42.00" in page
