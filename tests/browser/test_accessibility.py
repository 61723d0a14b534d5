"""axe finds nothing on any page, on a phone or a desk, in the light or the dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

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
def home(site):
    """An organization with some of everything, and its owner's session."""
    return site.ask("household")


@pytest.fixture
def look(visit, home):
    """Look at a path in every way, and say what axe finds."""

    def at(path: str, *, signed_in: bool) -> list[str]:
        found = []
        for dark in (False, True):
            person = visit(dark=dark)
            if signed_in:
                person.context.add_cookies(
                    [{"name": "sessionid", "value": home["session"], "url": person.origin}]
                )
            page = person.go(home.get(path, path))
            for width, height in (DESKTOP, PHONE):
                page.set_viewport_size({"width": width, "height": height})
                where = f"{width}px, {'dark' if dark else 'light'}"
                if person.is_wider_than_its_screen():
                    found.append(f"{where}: wider than its screen")
                found += [f"{where}: {line}" for line in _violations(page)]
        return found

    return at


def _violations(page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for violation in axe.run(page).response["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_page_of_the_dashboard(page, look, home):
    assert look(home["pages"][page.name], signed_in=True) == []


@pytest.mark.parametrize("name", IN_PUBLIC)
def test_every_page_for_strangers(name, look):
    assert look(IN_PUBLIC[name], signed_in=False) == []


@pytest.mark.parametrize("name", SIGNED_IN)
def test_every_page_about_oneself(name, look):
    assert look(SIGNED_IN[name], signed_in=True) == []
