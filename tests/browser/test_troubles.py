"""What people do to pages: click twice, go back, reload, wait too long, put the mouse away."""

import re

import pytest

from tests.browser import PHONE

ONCE = re.compile(r"/payments/txn_\w+$")


@pytest.fixture
def owner(visit, home):
    """`owner(**options)`: a browser in which the owner is signed in."""

    def signed_in(**options):
        person = visit(**options)
        cookie = {"name": "sessionid", "value": home["session"], "url": person.origin}
        person.context.add_cookies([cookie])
        return person

    return signed_in


def fill_payment(person, home, amount, words):
    """Fill in a payment to another own wallet, as far as its review."""
    page = person.go(home["pages"]["payment-new"])
    page.get_by_label("From", exact=True).select_option(label_of(page, "From", "Wallet ("))
    page.get_by_label("To", exact=True).select_option(label_of(page, "To", "Savings"))
    page.get_by_label("Amount", exact=True).fill(amount)
    page.get_by_label("Description").fill(words)
    page.get_by_role("button", name="Review").click()
    return page


def label_of(page, label, start):
    """The text of the option that begins like this."""
    options = page.get_by_label(label, exact=True).locator("option").all_inner_texts()
    return next(text for text in options if text.startswith(start))


def sent(person, home, words) -> int:
    """How many payments with this description there are."""
    page = person.go(f"{home['pages']['payments']}?q={words}")
    return page.locator("#rows tbody tr").count()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
class TestSendingOnce:
    def test_two_clicks_pay_once(self, owner, home, scripts):
        person = owner(scripts=scripts)
        words = f"twice-{scripts}"
        page = fill_payment(person, home, "1", words)

        page.get_by_role("button", name="Send").dblclick()
        page.wait_for_url(ONCE)

        assert sent(person, home, words) == 1

    def test_going_back_and_sending_again_leads_to_the_same_payment(self, owner, home, scripts):
        person = owner(scripts=scripts)
        words = f"back-{scripts}"
        page = fill_payment(person, home, "1", words)
        page.get_by_role("button", name="Send").click()
        page.wait_for_url(ONCE)
        first = person.path()

        page.go_back()
        page.get_by_role("button", name="Send").click()
        page.wait_for_url(ONCE)

        assert person.path() == first
        assert sent(person, home, words) == 1

    def test_reloading_what_was_sent_sends_nothing(self, owner, home, scripts):
        person = owner(scripts=scripts)
        words = f"again-{scripts}"
        page = fill_payment(person, home, "1", words)
        page.get_by_role("button", name="Send").click()
        page.wait_for_url(ONCE)

        page.reload()
        page.reload()

        assert sent(person, home, words) == 1


class TestWaitingTooLong:
    def test_a_form_of_an_ended_session_leads_to_signing_in_and_pays_nothing(self, owner, home):
        person = owner()
        page = fill_payment(person, home, "1", "too-late")
        person.context.clear_cookies(name="sessionid")

        page.get_by_role("button", name="Send").click()

        page.wait_for_url(re.compile(r"/account/login/\?next="))
        assert sent(owner(), home, "too-late") == 0

    def test_a_form_without_its_token_says_so_calmly(self, owner, home):
        person = owner()
        page = fill_payment(person, home, "1", "no-token")
        person.context.clear_cookies(name="csrftoken")

        page.get_by_role("button", name="Send").click()

        assert "open for too long" in page.locator("main").inner_text()
        assert sent(owner(), home, "no-token") == 0


class TestLists:
    def test_typing_narrows_the_rows_and_the_address_and_back_widens_them(self, owner, home):
        page = owner().go(home["pages"]["wallets"])
        rows = page.locator("#rows tbody tr")
        everything = rows.count()
        page.evaluate("document.body.dataset.kept = 'yes'")

        page.get_by_role("searchbox").press_sequentially("Savin")
        page.wait_for_url(re.compile("q=Savin"))

        assert [text.split()[0] for text in rows.all_inner_texts()] == ["Savings"]
        assert page.evaluate("document.body.dataset.kept") == "yes"  # the page was not loaded anew
        page.go_back()
        page.wait_for_url(lambda url: "q=" not in url)
        rows.nth(everything - 1).wait_for()
        assert rows.count() == everything

    def test_a_heading_sorts_and_says_so(self, owner, home):
        page = owner().go(home["pages"]["wallets"])

        page.get_by_role("columnheader", name="Balance").get_by_role("link").click()
        page.wait_for_url(re.compile("sort=-balance"))

        heading = page.get_by_role("columnheader", name="Balance")
        assert heading.get_attribute("aria-sort") == "descending"
        assert "sort=-balance" in page.url


