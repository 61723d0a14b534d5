"""Members in the dashboard: who sees whom, and who may decide about whom."""

import re

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from accounts.organizations.models import Invitation, Membership
from tests import world
from tests.world import unknown_id
from wallgent import ids

NASTY = "<script>alert(1)</script> ‮שלום 🦉"


def url(organization, path="", environment="sandbox"):
    return f"/{organization.id}/{environment}/members{path}"


def membership(user) -> Membership:
    return Membership.objects.get(user=user)


def asked(**more):
    return {"submission": ids.new("sub"), **more}


@pytest.fixture
def boss(acme):
    """Acme's only owner."""
    return world.make_member(acme, "OWNER", email="boss@acme.example", name="Grace Hopper")


@pytest.fixture
def owner(boss):
    return world.browser(boss)


@pytest.fixture
def ada(acme):
    """Somebody whom owners and admins decide about."""
    return world.make_member(acme, "MEMBER", email="ada@acme.example", name="Ada")


class TestList:
    def test_shows_members_to_each_other(self, acme, boss, ada):
        html = world.browser(ada).get(url(acme)).content.decode()

        for text in ("Grace Hopper", "boss@acme.example", "Owner", "(you)"):
            assert text in html
        assert url(acme, "/invite") not in html
        assert "/remove" not in html
        assert url(acme, "/leave") in html

    def test_shows_hostile_names_as_text(self, acme, owner):
        world.make_member(acme, "VIEWER", name=NASTY)

        html = owner.get(url(acme)).content.decode()

        assert escape(NASTY) in html
        assert "<script>alert" not in html

    def test_invitations_are_for_those_who_invite(self, acme, owner, ada):
        owner.post(url(acme, "/invite"), asked(email="new@x.example", role="VIEWER"))

        assert "new@x.example" in owner.get(url(acme)).content.decode()
        assert "new@x.example" not in world.browser(ada).get(url(acme)).content.decode()

    def test_takes_the_same_few_queries_for_many(self, acme, owner):
        owner.get(url(acme))
        with CaptureQueriesContext(connection) as few:
            owner.get(url(acme))
        for _ in range(5):
            world.make_member(acme, "VIEWER")

        with CaptureQueriesContext(connection) as many:
            owner.get(url(acme, "?sort=-joined"))

        assert len(many) == len(few)


class TestInvite:
    def test_mails_a_link_and_shows_it_once(self, acme, owner, django_capture_on_commit_callbacks):
        form = asked(email=" New@X.example ", role="MEMBER")

        with django_capture_on_commit_callbacks(execute=True):
            answer = owner.post(url(acme, "/invite"), form)

        link = re.search(r"http\S+/invitations/[\w-]+", answer.content.decode())[0]
        assert answer.status_code == 200
        assert link in mail.outbox[0].body
        assert mail.outbox[0].to == ["new@x.example"]
        again = owner.post(url(acme, "/invite"), form)
        assert (again.status_code, again.url) == (303, url(acme))
        assert link not in owner.get(again.url).content.decode()
        assert Invitation.objects.count() == 1

    @pytest.mark.parametrize(
        "email", ["", "x", "a@b", "ada@acme.example", "a" * 250 + "@x.example"]
    )
    def test_says_beside_the_address_what_is_wrong(self, acme, owner, ada, email):
        answer = owner.post(url(acme, "/invite"), asked(email=email, role="MEMBER"))

        assert answer.status_code == 422
        assert 'id="id_email_error"' in answer.content.decode()
        assert not Invitation.objects.exists()

    def test_admin_makes_no_owners(self, acme, boss):
        admin = world.browser(world.make_member(acme, "ADMIN"))

        answer = admin.post(url(acme, "/invite"), asked(email="new@x.example", role="OWNER"))

        assert answer.status_code == 422
        assert not Invitation.objects.exists()
        assert 'value="OWNER"' not in admin.get(url(acme, "/invite")).content.decode()

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_is_for_owners_and_admins(self, acme, boss, role):
        browser = world.browser(world.make_member(acme, role))

        answer = browser.post(url(acme, "/invite"), asked(email="new@x.example", role="VIEWER"))

        assert answer.status_code == 403
        assert not Invitation.objects.exists()

    def test_is_the_same_from_production_that_waits_for_activation(self, acme, owner):
        form = asked(email="new@x.example", role="VIEWER")

        assert owner.post(url(acme, "/invite", "production"), form).status_code == 200

    def test_is_taken_back(self, acme, owner):
        owner.post(url(acme, "/invite"), asked(email="new@x.example", role="VIEWER"))
        path = url(acme, f"/invitations/{Invitation.objects.get().id}/revoke")
        form = asked()

        page = owner.get(path).content.decode()
        answers = [owner.post(path, form) for _ in range(2)]

        assert "new@x.example" in page
        assert [answer.status_code for answer in answers] == [303, 303]
        assert not Invitation.objects.open().exists()


