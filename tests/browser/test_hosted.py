"""The public page of payment links: every way in both directions, on a phone.

Told with scripts, and by a browser that runs none; then axe looks at each state.
"""

import pytest

from tests.browser import PHONE
from tests.browser.test_accessibility import look, press
from tests.stack import wait_until

THEIRS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
CLOSED, NEVER_SETTLES, RETURNS = "9000000002", "9000000060", "9000000010"
SECONDS = 40


@pytest.fixture(scope="module", params=[True, False], ids=["with scripts", "without scripts"])
def scripts(request):
    return request.param


@pytest.fixture(scope="module")
def links(scripts, site):
    """Links of each kind; of their own for each telling, since nobody takes one twice."""
    return site.ask("payable", 60)


@pytest.fixture
def person(scripts, visit):
    """Somebody on a phone who has no account."""
    return visit(scripts=scripts, screen=PHONE)


def fill_bank(page, number):
    page.get_by_label("Name on the account").fill("Grace Hopper")
    page.get_by_label("Routing number").fill("021000021")
    page.get_by_label("Account number").fill(number)


def words(page) -> str:
    return page.locator("main").inner_text()


def wait_for(page, heading: str):
    """Until the page says it: by itself, or asked again where no script runs."""

    def is_there():
        if page.get_by_role("heading", name=heading).count():
            return True
        if page.get_by_role("link", name="Look again").is_visible():
            page.get_by_role("link", name="Look again").click()
        page.wait_for_timeout(300)
        return False

    wait_until(is_there, seconds=SECONDS)


def signed_in(visit, links, **options):
    """The owner of the stranger's wallet."""
    owner = visit(**options)
    cookie = {"name": "sessionid", "value": links["session"], "url": owner.origin}
    owner.context.add_cookies([cookie])
    return owner


class TestWays:
    def test_to_a_bank_account(self, person, links):
        page = person.go(links["paths"]["SEND USD"])
        assert "Acme Research sends you" in words(page)
        fill_bank(page, "000123456789")
        press(page, "Continue")
        assert "JPMorgan Chase Bank" in words(page)
        page.go_back()
        page.go_forward()
        page.reload()
        press(page, "Claim the money")
        assert "/receipt/" in page.url
        wait_for(page, "You have been paid")
        assert "12.50" in words(page)
        page.reload()
        page.get_by_text("Send it by e-mail").click()
        page.get_by_label("E-mail address").fill("grace@example.com")
        press(page, "Send the receipt")
        assert "on its way by e-mail" in words(page)
        assert not person.is_wider_than_its_screen()

    def test_to_an_address(self, person, links):
        page = person.go(links["paths"]["SEND USDC"])
        page.get_by_label("Your address").fill(THEIRS.lower())
        press(page, "Continue")
        assert THEIRS in words(page)
        press(page, "Claim the money")
        wait_for(page, "You have been paid")

    def test_to_a_wallet(self, person, links):
        page = person.go(f"{links['paths']['SEND USD']}?method=wallet")
        page.get_by_label("Wallet id").fill(links["shop"])
        press(page, "Continue")
        press(page, "Claim the money")
        assert page.get_by_role("heading", name="You have been paid").is_visible()

    def test_from_a_bank_account(self, person, links):
        page = person.go(links["paths"]["RECEIVE USD"])
        assert "Acme Research asks you for" in words(page)
        fill_bank(page, "000123456789")
        press(page, "Continue")
        press(page, "Pay 12.50")
        assert "Tick the box if you agree" in words(page)
        page.get_by_role("checkbox").check()
        press(page, "Pay 12.50")
        wait_for(page, "You have paid")
        assert not person.is_wider_than_its_screen()

    def test_from_a_chain_in_two_parts(self, person, links):
        page = person.go(links["paths"]["RECEIVE USDC"])
        press(page, "Continue")
        press(page, "Show the address")
        assert "Exactly" in words(page)
        page.get_by_role("textbox", name="Amount").fill("5")
        press(page, "Simulate a payment")
        wait_for(page, "Please send the rest")
        assert "7.50" in words(page)
        press(page, "Simulate a payment")
        wait_for(page, "You have paid")
        assert not person.is_wider_than_its_screen()

    def test_from_a_wallet_whose_organization_agrees(self, person, visit, scripts, links):
        page = person.go(f"{links['paths']['RECEIVE USD']}?method=wallet")
        page.get_by_label("Wallet id").fill(links["shop"])
        press(page, "Continue")
        press(page, "Ask for the payment")
        assert "Waiting for a yes" in words(page)

        owner = signed_in(visit, links, scripts=scripts)
        inbox = owner.go(f"/{links['organization']}/sandbox/approvals")
        inbox.get_by_role("link", name="Decide").first.click()
        inbox.get_by_role("link", name="Approve", exact=True).click()
        inbox.get_by_role("button", name="Approve and pay").click()
        wait_for(page, "You have paid")

    def test_from_ones_own_wallet_at_once(self, visit, scripts, links):
        owner = signed_in(visit, links, scripts=scripts, screen=PHONE)
        page = owner.go(links["paths"]["RECEIVE USD"])
        page.get_by_role("radio", name="Second, Globex").check()
        press(page, "Continue")
        press(page, "Pay 12.50")
        assert page.get_by_role("heading", name="You have paid").is_visible()

    def test_for_whoever_reads_an_address_s_mail(self, person, site, links):
        page = person.go(links["paths"]["code"])
        page.get_by_label("E-mail address").fill("grace@example.com")
        press(page, "Continue")
        assert "Somebody sends you" in words(page)
        page.get_by_label("Code").fill(site.ask("code", "grace@example.com"))
        press(page, "Continue")
        assert "Acme Research sends you" in words(page)

    def test_in_spanish(self, person, links):
        page = person.go(links["paths"]["SEND USD"])
        press(page, "Español")
        assert "le envía" in words(page)
        assert "12,50" in words(page)
        assert not person.is_wider_than_its_screen()


