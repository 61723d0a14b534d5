"""Dashboard pages of members."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from accounts.organizations.models import Invitation, Membership
from tests import emailing, world
from tests.world import unknown_id
from wallgent import ids
from wallgent.mail import emails, limits
from wallgent.mail.models import Email

NASTY = "<script>alert(1)</script> ‮שלום 🦉"


def url(organization, path="", environment="sandbox"):
    return f"/{organization.id}/{environment}/members{path}"


def membership(user) -> Membership:
    return Membership.objects.get(user=user)


def form_data(**more):
    return {"submission": ids.new("sub"), **more}


@pytest.fixture
def grace(acme):
    """Acme's only owner."""
    return world.make_member(acme, "OWNER", email="grace@acme.example", name="Grace Hopper")


@pytest.fixture
def owner(grace):
    return world.browser(grace)


@pytest.fixture
def ada(acme):
    """A member whom owners and admins may manage."""
    return world.make_member(acme, "MEMBER", email="ada@acme.example", name="Ada")


class TestList:
    def test_members_see_each_other(self, acme, grace, ada):
        html = world.browser(ada).get(url(acme)).content.decode()

        for text in ("Grace Hopper", "grace@acme.example", "Owner", "(you)"):
            assert text in html
        assert url(acme, "/invite") not in html
        assert "/remove" not in html
        assert url(acme, "/leave") in html

    def test_shows_hostile_names_as_text(self, acme, owner):
        world.make_member(acme, "VIEWER", name=NASTY)

        html = owner.get(url(acme)).content.decode()

        assert escape(NASTY) in html
        assert "<script>alert" not in html

    def test_only_roles_that_invite_see_invitations(self, acme, owner, ada):
        owner.post(url(acme, "/invite"), form_data(email="new@x.example", role="VIEWER"))

        assert "new@x.example" in owner.get(url(acme)).content.decode()
        assert "new@x.example" not in world.browser(ada).get(url(acme)).content.decode()

    def test_takes_the_same_number_of_queries_for_any_number_of_members(self, acme, owner):
        owner.get(url(acme))
        with CaptureQueriesContext(connection) as before:
            owner.get(url(acme))
        for _ in range(5):
            world.make_member(acme, "VIEWER")

        with CaptureQueriesContext(connection) as after:
            owner.get(url(acme, "?sort=-joined"))

        assert len(after) == len(before)


class TestInvite:
    def test_emails_a_link_and_shows_it_once(self, acme, owner, django_capture_on_commit_callbacks):
        form = form_data(email=" New@X.example ", role="MEMBER")

        with django_capture_on_commit_callbacks(execute=True):
            answer = owner.post(url(acme, "/invite"), form)

        link = re.search(r"http\S+/invitations/[\w-]+", answer.content.decode())[0]
        assert answer.status_code == 200
        assert link in emailing.outbox()[0].body
        assert emailing.outbox()[0].to == ["new@x.example"]
        again = owner.post(url(acme, "/invite"), form)
        assert (again.status_code, again.url) == (303, url(acme))
        assert link not in owner.get(again.url).content.decode()
        assert Invitation.objects.count() == 1

    def test_list_shows_what_became_of_the_email(self, acme, owner):
        for number in range(2):
            form = form_data(email=f"{number}@x.example", role="MEMBER")
            owner.post(url(acme, "/invite"), form)
            shown = owner.get(url(acme)).content.decode()
            assert "Pending" in shown
            emailing.deliver()
            assert "Pending" not in owner.get(url(acme)).content.decode()
        email = Email.objects.latest("pk")
        email.end("FAILED", reason="UNKNOWN_ADDRESS", reply="5.1.1")

        shown = owner.get(url(acme)).content.decode()
        assert shown.count(">Sent<") == 1
        assert "The address does not exist." in shown

    def test_invites_without_an_email_an_address_that_had_too_many(self, acme, owner):
        for _ in range(limits.EMAILS_PER_ADDRESS_BEFORE_A_CODE):
            emails.queue("LINK", to="new@x.example", subject="", text="", environment="PRODUCTION")

        answer = owner.post(url(acme, "/invite"), form_data(email="New@x.example", role="MEMBER"))

        text = answer.content.decode()
        assert "send an email: this address received several today" in text
        assert "on its way" not in text
        assert "We sent a link" not in text
        link = re.search(r"/invitations/[\w-]+", text)[0]
        assert owner.get(link).status_code == 200
        assert "received several emails today" in owner.get(url(acme)).content.decode()

    @pytest.mark.parametrize(
        "email", ["", "x", "a@b", "ada@acme.example", "a" * 250 + "@x.example"]
    )
    def test_invalid_email_is_reported_at_its_field(self, acme, owner, ada, email):
        answer = owner.post(url(acme, "/invite"), form_data(email=email, role="MEMBER"))

        assert answer.status_code == 422
        assert 'id="id_email_error"' in answer.content.decode()
        assert not Invitation.objects.exists()

    def test_admin_cannot_invite_owners(self, acme, grace):
        admin = world.browser(world.make_member(acme, "ADMIN"))

        answer = admin.post(url(acme, "/invite"), form_data(email="new@x.example", role="OWNER"))

        assert answer.status_code == 422
        assert not Invitation.objects.exists()
        assert 'value="OWNER"' not in admin.get(url(acme, "/invite")).content.decode()

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_requires_owner_or_admin(self, acme, grace, role):
        browser = world.browser(world.make_member(acme, role))

        answer = browser.post(url(acme, "/invite"), form_data(email="new@x.example", role="VIEWER"))

        assert answer.status_code == 403
        assert not Invitation.objects.exists()

    def test_works_from_production_before_activation(self, acme, owner):
        form = form_data(email="new@x.example", role="VIEWER")

        assert owner.post(url(acme, "/invite", "production"), form).status_code == 200

    def test_is_revoked_after_confirmation(self, acme, owner):
        owner.post(url(acme, "/invite"), form_data(email="new@x.example", role="VIEWER"))
        path = url(acme, f"/invitations/{Invitation.objects.get().id}/revoke")
        form = form_data()

        page = owner.get(path).content.decode()
        answers = [owner.post(path, form) for _ in range(2)]

        assert "new@x.example" in page
        assert [answer.status_code for answer in answers] == [303, 303]
        assert not Invitation.objects.open().exists()