class TestRole:
    def change(self, browser, acme, user, role):
        return browser.post(url(acme, f"/{membership(user).id}/role"), asked(role=role))

    def test_is_changed(self, acme, owner, ada):
        answer = self.change(owner, acme, ada, "ADMIN")

        assert (answer.status_code, answer.url) == (303, url(acme))
        assert membership(ada).role == "ADMIN"

    def test_admin_decides_about_no_owner(self, acme, boss):
        admin = world.browser(world.make_member(acme, "ADMIN"))

        assert self.change(admin, acme, boss, "VIEWER").status_code == 422
        assert membership(boss).role == "OWNER"

    def test_last_owner_stays_one(self, acme, owner, boss):
        answer = self.change(owner, acme, boss, "VIEWER")

        assert answer.status_code == 422
        assert "needs an owner" in answer.content.decode()
        assert membership(boss).role == "OWNER"

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_is_for_owners_and_admins(self, acme, ada, role):
        browser = world.browser(world.make_member(acme, role))

        assert self.change(browser, acme, ada, "OWNER").status_code == 403

    @pytest.mark.parametrize("role", ["", "GOD", "owner"])
    def test_must_be_a_role(self, acme, owner, ada, role):
        assert self.change(owner, acme, ada, role).status_code == 422
        assert membership(ada).role == "MEMBER"


class TestRemove:
    def test_asks_first_then_closes_the_door_at_once(self, acme, owner, ada):
        theirs, path = world.browser(ada), url(acme, f"/{membership(ada).id}/remove")
        theirs.get(url(acme))
        form = asked()

        page = owner.get(path).content.decode()
        answers = [owner.post(path, form) for _ in range(2)]

        assert "ada@acme.example" in page
        assert [(a.status_code, a.url) for a in answers] == [(303, url(acme))] * 2
        assert theirs.get(url(acme)).status_code == 404

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_is_for_owners_and_admins(self, acme, ada, role):
        browser = world.browser(world.make_member(acme, role))

        answer = browser.post(url(acme, f"/{membership(ada).id}/remove"), asked())

        assert answer.status_code == 403
        assert membership(ada)

    def test_admin_removes_no_owner(self, acme, boss):
        admin = world.browser(world.make_member(acme, "ADMIN"))

        answer = admin.post(url(acme, f"/{membership(boss).id}/remove"), asked())

        assert answer.status_code == 422
        assert membership(boss)


class TestLeave:
    @pytest.mark.parametrize("role", ["OWNER", "ADMIN", "MEMBER", "VIEWER"])
    def test_everybody_may(self, acme, boss, role):
        user = world.make_member(acme, role)
        browser = world.browser(user)

        page = browser.get(url(acme, "/leave"))
        answer = browser.post(url(acme, "/leave"), asked())

        assert page.status_code == 200
        assert (answer.status_code, answer.url) == (303, "/")
        assert not Membership.objects.filter(user=user).exists()
        assert browser.get(url(acme)).status_code == 404

    def test_but_the_last_owner(self, acme, owner, boss):
        answer = owner.post(url(acme, "/leave"), asked())

        assert answer.status_code == 422
        assert "needs an owner" in answer.content.decode()
        assert membership(boss)


class TestPlace:
    @pytest.mark.parametrize("path", ["/{id}/role", "/{id}/remove", "/invitations/{id}/revoke"])
    def test_foreign_unknown_and_malformed_ids_are_nowhere(self, acme, globex, owner, path):
        stranger = world.make_member(globex)
        world.browser(stranger).post(
            url(globex, "/invite"), asked(email="new@x.example", role="VIEWER")
        )
        foreign = [membership(stranger).id, Invitation.objects.get().id]
        before = world.everything()

        for id in (*foreign, unknown_id("mem"), unknown_id("ivt"), "x", "..", "mem_" + "Z" * 26):
            assert owner.get(url(acme, path.format(id=id))).status_code == 404
            sent = owner.post(url(acme, path.format(id=id)), asked(role="VIEWER"))
            assert sent.status_code == 404
        assert world.everything() == before

    @pytest.mark.parametrize("path", ["", "/invite", "/leave"])
    def test_strangers_find_nothing_and_guests_are_asked_to_sign_in(
        self, acme, globex, client, path
    ):
        stranger = world.browser(world.make_member(globex))

        assert stranger.get(url(acme, path)).status_code == 404
        answer = client.get(url(acme, path))
        assert answer.status_code == 302
        assert answer.url.endswith(f"?next={url(acme, path)}")
