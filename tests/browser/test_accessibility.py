"""axe finds nothing on any page, on a phone or a desk, in the light or the dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests import browser as browsers
from tests.browser import DESKTOP, PHONE
from tests.pages import PAGES

_AXE = Axe().axe_script
# Once in a document, and without an account of all that is right.
_RUN = "axe.run(document, {resultTypes: ['violations']}).then(result => result.violations)"
# Axe must not measure colours on their way, which they begin with the next frame.
_SETTLE = """new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
    .then(() => Promise.allSettled(
        document.getAnimations()
            .filter((one) => one.effect.getComputedTiming().endTime < Infinity)
            .map((one) => one.finished)
    ))"""

NARROW = 320  # pixels; WCAG 2.2 asks for no sideways scrolling down to here (1.4.10)

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
    "sessions": "/account/sessions/",
    "appearance": "/account/appearance",
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
    """What is wrong with a page, in each of the ways to look at it; "" is the one shown now."""
    page, found = visit.page, []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # no color on its way
        if path:
            visit.go(path)
        for width, height in (DESKTOP, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            here = [f"{width}px, {theme}: {line}" for line in _violations(page)]
            if visit.is_wider_than_its_screen():
                here.append(f"{width}px, {theme}: wider than its screen")
            found += here
        page.set_viewport_size({"width": NARROW, "height": 740})
        if visit.is_wider_than_its_screen():
            found.append(f"{NARROW}px, {theme}: wider than its screen")
    return found


def _violations(page) -> list[str]:
    if page.evaluate("!window.axe"):
        page.evaluate(_AXE)
    page.evaluate(_SETTLE)
    return [
        f"{violation['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for violation in page.evaluate(_RUN)
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


@pytest.mark.parametrize("path", ["", "accounts/organization/", "accounts/wallet/?q=x"])
def test_links_and_targets_of_the_admin(path, chromium, site, home):
    """The rules that Django's own admin breaks, apart from what we do not change in it."""
    rules = "{runOnly: ['link-in-text-block', 'target-size']}"
    cookie = {"name": "sessionid", "value": site.call("superuser_session"), "url": site.origin}
    with browsers.visit(chromium, site.origin, screen=PHONE) as visit:
        visit.context.add_cookies([cookie])
        page = visit.go(f"/admin/{path}")
        page.evaluate(_AXE)
        found = page.evaluate(f"axe.run(document, {rules}).then(result => result.violations)")
    assert [violation["id"] for violation in found] == []


def press(page, name):
    page.get_by_role("button", name=name).click()
    page.wait_for_load_state()


class TestPagesOnTheWay:
    """What only a form leads to: what it got wrong, a last look, what is shown once."""

    def test_of_a_payment(self, owner, home):
        page = owner.go(home["pages"]["payment-new"])
        press(page, "Review")
        assert page.get_by_role("alert").or_(page.locator("[data-errors]")).first.is_visible()
        assert look(owner, "") == []

        page.get_by_label("From", exact=True).select_option(index=4)
        page.get_by_label("To", exact=True).select_option(index=1)
        page.get_by_label("Amount", exact=True).fill("1")
        press(page, "Review")
        assert "review=" in page.url
        assert look(owner, "") == []

    def test_of_a_link(self, owner, home):
        page = owner.go(home["pages"]["payment-link-new"])
        page.get_by_label("You pay").check()
        press(page, "Continue")
        assert look(owner, "") == []

        page.get_by_label("Wallet", exact=True).select_option(index=3)
        page.get_by_label("Amount", exact=True).fill("1")
        press(page, "Continue")
        assert "review=" in page.url
        assert look(owner, "") == []

    def test_of_a_claim(self, owner, home):
        page = owner.go(home["open"])
        page.get_by_role("radio").first.check()
        press(page, "Continue")
        assert look(owner, "") == []

        press(page, "Claim")
        assert "/receipt/" in page.url
        assert look(owner, "") == []

    def test_of_a_key(self, owner, home):
        page = owner.go(home["pages"]["api-key-new"])
        page.get_by_label("Name", exact=True).fill("Crawler")
        page.get_by_role("checkbox").first.check()
        press(page, "Create the key")
        assert "wg_test_" in page.locator("main").inner_text()
        assert look(owner, "") == []

    def test_of_an_invitation(self, owner, home):
        page = owner.go(home["pages"]["member-invite"])
        page.get_by_label("E-mail address").fill("new-here@example.com")
        press(page, "Send the invitation")
        assert "/invitations/" in page.locator("main").inner_text()
        assert look(owner, "") == []