class TestRole:
    def change(self, browser, acme, user, role):
        return browser.post(url(acme, f"/{membership(user).id}/role"), form_data(role=role))

    def test_owner_changes_it(self, acme, owner, ada):
        answer = self.change(owner, acme, ada, "ADMIN")

        assert (answer.status_code, answer.url) == (303, url(acme))
        assert membership(ada).role == "ADMIN"

    def test_admin_cannot_change_an_owner(self, acme, grace):
        admin = world.browser(world.make_member(acme, "ADMIN"))

        assert self.change(admin, acme, grace, "VIEWER").status_code == 422
        assert membership(grace).role == "OWNER"

    def test_last_owner_cannot_be_demoted(self, acme, owner, grace):
        answer = self.change(owner, acme, grace, "VIEWER")

        assert answer.status_code == 422
        assert "needs an owner" in answer.content.decode()
        assert membership(grace).role == "OWNER"

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_requires_owner_or_admin(self, acme, ada, role):
        browser = world.browser(world.make_member(acme, role))

        assert self.change(browser, acme, ada, "OWNER").status_code == 403

    @pytest.mark.parametrize("role", ["", "GOD", "owner"])
    def test_unknown_role_is_refused(self, acme, owner, ada, role):
        assert self.change(owner, acme, ada, role).status_code == 422
        assert membership(ada).role == "MEMBER"


class TestRemove:
    def test_confirms_then_ends_access_at_once(self, acme, owner, ada):
        removed, path = world.browser(ada), url(acme, f"/{membership(ada).id}/remove")
        removed.get(url(acme))
        form = form_data()

        page = owner.get(path).content.decode()
        answers = [owner.post(path, form) for _ in range(2)]

        assert "ada@acme.example" in page
        assert [(a.status_code, a.url) for a in answers] == [(303, url(acme))] * 2
        assert removed.get(url(acme)).status_code == 404

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_requires_owner_or_admin(self, acme, ada, role):
        browser = world.browser(world.make_member(acme, role))

        answer = browser.post(url(acme, f"/{membership(ada).id}/remove"), form_data())

        assert answer.status_code == 403
        assert membership(ada)

    def test_admin_cannot_remove_an_owner(self, acme, grace):
        admin = world.browser(world.make_member(acme, "ADMIN"))

        answer = admin.post(url(acme, f"/{membership(grace).id}/remove"), form_data())

        assert answer.status_code == 422
        assert membership(grace)


class TestLeave:
    @pytest.mark.parametrize("role", ["OWNER", "ADMIN", "MEMBER", "VIEWER"])
    def test_every_role_may_leave(self, acme, grace, role):
        user = world.make_member(acme, role)
        browser = world.browser(user)

        page = browser.get(url(acme, "/leave"))
        answer = browser.post(url(acme, "/leave"), form_data())

        assert page.status_code == 200
        assert (answer.status_code, answer.url) == (303, "/")
        assert not Membership.objects.filter(user=user).exists()
        assert browser.get(url(acme)).status_code == 404

    def test_last_owner_cannot_leave(self, acme, owner, grace):
        answer = owner.post(url(acme, "/leave"), form_data())

        assert answer.status_code == 422
        assert "needs an owner" in answer.content.decode()
        assert membership(grace)


class TestUrls:
    @pytest.mark.parametrize("path", ["/{id}/role", "/{id}/remove", "/invitations/{id}/revoke"])
    def test_foreign_unknown_and_malformed_ids_are_not_found(self, acme, globex, owner, path):
        stranger = world.make_member(globex)
        world.browser(stranger).post(
            url(globex, "/invite"), form_data(email="new@x.example", role="VIEWER")
        )
        foreign = [membership(stranger).id, Invitation.objects.get().id]
        before = world.everything()

        for id in (*foreign, unknown_id("mem"), unknown_id("ivt"), "x", "..", "mem_" + "Z" * 26):
            assert owner.get(url(acme, path.format(id=id))).status_code == 404
            posted = owner.post(url(acme, path.format(id=id)), form_data(role="VIEWER"))
            assert posted.status_code == 404
        assert world.everything() == before

    @pytest.mark.parametrize("path", ["", "/invite", "/leave"])
    def test_strangers_get_404_and_guests_are_redirected_to_sign_in(
        self, acme, globex, client, path
    ):
        stranger = world.browser(world.make_member(globex))

        assert stranger.get(url(acme, path)).status_code == 404
        answer = client.get(url(acme, path))
        assert answer.status_code == 302
        assert answer.url.endswith(f"?next={url(acme, path)}")
