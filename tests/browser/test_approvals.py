"""A stranger's link asks to be paid, and somebody decides: with scripts and without, on a phone."""

import re

import pytest

from tests.browser import DESKTOP, PHONE
from tests.stack import wait_until


def words_on(page) -> str:
    return page.locator("main").inner_text()


@pytest.mark.parametrize(
    ("scripts", "screen"), [(True, DESKTOP), (False, PHONE)], ids=["desk", "phone without scripts"]
)
def test_a_request_is_looked_at_and_paid(visit, site, scripts, screen):
    asked = site.call("requested_organization")
    owner = visit(scripts=scripts, screen=screen)
    owner.context.add_cookies(
        [{"name": "sessionid", "value": asked["session"], "url": site.origin}]
    )
    page = owner.go(asked["place"])

    if screen == PHONE:
        page.get_by_role("button", name="Menu").click()
    entry = page.get_by_role("navigation", name="Main").get_by_role("link", name="Approvals")
    assert "1 waiting" in entry.text_content()
    entry.click()
    assert "Invoice 2031" in words_on(page)
    page.get_by_role("link", name="Decide about Globex").click()
    for words in ("Globex asks you for", "In the words of Globex", "not verified", "Travel"):
        assert words in words_on(page)
    page.get_by_role("link", name="Approve").click()
    assert "$687.50" in words_on(page), "what is left, before it is paid"
    assert not owner.is_wider_than_its_screen()
    page.get_by_role("button", name="Approve and pay $312.50").click()
    page.wait_for_url(re.compile(r"/approvals/apr_\w+$"))
    assert "Approved" in words_on(page)

    # Back and another click change nothing.
    page.go_back()
    page.reload()
    assert "approved already" in words_on(page)
    page = owner.go(asked["place"] + "wallets")
    assert "687.50" in words_on(page)
    assert "waiting" not in page.locator("#menu").text_content()
    wait_until(lambda: site.call("differences")["outbox"] == 0, seconds=10)
    assert site.call("differences")["books"] == []


def test_a_request_is_rejected_with_the_keyboard_alone(visit, site):
    asked = site.call("requested_organization")
    owner = visit(screen=DESKTOP)
    owner.context.add_cookies(
        [{"name": "sessionid", "value": asked["session"], "url": site.origin}]
    )
    page = owner.go(asked["place"] + "approvals")

    page.get_by_role("link", name="Decide about Globex").press("Enter")
    page.get_by_role("link", name="Reject").press("Enter")
    page.get_by_label("Reason").type("Not ours")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText").strip() == "Reject"
    page.keyboard.press("Enter")

    page.wait_for_url(re.compile(r"/approvals/apr_\w+$"))
    assert "Not ours" in words_on(page)
    assert "Declined" in words_on(page)