class TestWithoutAMouse:
    def test_the_menu_of_a_phone_opens_and_closes_by_key(self, owner, home):
        page = owner(screen=PHONE).go(home["pages"]["overview"])
        menu = page.get_by_role("navigation").get_by_role("link", name="Payments", exact=True)
        assert not menu.is_visible()

        page.get_by_role("button", name="Menu").press("Enter")
        assert menu.is_visible()
        page.keyboard.press("Escape")
        assert not menu.is_visible()

    def test_the_first_tab_stop_leads_past_the_navigation(self, owner, home):
        page = owner().go(home["pages"]["overview"])

        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        assert page.evaluate("document.activeElement.id") == "main"

    def test_a_payment_is_sent_by_keys_alone(self, owner, home):
        person = owner()
        page = person.go(home["pages"]["payment-new"])

        focus(page, "From")
        page.keyboard.type("Wallet")
        focus(page, "To")
        page.keyboard.type("Savings")
        focus(page, "Amount")
        page.keyboard.type("1.50")
        page.keyboard.press("Enter")
        page.wait_for_load_state()
        send = page.get_by_role("button", name="Send")
        send.wait_for()
        for _ in range(40):
            page.keyboard.press("Tab")
            if send.evaluate("button => button === document.activeElement"):
                break
        page.keyboard.press("Enter")

        page.wait_for_url(ONCE)
        assert "1.50" in page.locator("main").inner_text()

    def test_what_is_wrong_is_said_beside_the_field_and_is_focused(self, owner, home):
        page = fill_payment(owner(), home, "12,5", "wrong")

        field = page.get_by_label("Amount", exact=True)
        assert field.get_attribute("aria-invalid") == "true"
        said = page.locator(f"#{field.get_attribute('aria-describedby').split()[-1]}")
        assert "25.00" in said.inner_text()
        assert field.input_value() == "12,5"
        assert page.get_by_label("Description").input_value() == "wrong"


def focus(page, label):
    """Go to a field by the tabulator key."""
    field = page.get_by_label(label, exact=True)
    for _ in range(40):
        if field.evaluate("field => field === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{label} is not reached by the tabulator key")


class TestColoursAndTime:
    @pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
    def test_the_dark_is_chosen_and_stays(self, owner, home, scripts):
        page = owner(scripts=scripts).go("/account/appearance")

        page.get_by_role("button", name="Dark").first.click()
        page.goto(page.url)

        assert page.locator("html").get_attribute("data-theme") == "dark"

    def test_times_are_those_of_the_viewer(self, owner, home):
        page = owner(timezone_id="Asia/Tokyo").go(home["pages"]["payments"])
        time = page.locator("#rows time").first

        assert "UTC" not in time.inner_text()
        page.reload()  # and now the server knows the zone, too
        assert "UTC" not in time.inner_text()


def test_a_copied_id_is_in_the_clipboard(owner, home):
    person = owner(permissions=["clipboard-read", "clipboard-write"])
    page = person.go(home["pages"]["wallet"])

    page.get_by_role("button", name=re.compile("Copy")).first.click()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("wal_")


def test_the_admin_works_under_the_same_policy(site, visit):
    staff = site.call("superuser_session")
    person = visit()
    person.context.add_cookies([{"name": "sessionid", "value": staff, "url": person.origin}])
    for path in ("/admin/", "/admin/accounts/wallet/", "/admin/links/paymentlink/"):
        page = person.go(path)
        assert page.locator("#content").is_visible()
    page.locator("#result_list tbody th a").first.click()
    page.get_by_text("Payment link").first.wait_for()
