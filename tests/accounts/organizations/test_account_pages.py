"""Pages of the user's account lie in the dashboard of the organization viewed last."""

import pytest
from allauth.usersessions.models import UserSession

from accounts.organizations.models import User
from tests import world

PAGES = [
    "/account/email/",
    "/account/password/set/",
    "/account/2fa/",
    "/account/sessions/",
    "/account/appearance",
    "/account/logout/",
]
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("role", ["OWNER", "VIEWER"])
def test_page_has_the_navigation_of_the_dashboard(acme, role, path):
    browser = world.browser(world.make_member(acme, role))

    html = browser.get(path).content.decode()

    assert f'href="/{acme.id}/sandbox/wallets"' in html
    assert f'href="/{acme.id}/sandbox/settings"' in html
    assert 'aria-label="Settings"' in html


def test_page_stays_in_the_environment_viewed_last(acme):
    browser = world.browser(world.make_member(acme, "OWNER"))
    browser.get(f"/{acme.id}/production/")

    html = browser.get("/account/email/").content.decode()

    assert 'data-environment="PRODUCTION"' in html
    assert f'href="/{acme.id}/production/wallets"' in html


def test_former_member_sees_nothing_of_the_organization(acme):
    user = world.make_member(acme, "MEMBER")
    browser = world.browser(user)
    browser.get(f"/{acme.id}/sandbox/")
    acme.memberships.get(user=user).delete()

    for path in PAGES:
        answer = browser.get(path)
        assert answer.status_code == 200
        assert acme.id not in answer.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_page_opens_without_an_organization(path):
    browser = world.browser(User.objects.create_user("new@example.com"))

    answer = browser.get(path)

    assert answer.status_code == 200
    assert 'class="rail"' not in answer.content.decode()


@pytest.mark.parametrize("path", PAGES[:-1])
def test_guests_are_asked_to_sign_in(client, path):
    answer = client.get(path)

    assert answer.status_code == 302
    assert answer.url.startswith("/account/login/")


@pytest.mark.parametrize("path", PAGES)
def test_page_is_not_cached(acme, path):
    browser = world.browser(world.make_member(acme, "OWNER"))

    assert "no-store" in browser.get(path).headers["Cache-Control"]


def test_sessions_are_named_by_browser_and_system(acme):
    user = world.make_member(acme, "OWNER")
    browser = world.browser(user)
    for key in (browser.session.session_key, "another"):
        UserSession.objects.create(
            user=user, session_key=key, ip="192.0.2.1", user_agent=CHROME, data={}
        )

    html = browser.get("/account/sessions/", headers={"user-agent": CHROME}).content.decode()

    assert "Chrome on Linux · this device" in html
    assert CHROME not in html


class TestLockedProduction:
    @pytest.mark.parametrize(
        ("contact", "shown"),
        [
            ("help@example.com", '<a href="mailto:help@example.com">help@example.com</a>'),
            ("https://example.com/help", '<a href="https://example.com/help">'),
            ("", "Contact the administrator of this server"),
        ],
    )
    def test_every_page_names_whom_to_ask(self, settings, acme, contact, shown):
        settings.SUPPORT_CONTACT = contact
        browser = world.browser(world.make_member(acme, "VIEWER"))

        for page in ("", "payments", "settings"):
            html = browser.get(f"/{acme.id}/production/{page}").content.decode()
            assert shown in html
            assert "Production is not activated yet." in html
        assert "is not activated yet" not in browser.get(f"/{acme.id}/sandbox/").content.decode()

    def test_active_production_has_no_bar(self, acme):
        world.activate_production(acme)
        browser = world.browser(world.make_member(acme, "OWNER"))

        assert 'class="bar' not in browser.get(f"/{acme.id}/production/").content.decode()
