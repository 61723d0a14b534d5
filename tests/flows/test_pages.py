"""What every page of the dashboard promises: who may see it, and what it never does."""

import re

import pytest

from accounts.models import ApiKey, Organization, Payment, User, Wallet
from links.models import PaymentLink
from tests import pages, world
from tests.pages import PAGES, ROLES, things_of
from tests.world import everything

HOSTILE = '<script>alert("1")</script> שלום 🦉 ' + "w" * 150

each_page = pytest.mark.parametrize("page", PAGES, ids=str)
with_id = pytest.mark.parametrize("page", [page for page in PAGES if page.id], ids=str)
of_one_environment = pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.id and page.id not in ("membership", "invitation")],
    ids=str,
)
with_form = pytest.mark.parametrize("page", [page for page in PAGES if page.sent_by], ids=str)
each_role = pytest.mark.parametrize("role", ROLES)


@pytest.fixture
def things(acme):
    return things_of(acme)


@pytest.fixture
def browser_of(acme):
    """The browser of a new member with a role."""
    return lambda role: world.browser(world.make_member(acme, role))


def test_table_names_every_page_that_is_served():
    assert pages.served() == {page.name for page in PAGES}


@each_page
class TestEveryPage:
    def test_opens_for_the_roles_that_may_and_no_other(self, page, acme, things, browser_of):
        answers = {role: browser_of(role).get(page.url(acme, things)).status_code for role in ROLES}

        assert answers == {role: 200 if page.may_open(role) else 403 for role in ROLES}

    def test_does_not_exist_for_a_stranger(self, page, acme, globex, things):
        browser = world.browser(world.make_member(globex, "OWNER"))
        before = everything()

        assert browser.get(page.url(acme, things)).status_code == 404
        assert browser.post(page.url(acme, things)).status_code == (404 if page.sent_by else 405)
        assert everything() == before

    def test_asks_whoever_is_signed_out_to_sign_in_and_comes_back(self, page, acme, things, client):
        before = everything()

        for send in (client.get, client.post) if page.sent_by else (client.get,):
            answer = send(page.url(acme, things))
            assert answer.status_code == 302
            assert answer.url.endswith(f"?next={page.url(acme, things)}")
        assert everything() == before

    def test_is_kept_nowhere_and_runs_nothing_from_elsewhere(self, page, acme, things, browser_of):
        answer = browser_of("OWNER").get(page.url(acme, things))

        assert "no-store" in answer.headers["Cache-Control"]
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Frame-Options"] == "DENY"

    def test_shows_hostile_text_as_text(self, page, acme, things, browser_of):
        for model in (Organization, Wallet, User, ApiKey):
            model.objects.update(name=HOSTILE)
        Wallet.objects.update(agent_name=HOSTILE)
        Payment.objects.update(description=HOSTILE)
        PaymentLink.objects.update(description=HOSTILE)

        html = browser_of("OWNER").get(page.url(acme, things)).content.decode()

        assert "<script>alert" not in html
        assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", html)

    def test_takes_the_same_few_queries_however_much_there_is(
        self, page, acme, things, browser_of, django_assert_max_num_queries
    ):
        browser = browser_of("OWNER")
        browser.get(page.url(acme, things))

        with django_assert_max_num_queries(22):
            browser.get(page.url(acme, things))


@with_form
class TestEveryForm:
    def test_is_refused_to_the_roles_below(self, page, acme, things, browser_of):
        browsers = {role: browser_of(role) for role in ROLES if not page.may_send(role)}
        before = everything()

        for browser in browsers.values():
            assert browser.post(page.url(acme, things), {}).status_code == 403
        assert everything() == before

    def test_is_open_to_the_role_from_there(self, page, acme, things, browser_of):
        answer = browser_of(page.sent_by).post(page.url(acme, things), {})

        assert answer.status_code in (302, 303, 422)  # done, or told what is missing

    def test_without_its_token_does_nothing(self, page, acme, things):
        user = world.make_member(acme, "OWNER")
        browser = world.browser(user, enforce_csrf_checks=True)
        before = everything()

        answer = browser.post(page.url(acme, things), {})

        assert answer.status_code == 403
        assert "Go back, reload" in answer.content.decode()
        assert everything() == before


@with_id
class TestEveryPageOfOneThing:
    def test_does_not_show_what_a_stranger_owns(self, page, acme, globex, things, browser_of):
        foreign = things_of(globex)

        assert browser_of("OWNER").get(page.url(acme, foreign)).status_code == 404

    @pytest.mark.parametrize("id", ["x", "wal_1", "..", "%00", "wal_" + "Z" * 26, "0" * 200])
    def test_does_not_stumble_over_an_id_that_is_none(self, page, acme, id, browser_of):
        assert browser_of("OWNER").get(page.url(acme, {page.id: id})).status_code == 404


@of_one_environment
def test_a_page_does_not_show_what_the_other_environment_holds(page, acme, things, browser_of):
    assert browser_of("OWNER").get(page.url(acme, things, "PRODUCTION")).status_code == 404
