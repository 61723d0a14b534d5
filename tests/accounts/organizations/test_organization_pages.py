"""Dashboard pages of organizations: settings and creation."""

import pytest
from django.utils.html import escape

from accounts.organizations.models import Membership, Organization, User
from accounts.organizations.services import organizations
from tests import world
from wallgent import ids

NASTY = "<script>alert(1)</script> ‮שלום 🦉"
NEW = "/organizations/new"


def url(organization, environment="sandbox"):
    return f"/{organization.id}/{environment}/settings"


def form_data(**more):
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
    def test_owners_and_admins_change_them(self, acme, role, environment):
        browser = world.browser(world.make_member(acme, role))

        answer = browser.post(url(acme, environment), form_data())

        acme.refresh_from_db()
        assert (answer.status_code, answer.url) == (303, url(acme, environment))
        assert (acme.name, acme.default_link_direction) == ("Acme Two", "SEND")
        assert len(world.events_of(acme, "organization.updated", environment.upper())) == 2

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_other_roles_only_read_them(self, acme, role):
        browser = world.browser(world.make_member(acme, role))

        html = browser.get(url(acme)).content.decode()

        assert "Acme" in html
        assert 'name="default_link_direction"' not in html
        assert browser.post(url(acme), form_data()).status_code == 403
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
    def test_invalid_input_is_reported_at_its_field(self, acme, owner, field, value):
        answer = owner.post(url(acme), form_data(**{field: value}))

        assert answer.status_code == 422
        assert f'id="id_{field}_error"' in answer.content.decode()
        acme.refresh_from_db()
        assert (acme.name, acme.default_link_direction) == ("Acme", "RECEIVE")

    @pytest.mark.parametrize(
        ("chosen", "text"),
        [
            ([], "Not accepted"),
            (["SANDBOX"], "Accepted in the sandbox<"),
            (["PRODUCTION"], "Accepted in production<"),
            (["SANDBOX", "PRODUCTION"], "Accepted in the sandbox and in production<"),
        ],
    )
    def test_pay_requests_are_accepted_where_chosen(self, acme, owner, chosen, text):
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        boxes = owner.get(url(acme)).content.decode().count(" checked")

        answer = owner.post(url(acme), form_data(pay_requests=chosen))

        acme.refresh_from_db()
        assert (boxes, answer.status_code) == (2, 303), "one direction, and the sandbox"
        accepts = organizations.accepts_pay_requests
        assert [name for name in ("SANDBOX", "PRODUCTION") if accepts(acme, name)] == chosen
        assert text in viewer.get(url(acme)).content.decode()
        changes = [event.data["changes"] for event in world.events_of(acme, "organization.updated")]
        accepted = {"sandbox": "SANDBOX" in chosen, "production": "PRODUCTION" in chosen}
        assert ({"acceptsPayRequests": accepted} in changes) == (chosen != ["SANDBOX"])

    def test_hostile_name_is_shown_as_text(self, acme, owner):
        owner.post(url(acme), form_data(name=NASTY))

        html = owner.get(url(acme)).content.decode()

        assert escape(NASTY) in html
        assert "<script>alert" not in html

    def test_activation_of_production_is_shown(self, acme, owner):
        waiting = owner.get(url(acme)).content.decode()
        world.activate_production(acme)
        active = owner.get(url(acme)).content.decode()
        Organization.objects.filter(pk=acme.pk).update(plan="FREE", production_activated_at=None)
        without = owner.get(url(acme)).content.decode()

        assert "Not activated yet" in waiting
        assert "Active since" in active
        assert "does not include production" in without

    def test_strangers_get_404_and_guests_are_redirected_to_sign_in(self, acme, globex, client):
        stranger = world.browser(world.make_member(globex))

        assert stranger.get(url(acme)).status_code == 404
        assert stranger.post(url(acme), form_data()).status_code == 404
        assert client.post(url(acme), form_data()).url.endswith(f"?next={url(acme)}")


class TestNewOrganization:
    @pytest.fixture
    def newcomer(self, db):
        """A user without any organization."""
        return User.objects.create_user(email="new@x.example")

    def test_is_offered_to_users_without_one(self, newcomer):
        browser = world.browser(newcomer)

        assert browser.get("/").url == NEW
        assert browser.get(NEW).status_code == 200

    def test_creator_becomes_the_owner(self, newcomer):
        answer = world.browser(newcomer).post(NEW, form_data(name="Initech"))

        organization = Organization.objects.get()
        assert (answer.status_code, answer.url) == (302, f"/{organization.id}/sandbox/")
        assert (organization.name, organization.email) == ("Initech", "new@x.example")
        assert Membership.objects.get(user=newcomer).role == "OWNER"
        assert organization.wallets.count() == 2

    def test_repeated_form_creates_one(self, newcomer):
        browser, form = world.browser(newcomer), form_data()

        first, again = browser.post(NEW, form), browser.post(NEW, form)

        assert first.url == again.url
        assert Organization.objects.count() == 1

    def test_concurrent_clicks_create_one(self, transactional_db):
        user, form = User.objects.create_user(email="new@x.example"), form_data()

        answers = world.in_parallel(4, lambda _: world.browser(user).post(NEW, form))

        assert len({answer.url for answer in answers}) == 1
        assert Organization.objects.count() == 1

    def test_changed_resubmit_is_refused(self, newcomer):
        browser, form = world.browser(newcomer), form_data()
        browser.post(NEW, form)

        answer = browser.post(NEW, form | {"name": "Other"})

        assert answer.status_code == 422
        assert "You sent this form before" in answer.content.decode()
        assert Organization.objects.count() == 1

    def test_same_key_of_another_user_creates_another(self, newcomer, acme):
        form = form_data()
        world.browser(newcomer).post(NEW, form)

        other = world.browser(world.make_member(acme)).post(NEW, form)

        assert other.status_code == 302
        assert Organization.objects.count() == 3

    @pytest.mark.parametrize("name", ["", " ", "w" * 257, "a\0b"])
    def test_requires_a_name(self, newcomer, name):
        answer = world.browser(newcomer).post(NEW, form_data(name=name))

        assert answer.status_code == 422
        assert not Organization.objects.exists()

    def test_is_limited_to_five_per_minute(self, newcomer):
        browser = world.browser(newcomer)

        answers = [browser.post(NEW, form_data()) for _ in range(6)]

        assert [answer.status_code for answer in answers] == [302] * 5 + [422]
        assert Organization.objects.count() == 5

    def test_requires_sign_in(self, client, db):
        for answer in (client.get(NEW), client.post(NEW, form_data())):
            assert answer.status_code == 302
            assert answer.url.endswith(f"?next={NEW}")
        assert not Organization.objects.exists()
