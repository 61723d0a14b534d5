"""An organization's settings, and founding one."""

import pytest
from django.utils.html import escape

from accounts.controls.services import approvals
from accounts.organizations.models import Membership, Organization, User
from tests import world
from wallgent import ids

NASTY = "<script>alert(1)</script> ‮שלום 🦉"
NEW = "/organizations/new"


def url(organization, environment="sandbox"):
    return f"/{organization.id}/{environment}/settings"


def asked(**more):
    return {
        "submission": ids.new("sub"),
        "name": "Acme Two",
        "default_link_direction": "SEND",
        "pay_requests": ["SANDBOX"],
        **more,
    }


@pytest.fixture
def owner(acme):
    return world.browser(world.make_member(acme, "OWNER"))


class TestSettings:
    @pytest.mark.parametrize("role", ["OWNER", "ADMIN"])
    @pytest.mark.parametrize("environment", ["sandbox", "production"])
    def test_are_changed_by_owners_and_admins(self, acme, role, environment):
        browser = world.browser(world.make_member(acme, role))

        answer = browser.post(url(acme, environment), asked())

        acme.refresh_from_db()
        assert (answer.status_code, answer.url) == (303, url(acme, environment))
        assert (acme.name, acme.default_link_direction) == ("Acme Two", "SEND")
        assert len(world.facts_of(acme, "organization.updated", environment.upper())) == 2

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_are_only_read_by_others(self, acme, role):
        browser = world.browser(world.make_member(acme, role))

        html = browser.get(url(acme)).content.decode()

        assert "Acme" in html
        assert 'name="default_link_direction"' not in html
        assert browser.post(url(acme), asked()).status_code == 403
        acme.refresh_from_db()
        assert acme.name == "Acme"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", " "),
            ("name", "w" * 257),
            ("default_link_direction", "BOTH"),
            ("default_link_direction", ""),
            ("pay_requests", ["MOON"]),
        ],
    )
    def test_say_beside_the_field_what_is_wrong(self, acme, owner, field, value):
        answer = owner.post(url(acme), asked(**{field: value}))

        assert answer.status_code == 422
        assert f'id="id_{field}_error"' in answer.content.decode()
        acme.refresh_from_db()
        assert (acme.name, acme.default_link_direction) == ("Acme", "RECEIVE")

    @pytest.mark.parametrize(
        ("chosen", "told"),
        [
            ([], "Not accepted"),
            (["SANDBOX"], "Accepted in the sandbox<"),
            (["PRODUCTION"], "Accepted in production<"),
            (["SANDBOX", "PRODUCTION"], "Accepted in the sandbox and in production<"),
        ],
    )
    def test_say_where_strangers_may_ask_to_be_paid(self, acme, owner, chosen, told):
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        boxes = owner.get(url(acme)).content.decode().count(" checked")

        answer = owner.post(url(acme), asked(pay_requests=chosen))

        acme.refresh_from_db()
        assert (boxes, answer.status_code) == (2, 303), "one direction, and the sandbox"
        accepts = approvals.organization_accepts_pay_requests
        assert [place for place in ("SANDBOX", "PRODUCTION") if accepts(acme, place)] == chosen
        assert told in viewer.get(url(acme)).content.decode()
        changes = [fact.data["changes"] for fact in world.facts_of(acme, "organization.updated")]
        said = {"sandbox": "SANDBOX" in chosen, "production": "PRODUCTION" in chosen}
        assert ({"acceptsPayRequests": said} in changes) == (chosen != ["SANDBOX"])

    def test_show_a_hostile_name_as_text(self, acme, owner):
        owner.post(url(acme), asked(name=NASTY))

        html = owner.get(url(acme)).content.decode()

        assert escape(NASTY) in html
        assert "<script>alert" not in html

    def test_tell_how_far_production_is(self, acme, owner):
        waiting = owner.get(url(acme)).content.decode()
        world.activate_production(acme)
        active = owner.get(url(acme)).content.decode()
        Organization.objects.filter(pk=acme.pk).update(plan="FREE", production_activated_at=None)
        without = owner.get(url(acme)).content.decode()

        assert "Not activated yet" in waiting
        assert "Active since" in active
        assert "does not include production" in without

    def test_send_strangers_away_and_guests_to_sign_in(self, acme, globex, client):
        stranger = world.browser(world.make_member(globex))

        assert stranger.get(url(acme)).status_code == 404
        assert stranger.post(url(acme), asked()).status_code == 404
        assert client.post(url(acme), asked()).url.endswith(f"?next={url(acme)}")


class TestNew:
    @pytest.fixture
    def newcomer(self, db):
        """Somebody who belongs nowhere yet."""
        return User.objects.create_user(email="new@x.example")

    def test_is_offered_to_who_has_none(self, newcomer):
        browser = world.browser(newcomer)

        assert browser.get("/").url == NEW
        assert browser.get(NEW).status_code == 200

    def test_makes_its_founder_the_owner(self, newcomer):
        answer = world.browser(newcomer).post(NEW, asked(name="Initech"))

        made = Organization.objects.get()
        assert (answer.status_code, answer.url) == (302, f"/{made.id}/sandbox/")
        assert (made.name, made.email) == ("Initech", "new@x.example")
        assert Membership.objects.get(user=newcomer).role == "OWNER"
        assert made.wallets.count() == 2

    def test_twice_is_once(self, newcomer):
        browser, form = world.browser(newcomer), asked()

        first, again = browser.post(NEW, form), browser.post(NEW, form)

        assert first.url == again.url
        assert Organization.objects.count() == 1

    def test_racing_clicks_make_one(self, transactional_db):
        user, form = User.objects.create_user(email="new@x.example"), asked()

        answers = world.in_parallel(4, lambda _: world.browser(user).post(NEW, form))

        assert len({answer.url for answer in answers}) == 1
        assert Organization.objects.count() == 1

    def test_changed_resubmit_is_refused_with_words(self, newcomer):
        browser, form = world.browser(newcomer), asked()
        browser.post(NEW, form)

        answer = browser.post(NEW, form | {"name": "Other"})

        assert answer.status_code == 422
        assert "You sent this form before" in answer.content.decode()
        assert Organization.objects.count() == 1

    def test_another_persons_key_is_another(self, newcomer, acme):
        form = asked()
        world.browser(newcomer).post(NEW, form)

        other = world.browser(world.make_member(acme)).post(NEW, form)

        assert other.status_code == 302
        assert Organization.objects.count() == 3

    @pytest.mark.parametrize("name", ["", " ", "w" * 257, "a\0b"])
    def test_needs_a_name(self, newcomer, name):
        answer = world.browser(newcomer).post(NEW, asked(name=name))

        assert answer.status_code == 422
        assert not Organization.objects.exists()

    def test_takes_its_time(self, newcomer):
        browser = world.browser(newcomer)

        answers = [browser.post(NEW, asked()) for _ in range(6)]

        assert [answer.status_code for answer in answers] == [302] * 5 + [422]
        assert Organization.objects.count() == 5

    def test_needs_somebody_signed_in(self, client, db):
        for answer in (client.get(NEW), client.post(NEW, asked())):
            assert answer.status_code == 302
            assert answer.url.endswith(f"?next={NEW}")
        assert not Organization.objects.exists()
