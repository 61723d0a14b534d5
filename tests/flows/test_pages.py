"""Rules for every page of the dashboard: access, headers, escaping and queries."""

import re

import pytest

from accounts.organizations.models import ApiKey, Organization, User
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from links.payment_links.models import PaymentLink
from tests import pages, world
from tests.links.pay_page.visiting import sent_by_our_server
from tests.pages import PAGES, ROLES, object_ids
from tests.world import everything

HOSTILE = '<script>alert("1")</script> שלום 🦉 ' + "w" * 150

OBJECT_PAGES = [page for page in PAGES if page.id]
FORM_PAGES = [page for page in PAGES if page.sent_by]
MALFORMED_IDS = ["x", "wal_1", "..", "%00", "wal_" + "Z" * 26, "0" * 200]


@pytest.fixture
def ids(acme):
    return object_ids(acme)


@pytest.fixture
def browser_of(acme):
    """The browser of a new member with a role."""
    return lambda role: world.browser(world.make_member(acme, role))


def test_table_lists_every_page():
    assert pages.served() == {page.name for page in PAGES}


class TestEveryPage:
    def test_opens_only_for_allowed_roles(self, subtests, acme, ids, browser_of):
        browsers = {role: browser_of(role) for role in ROLES}

        for page in PAGES:
            with subtests.test(str(page)):
                url = page.url(acme, ids)
                answers = {role: browsers[role].get(url).status_code for role in ROLES}
                assert answers == {role: 200 if page.may_open(role) else 403 for role in ROLES}

    def test_is_not_found_for_strangers(self, subtests, acme, globex, ids):
        browser = world.browser(world.make_member(globex, "OWNER"))
        before = everything()

        for page in PAGES:
            with subtests.test(str(page)):
                url = page.url(acme, ids)
                assert browser.get(url).status_code == 404
                assert browser.post(url).status_code == (404 if page.sent_by else 405)
                assert everything() == before

    def test_redirects_guests_to_sign_in_and_back(self, subtests, acme, ids, client):
        before = everything()

        for page in PAGES:
            with subtests.test(str(page)):
                for send in (client.get, client.post) if page.sent_by else (client.get,):
                    answer = send(page.url(acme, ids))
                    assert answer.status_code == 302
                    assert answer.url.endswith(f"?next={page.url(acme, ids)}")
                assert everything() == before

    def test_is_not_cached_and_has_a_strict_content_security_policy(
        self, subtests, acme, ids, browser_of
    ):
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                answer = browser.get(page.url(acme, ids))
                assert "no-store" in answer.headers["Cache-Control"]
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Frame-Options"] == "DENY"

    def test_escapes_hostile_text(self, subtests, acme, ids, browser_of):
        for model in (Organization, Wallet, User, ApiKey):
            model.objects.update(name=HOSTILE)
        Wallet.objects.update(agent_name=HOSTILE)
        Payment.objects.update(description=HOSTILE)
        PaymentLink.objects.update(description=HOSTILE)
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                html = browser.get(page.url(acme, ids)).content.decode()
                assert "<script>alert" not in html
                assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", html)

    def test_declares_its_section(self, subtests, acme, ids, browser_of):
        """The navigation marks one section as current."""
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                html = browser.get(page.url(acme, ids)).content.decode()
                menus = re.findall(r'<nav class="rail".*?</nav>', html, flags=re.S)
                assert [menu.count('aria-current="page"') for menu in menus] == [1] or (
                    page.name == "payment-link-print"  # a sheet of paper, without navigation
                )

    def test_has_at_most_one_primary_action(self, subtests, acme, ids, browser_of):
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                html = browser.get(page.url(acme, ids)).content.decode()
                outside_dialogs = re.sub(r"<dialog.*?</dialog>", "", html, flags=re.S)
                assert outside_dialogs.count("btn-primary") <= 1

    def test_page_and_assets_take_140_kilobytes(self, subtests, acme, ids, browser_of):
        """Measured as compressed by our server."""
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                html = browser.get(page.url(acme, ids)).content
                paths = re.findall(r'(?:href|src)="(/static/[^"?]+)', html.decode())
                assert len(html) + sum(len(sent_by_our_server(path)) for path in paths) <= 140_000

    def test_takes_at_most_22_queries(
        self, subtests, acme, ids, browser_of, django_assert_max_num_queries
    ):
        browser = browser_of("OWNER")

        for page in PAGES:
            with subtests.test(str(page)):
                browser.get(page.url(acme, ids))
                with django_assert_max_num_queries(22):
                    browser.get(page.url(acme, ids))


class TestEveryForm:
    def test_is_refused_to_lower_roles(self, subtests, acme, ids, browser_of):
        browsers = {role: browser_of(role) for role in ROLES}
        before = everything()

        for page in FORM_PAGES:
            with subtests.test(str(page)):
                for role in ROLES:
                    if not page.may_send(role):
                        assert browsers[role].post(page.url(acme, ids), {}).status_code == 403
                assert everything() == before

    @pytest.mark.parametrize(
        "page", FORM_PAGES, ids=str
    )  # one test each, because a form may succeed
    def test_is_allowed_to_the_lowest_role(self, page, acme, ids, browser_of):
        answer = browser_of(page.sent_by).post(page.url(acme, ids), {})

        assert answer.status_code in (302, 303, 422)  # accepted, or invalid input

    def test_without_csrf_token_does_nothing(self, subtests, acme, ids):
        browser = world.browser(world.make_member(acme, "OWNER"), enforce_csrf_checks=True)
        before = everything()

        for page in FORM_PAGES:
            with subtests.test(str(page)):
                answer = browser.post(page.url(acme, ids), {})
                assert answer.status_code == 403
                assert "Go back, reload" in answer.content.decode()
                assert everything() == before


class TestEveryObjectPage:
    def test_object_of_another_organization_is_not_found(self, subtests, acme, globex, browser_of):
        foreign, browser = object_ids(globex), browser_of("OWNER")

        for page in OBJECT_PAGES:
            with subtests.test(str(page)):
                assert browser.get(page.url(acme, foreign)).status_code == 404

    def test_malformed_id_is_not_found(self, subtests, acme, browser_of):
        browser = browser_of("OWNER")

        for page in OBJECT_PAGES:
            with subtests.test(str(page)):
                for id in MALFORMED_IDS:
                    assert browser.get(page.url(acme, {page.id: id})).status_code == 404

    def test_object_of_the_other_environment_is_not_found(self, subtests, acme, ids, browser_of):
        browser, shared = browser_of("OWNER"), ("membership", "invitation")

        for page in (page for page in OBJECT_PAGES if page.id not in shared):
            with subtests.test(str(page)):
                assert browser.get(page.url(acme, ids, "PRODUCTION")).status_code == 404
