"""Links imported from CSV files, sent by email and printed, in a browser; a worker dies."""

import re

import pytest

from tests.browser import DESKTOP, PHONE
from tests.browser.test_accessibility import look
from tests.stack import wait_until
from wallgent import ids

HEAD = "direction,wallet,amount,description\n"


@pytest.fixture
def owner_of(home, site, visit):
    """Open a browser in which the owner is signed in."""

    def owner_of(**options):
        person = visit(**options)
        cookie = {"name": "sessionid", "value": home["session"], "url": site.origin}
        person.context.add_cookies([cookie])
        return person

    return owner_of


def upload(person, home, text: str):
    page = person.go(home["pages"]["payment-link-bulk"])
    file = {"name": "prizes.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    page.wait_for_load_state()
    return page


def text_of(page) -> str:
    return " ".join(page.locator("main").inner_text().split())


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_links_are_created_from_a_file(owner_of, home, scripts):
    person = owner_of(scripts=scripts, screen=PHONE)
    page = upload(person, home, HEAD + "RECEIVE,Wallet,5,Rent\n" * 40 + "RECEIVE,Wallet,x,\n")
    assert "40 links will be made" in text_of(page)
    assert "1 of 41 rows has errors" in text_of(page)
    assert not person.is_wider_than_its_screen()

    page.get_by_role("button", name="Make 40 links").click()
    page.wait_for_load_state()
    if scripts:
        page.get_by_role("heading", name="Done").wait_for(timeout=20_000)  # without a click
    else:

        def is_done():
            if page.get_by_role("link", name="Refresh").count():
                page.get_by_role("link", name="Refresh").click()
            return page.get_by_role("heading", name="Done").count() == 1

        wait_until(is_done, seconds=20)
    assert "40 of 40" in text_of(page)
    assert "1 left out with errors" in text_of(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines) == 42
    assert "/pay/" in lines[1]


def test_axe_finds_no_problem_on_the_pages(owner_of, home, site):
    person = owner_of(reduced_motion="reduce")
    page = upload(person, home, HEAD + "SEND,Wallet,9999999,Prize\nBOTH,Nobody,-5,=1+1\n")
    assert "That is not enough for all of them" in text_of(page)
    assert look(person, "") == []

    page.get_by_role("button", name="Make 1 link").click()
    page.get_by_role("heading", name="Done").wait_for(timeout=20_000)
    assert look(person, "") == []

    links = home["pages"]["payment-links"]
    organization = ids.to_uuid(links.split("/")[1])
    settled = "SELECT id FROM links_paymentlink WHERE status = 'SETTLED' AND organization_id = %s"
    used, *_ = site.query(settled, organization)
    page = person.go(f"{links}/{ids.to_text('lnk', *used)}")
    page.get_by_text("History").first.click()
    assert look(person, "") == []

    page = person.go(home["pages"]["payment-link-send"])
    page.get_by_role("button", name="Send the link").click()
    page.wait_for_load_state()
    assert look(person, "") == []


def test_two_megabytes_are_accepted_and_a_larger_file_is_refused_with_a_reason(owner_of, home):
    person = owner_of(screen=DESKTOP)
    description = "w" * 1000

    page = upload(person, home, HEAD + f"RECEIVE,Wallet,5,{description}\n" * 2_000)
    assert "2,000 links will be made" in text_of(page)

    page = upload(person, home, HEAD + f"RECEIVE,Wallet,5,{description}\n" * 6_000)
    assert "larger than 5 MB" in text_of(page)
    assert page.get_by_role("button", name="Look at it").is_visible()


def test_each_row_is_created_once_when_the_worker_is_killed(owner_of, home, site):
    person = owner_of(screen=DESKTOP)
    page = upload(person, home, HEAD + "SEND,Wallet,0.01,Prize in the dark\n" * 300)
    page.get_by_role("button", name="Make 300 links").click()
    page.wait_for_load_state()
    count = "SELECT count(*) FROM links_paymentlink WHERE description = 'Prize in the dark'"

    wait_until(lambda: site.query(count)[0][0] > 20, seconds=20)
    site.kill("worker")
    created = site.query(count)[0][0]
    site.start("worker")

    page.get_by_role("heading", name="Done").wait_for(timeout=90_000)
    assert created < 300, "the worker finished before it was killed"
    assert "300 of 300" in text_of(page)
    assert site.query(count)[0][0] == 300
    assert site.call("differences")["books"] == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_link_is_sent_by_email_and_printed(owner_of, home, scripts):
    person = owner_of(scripts=scripts, screen=DESKTOP)
    page = person.go(home["pages"]["payment-link"])
    page.get_by_role("link", name="Send by e-mail").click()
    page.get_by_label("E-mail address").fill("grace at example")
    page.get_by_label("Message").fill("As agreed.")
    page.get_by_role("button", name="Send the link").click()
    page.wait_for_load_state()
    assert "not an e-mail address" in text_of(page)
    assert page.get_by_label("Message").input_value() == "As agreed."

    address = f"grace-{'js' if scripts else 'plain'}@example.com"
    page.get_by_label("E-mail address").fill(address)
    page.get_by_role("button", name="Send the link").click()
    page.get_by_text("g…@example.com").first.wait_for()

    page.get_by_role("link", name="Test mailbox").first.click()
    page.get_by_role("link", name=re.compile("sends you")).first.click()
    page.wait_for_load_state()
    assert "> As agreed." in text_of(page)
    assert address in text_of(page)
    assert page.get_by_role("link", name=re.compile("pay")).is_visible()

    page = person.go(home["pages"]["payment-link-print"])
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.get_by_text("Print this page").is_visible()
    assert page.get_by_role("img", name=re.compile("QR code")).is_visible()
    colours = page.evaluate(
        "[...document.querySelectorAll('main *')].map(e => getComputedStyle(e).color)"
    )
    assert set(colours) == {"rgb(0, 0, 0)"}
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
