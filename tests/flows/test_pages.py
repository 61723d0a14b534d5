"""What every page of the dashboard promises: who may see it, and what it never does."""

import re

import pytest

from accounts.organizations.models import ApiKey, Organization, User
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from links.payment_links.models import PaymentLink
from tests import pages, world
from tests.pages import PAGES, ROLES, things_of
from tests.world import everything

HOSTILE = '<script>alert("1")</script> שלום 🦉 ' + "w" * 150

OF_ONE_THING = [page for page in PAGES if page.id]
WITH_FORM = [page for page in PAGES if page.sent_by]
NO_IDS = ["x", "wal_1", "..", "%00", "wal_" + "Z" * 26, "0" * 200]


@pytest.fixture
def things(acme):
    return things_of(acme)


@pytest.fixture
def browser_of(acme):
    """The browser of a new member with a role."""
    return lambda role: world.browser(world.make_member(acme, role))


def test_table_names_every_page_that_is_served():
    assert pages.served() == {page.name for page in PAGES}


class TestEveryPage:
    def test_opens_for_the_roles_that_may_and_no_other(self, subtests, acme, things, browser_of):
        browsers = {role: browser_of(role) for role in ROLES}

        for page in PAGES:
            with subtests.test(str(page)):
                url = page.url(acme, things)
                answers = {role: browsers[role].get(url).status_code for role in ROLES}
                assert answers == {role: 200 if page.may_open(role) else 403 for role in ROLES}

    def test_does_not_exist_for_a_stranger(self, subtests, acme, globex, things):
        browser = world.browser(world.make_member(globex, "OWNER"))
        before = everything()

        for page in PAGES:
            with subtests.test(str(page)):
                url = page.url(acme, things)
                assert browser.get(url).status_code == 404
                assert browser.post(url).status_code == (404 if page.sent_by else 405)
                assert everything() == before

    def test_asks_whoever_is_signed_out_to_sign_in_and_comes_back(
        self, subtests, acme, things, client
    ):
        before = everything()

        for page in PAGES:
            with subtests.test(str(page)):
                for send in (client.get, client.post) if page.sent_by else (client.get,):
                    answer = send(page.url(acme, things))
                    assert answer.status_code == 302
                    assert answer.url.endswith(f"?next={page.url(acme, things)}")
                assert everything() == before

    def test_is_kept_nowhere_and_runs_nothing_from_elsewhere(
        self, subtests, acme, things, browser_of
    ):
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                answer = browser.get(page.url(acme, things))
                assert "no-store" in answer.headers["Cache-Control"]
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Frame-Options"] == "DENY"

    def test_shows_hostile_text_as_text(self, subtests, acme, things, browser_of):
        for model in (Organization, Wallet, User, ApiKey):
            model.objects.update(name=HOSTILE)
        Wallet.objects.update(agent_name=HOSTILE)
        Payment.objects.update(description=HOSTILE)
        PaymentLink.objects.update(description=HOSTILE)
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                html = browser.get(page.url(acme, things)).content.decode()
                assert "<script>alert" not in html
                assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", html)

    def test_takes_the_same_few_queries_however_much_there_is(
        self, subtests, acme, things, browser_of, django_assert_max_num_queries
    ):
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                browser.get(page.url(acme, things))
                with django_assert_max_num_queries(22):
                    browser.get(page.url(acme, things))


class TestEveryForm:
    def test_is_refused_to_the_roles_below(self, subtests, acme, things, browser_of):
        browsers = {role: browser_of(role) for role in ROLES}
        before = everything()

        for page in WITH_FORM:
            with subtests.test(str(page)):
                for role in ROLES:
                    if not page.may_send(role):
                        assert browsers[role].post(page.url(acme, things), {}).status_code == 403
                assert everything() == before

    @pytest.mark.parametrize("page", WITH_FORM, ids=str)  # each may do what it is there for
    def test_is_open_to_the_role_from_there(self, page, acme, things, browser_of):
        answer = browser_of(page.sent_by).post(page.url(acme, things), {})

        assert answer.status_code in (302, 303, 422)  # done, or told what is missing

    def test_without_its_token_does_nothing(self, subtests, acme, things):
        browser = world.browser(world.make_member(acme, "OWNER"), enforce_csrf_checks=True)
        before = everything()

        for page in WITH_FORM:
            with subtests.test(str(page)):
                answer = browser.post(page.url(acme, things), {})
                assert answer.status_code == 403
                assert "Go back, reload" in answer.content.decode()
                assert everything() == before


class TestEveryPageOfOneThing:
    def test_does_not_show_what_a_stranger_owns(self, subtests, acme, globex, browser_of):
        foreign, browser = things_of(globex), browser_of("OWNER")

        for page in OF_ONE_THING:
            with subtests.test(str(page)):
                assert browser.get(page.url(acme, foreign)).status_code == 404

    def test_does_not_stumble_over_an_id_that_is_none(self, subtests, acme, browser_of):
        browser = browser_of("OWNER")

        for page in OF_ONE_THING:
            with subtests.test(str(page)):
                for id in NO_IDS:
                    assert browser.get(page.url(acme, {page.id: id})).status_code == 404

    def test_does_not_show_what_the_other_environment_holds(
        self, subtests, acme, things, browser_of
    ):
        browser, of_both = browser_of("OWNER"), ("membership", "invitation")

        for page in (page for page in OF_ONE_THING if page.id not in of_both):
            with subtests.test(str(page)):
                assert browser.get(page.url(acme, things, "PRODUCTION")).status_code == 404