class TestScripts:
    @pytest.fixture(scope="class")
    def links(self, site):
        return site.ask("payable", 60)

    @pytest.fixture
    def page(self, visit, links):
        self.visit = visit(screen=PHONE)
        return self.visit.go(links["paths"]["SEND USD"])

    def test_tell_on_leaving_a_field_what_is_wrong_with_it(self, page, links):
        routing, account = page.get_by_label("Routing number"), page.get_by_label("Account number")
        routing.fill("021000022")
        account.focus()
        page.get_by_text("not a routing number").wait_for()
        assert routing.get_attribute("aria-invalid") == "true"
        assert routing.get_attribute("aria-describedby").endswith("_error")

        routing.fill("021000021")
        account.focus()
        page.get_by_text("JPMorgan Chase Bank").wait_for()
        account.fill("12")
        routing.focus()
        page.get_by_text("4 to 17 digits").wait_for()
        account.fill("12 34")
        routing.focus()
        assert account.get_attribute("aria-invalid") is None
        assert routing.get_attribute("aria-invalid") is None

        self.visit.go(links["paths"]["SEND USDC"])
        page.get_by_label("Your address").fill(THEIRS.replace("A", "a", 1))
        page.get_by_role("button", name="Continue").focus()
        page.get_by_text("capital letters do not fit").wait_for()

    def test_are_not_needed_for_the_keyboard(self, page):
        """Once through without a pointer."""
        page.get_by_label("Name on the account").focus()
        for typed in ("Grace Hopper", "021000021", "777000111"):
            page.keyboard.type(typed)
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/review")
        page.get_by_role("link", name="Change").focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/receipt/**")
        wait_for(page, "You have been paid")

    def test_count_down_and_copy(self, visit, links):
        self.visit = visit(screen=PHONE)
        page = self.visit.go(links["paths"]["RECEIVE USDC"])
        press(page, "Continue")
        press(page, "Show the address")
        left = page.locator("[data-left]")
        before = left.inner_text()
        wait_until(lambda: left.inner_text() != before, seconds=5)
        page.get_by_role("button", name="Copy the address").click()
        page.locator("button[data-copied]").wait_for()

    def test_show_times_in_the_reader_s_zone(self, visit, links):
        far = visit(timezone_id="Asia/Tokyo", locale="es-ES")
        page = far.go(links["paths"]["RECEIVE USDC"])
        press(page, "Continuar")
        press(page, "Mostrar la dirección")
        assert page.locator("time").first.get_attribute("data-zone") == "Asia/Tokyo"
        assert "UTC" not in page.locator("time").first.inner_text()


class TestStates:
    """What axe says of each, in light and dark, on a desk and a phone."""

    @pytest.fixture(scope="class")
    def links(self, site):
        return site.ask("payable", 60)

    @pytest.fixture
    def reader(self, visit):
        return visit(reduced_motion="reduce")

    def test_of_being_paid(self, reader, links):
        page = reader.go(links["paths"]["SEND USD"])
        press(page, "Continue")
        assert look(reader, "") == []  # what is missing
        fill_bank(page, NEVER_SETTLES)
        press(page, "Continue")
        assert look(reader, "") == []
        press(page, "Claim the money")
        assert "on its way" in words(page)
        assert look(reader, "") == []

    @pytest.mark.parametrize(
        ("number", "heading"), [(CLOSED, "This did not work"), (RETURNS, "The money came back")]
    )
    def test_of_what_a_bank_refuses(self, reader, links, number, heading):
        page = reader.go(links["paths"]["SEND USD"])
        fill_bank(page, number)
        press(page, "Continue")
        press(page, "Claim the money")
        wait_until(lambda: page.reload() and heading in words(page), seconds=SECONDS)
        assert look(reader, "") == []

    def test_of_paying(self, reader, links):
        page = reader.go(links["paths"]["RECEIVE USD"])
        assert look(reader, "") == []
        fill_bank(page, "000123456789")
        press(page, "Continue")
        press(page, "Pay 12.50")
        assert look(reader, "") == []
        page.get_by_role("checkbox").check()
        press(page, "Pay 12.50")
        wait_for(page, "You have paid")
        page.get_by_text("Send it by e-mail").click()
        assert look(reader, "") == []

    def test_of_paying_on_a_chain(self, reader, links):
        page = reader.go(links["paths"]["RECEIVE USDC"])
        press(page, "Continue")
        press(page, "Show the address")
        for fold in page.locator("details > summary").all():
            fold.click()
        assert look(reader, "") == []
        page.get_by_label("Network").select_option("polygon")
        press(page, "Simulate a payment")
        page.get_by_text("came on Polygon").wait_for(timeout=SECONDS * 1000)
        assert look(reader, "") == []

    def test_of_asking_and_proving(self, reader, links):
        page = reader.go(f"{links['paths']['RECEIVE USD']}?method=wallet")
        page.get_by_label("Wallet id").fill(links["shop"])
        press(page, "Continue")
        press(page, "Ask for the payment")
        assert look(reader, "") == []
        reader.go(links["paths"]["code"])
        page.get_by_label("E-mail address").fill("grace@example.com")
        press(page, "Continue")
        page.get_by_label("Code").fill("12")
        press(page, "Continue")
        assert look(reader, "") == []
