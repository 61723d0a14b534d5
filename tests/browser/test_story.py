"""The story of the first day: sign up, fund, pay, make a link, have it claimed by somebody else.

Told twice: with scripts, and by a browser that runs none.
"""

import re

import pytest

from tests.browser import DESKTOP, PASSWORD, PHONE
from tests.stack import wait_until


def sign_up(person, *, name, email, organization):
    page = person.go("/account/signup/")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Organization").fill(organization)
    page.get_by_role("button", name="Create an account").click()
    page.wait_for_url(re.compile(r"/org_\w+/sandbox/$"))


def choose(page, label, text):
    """Choose the option of a select whose text has these words."""
    box = page.get_by_label(label, exact=True)
    value = box.locator("option", has_text=text).first.get_attribute("value")
    box.select_option(value)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_from_signing_up_to_a_claimed_link(visit, site, scripts):
    suffix = "js" if scripts else "plain"
    maker = visit(scripts=scripts, screen=DESKTOP)
    sign_up(maker, name="Ada", email=f"ada-{suffix}@acme.example", organization=f"Acme {suffix}")
    place = maker.path()
    page = maker.page

    # Fund the wallet that is there from the first day.
    page.goto(maker.origin + place + "wallets")
    page.get_by_role("link", name="Main wallet").first.click()
    main_wallet = maker.path()
    page.get_by_role("link", name="Fund").first.click()
    page.get_by_label("Amount", exact=True).fill("1,000.00")
    page.get_by_role("button", name="Fund").click()
    page.wait_for_url(maker.origin + main_wallet)
    assert "1,000.00" in page.locator("main").inner_text()

    # Make another one, and pay it.
    page.goto(maker.origin + place + "wallets/new")
    page.get_by_label("Name", exact=True).fill("Research agent")
    page.get_by_role("button", name="Create the wallet").click()
    page.wait_for_url(re.compile(r"/wallets/wal_\w+$"))
    page.goto(maker.origin + place + "payments/new")
    choose(page, "From", "Main wallet")
    choose(page, "To", "Research agent")
    page.get_by_label("Amount", exact=True).fill("100")
    page.get_by_label("Description").fill("First errand")
    page.get_by_role("button", name="Review").click()
    assert "900.00" in page.locator("main").inner_text()  # what is left, before it is sent
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile(r"/payments/txn_\w+$"))
    assert "First errand" in page.locator("main").inner_text()

    # Make a link that pays, and hand its address over.
    page.goto(maker.origin + place + "payment-links/new")
    page.get_by_label("You pay").check()
    choose(page, "Wallet", "Main wallet")
    page.get_by_label("Amount", exact=True).fill("25")
    page.get_by_label("Description").fill("For your talk")
    page.get_by_role("button", name="Continue").click()
    assert "25.00" in page.locator("main").inner_text()  # what is set aside, before it is
    page.get_by_role("button", name="Create the link").click()
    page.wait_for_url(re.compile(r"/payment-links/lnk_\w+$"))
    address = re.search(r"http://[^\s]+/pay/[\w-]+", page.locator("main").inner_text())[0]

    # Somebody of another organization opens it on a phone, and takes the money.
    payee = visit(scripts=scripts, screen=PHONE)
    sign_up(payee, name="Grace", email=f"grace-{suffix}@x.example", organization=f"Navy {suffix}")
    payee_place = payee.path()
    page = payee.go(address)
    assert f"Acme {suffix}" in page.locator("main").inner_text()
    assert "25.00" in page.locator("main").inner_text()
    assert not payee.is_wider_than_its_screen()
    page.get_by_role("radio", name=re.compile("Main wallet")).check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Claim").click()
    page.wait_for_url(re.compile(r"/receipt/"))
    receipt = payee.path()
    page.go_back()
    page.goto(payee.origin + receipt)  # Back has not lost it
    page.reload()
    assert "25.00" in page.locator("main").inner_text()

    # Both see it happen; nobody else can claim it again.
    page = payee.go(payee_place + "wallets")
    assert "25.00" in page.locator("main").inner_text()
    page = maker.go(place + "payment-links")
    assert "Paid" in page.locator("main").inner_text()
    assert "used" in visit(scripts=scripts).go(address).locator("main").inner_text()
    wait_until(lambda: site.call("differences")["outbox"] == 0, seconds=10)
    assert site.call("differences")["books"] == []
