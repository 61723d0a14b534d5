"""axe finds nothing on any page, on a phone or a desk, in the light or the dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests import browser as browsers
from tests.browser import DESKTOP, PHONE
from tests.pages import PAGES

axe = Axe()

# Pages outside the dashboard: a path, or the word for one in the household.
IN_PUBLIC = {
    "sign in": "/account/login/",
    "sign up": "/account/signup/",
    "forgotten password": "/account/password/reset/",
    "nothing here": "/nothing-here",
    "a link that pays": "pay",
    "a link that asks": "ask",
    "a link for one person": "restricted",
    "a link that is used": "used",
    "a link that expired": "expired",
    "a link that was cancelled": "cancelled",
    "an invitation": "invitation",
}
SIGNED_IN = {
    "e-mail addresses": "/account/email/",
    "new password": "/account/password/change/",
    "second factors": "/account/2fa/",
    "new organization": "/organizations/new",
    "an invitation": "invitation",
    "every component": "/design",
}


@pytest.fixture(scope="module")
def stranger(chromium, site):
    """A browser in which nobody is signed in."""
    with browsers.visit(chromium, site.origin, reduced_motion="reduce") as visit:
        yield visit


@pytest.fixture(scope="module")
def owner(chromium, site, home):
    """A browser in which the owner is signed in."""
    with browsers.visit(chromium, site.origin, reduced_motion="reduce") as visit:
        visit.context.add_cookies(
            [{"name": "sessionid", "value": home["session"], "url": site.origin}]
        )
        yield visit


def look(visit, path: str) -> list[str]:
    """What is wrong with a page, in each of the ways to look at it."""
    page, found = visit.page, []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        visit.go(path)  # anew: axe must not measure colours on their way
        for width, height in (DESKTOP, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            here = [f"{width}px, {theme}: {line}" for line in _violations(page)]
            if visit.is_wider_than_its_screen():
                here.append(f"{width}px, {theme}: wider than its screen")
            found += here
    return found


def _violations(page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for violation in axe.run(page).response["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_page_of_the_dashboard(page, owner, home):
    assert look(owner, home["pages"][page.name]) == []


@pytest.mark.parametrize("name", IN_PUBLIC)
def test_every_page_for_strangers(name, stranger, home):
    assert look(stranger, home.get(IN_PUBLIC[name], IN_PUBLIC[name])) == []


@pytest.mark.parametrize("name", SIGNED_IN)
def test_every_page_about_oneself(name, owner, home):
    assert look(owner, home.get(SIGNED_IN[name], SIGNED_IN[name])) == []
