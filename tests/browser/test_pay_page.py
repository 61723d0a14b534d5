"""The public page of payment links: every way in both directions, on a phone.

Told with scripts, and by a browser that runs none; then axe looks at each state.
"""

import pytest

from tests.browser import PHONE
from tests.browser.test_accessibility import look, press
from tests.stack import wait_until

THEIRS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
NUMBER = "000123456789"
SECONDS = 40


@pytest.fixture(scope="module")
def payable(site):
    """Links of each kind, of their own for each telling, since nobody takes one twice."""
    return site.call("claimable_links", ["with scripts", "without scripts", "otherwise"])


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def scripts(request):
    return request.param


@pytest.fixture
def links(scripts, payable):
    return payable["paths"]["with scripts" if scripts else "without scripts"]


@pytest.fixture
def others(payable):
    """Links for whatever is told once."""
    return payable["paths"]["otherwise"]


@pytest.fixture
def person(scripts, visit):
    """Somebody on a phone who has no account."""
    return visit(scripts=scripts, screen=PHONE)


def fill_bank(page, number=NUMBER):
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


def signed_in(visit, payable, **options):
    """The owner of the stranger's wallet."""
    owner = visit(**options)
    cookie = {"name": "sessionid", "value": payable["session"], "url": owner.origin}
    owner.context.add_cookies([cookie])
    return owner


class TestWays:
    def test_over_rails(self, person, links):
        """In three tabs at once, because rails take their seconds."""
        paid = person.go(links["SEND USD"])
        assert "Acme Research sends you" in words(paid)
        fill_bank(paid)
        press(paid, "Continue")
        assert "JPMorgan Chase Bank" in words(paid)
        paid.go_back()
        paid.go_forward()
        paid.reload()
        press(paid, "Claim the money")
        assert "/receipt/" in paid.url

        paying = person.tab(links["RECEIVE USD"])
        assert "Acme Research asks you for" in words(paying)
        fill_bank(paying)
        press(paying, "Continue")
        press(paying, "Pay $12.50")
        assert "Tick the box if you agree" in words(paying)
        paying.get_by_role("checkbox").check()
        press(paying, "Pay $12.50")

        coins = person.tab(links["SEND USDC"])
        coins.get_by_label("Your address").fill(THEIRS.lower())
        press(coins, "Continue")
        assert THEIRS in words(coins)
        press(coins, "Claim the money")

        for page, heading in (
            (paid, "You have been paid"),
            (paying, "You have paid"),
            (coins, "You have been paid"),
        ):
            wait_for(page, heading)
            assert "12.50" in words(page)
            assert not person.is_wider_than_its_screen(page)

    def test_to_a_wallet_with_a_receipt_by_e_mail(self, person, payable, links):
        page = person.go(f"{links['SEND USD']}?method=wallet")
        page.get_by_label("Wallet id").fill(payable["shop"])
        press(page, "Continue")
        press(page, "Claim the money")
        assert page.get_by_role("heading", name="You have been paid").is_visible()

        page.reload()
        page.get_by_text("Send it by e-mail").click()
        page.get_by_label("E-mail address").fill("alan@example.com")
        press(page, "Send the receipt")
        assert "on its way by e-mail" in words(page)
        assert not person.is_wider_than_its_screen()

    def test_from_a_chain_in_two_parts(self, person, links):
        page = person.go(links["RECEIVE USDC"])
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

    def test_from_a_wallet_whose_organization_agrees(self, person, visit, scripts, payable, links):
        page = person.go(f"{links['RECEIVE USD']}?method=wallet")
        page.get_by_label("Wallet id").fill(payable["shop"])
        press(page, "Continue")
        press(page, "Ask for the payment")
        assert "Waiting for a yes" in words(page)

        owner = signed_in(visit, payable, scripts=scripts)
        inbox = owner.go(f"/{payable['organization']}/sandbox/approvals")
        inbox.get_by_role("link", name="Decide").first.click()
        inbox.get_by_role("link", name="Approve", exact=True).click()
        inbox.get_by_role("button", name="Approve and pay").click()
        wait_for(page, "You have paid")

    def test_from_ones_own_wallet_at_once(self, visit, scripts, payable, links):
        owner = signed_in(visit, payable, scripts=scripts, screen=PHONE)
        page = owner.go(links["RECEIVE USD"])
        page.get_by_role("radio", name="Second, Globex").check()
        press(page, "Continue")
        press(page, "Pay $12.50")
        assert page.get_by_role("heading", name="You have paid").is_visible()

    def test_for_whoever_reads_an_address_s_mail(self, person, site, links):
        page = person.go(links["code"])
        page.get_by_label("E-mail address").fill("grace@example.com")
        press(page, "Continue")
        assert "Somebody sends you" in words(page)
        page.get_by_label("Code").fill(site.call("newest_code"))
        press(page, "Continue")
        assert "Acme Research sends you" in words(page)

    def test_in_spanish(self, person, links):
        page = person.go(links["SEND USD"])
        press(page, "Español")
        assert "le envía" in words(page)
        assert "$12.50" in words(page)
        assert not person.is_wider_than_its_screen()


class TestScripts:
    @pytest.fixture
    def page(self, visit, others):
        self.visit = visit(screen=PHONE)
        return self.visit.go(others["SEND USD"])

    def test_tell_on_leaving_a_field_what_is_wrong_with_it(self, page, others):
        routing, account = page.get_by_label("Routing number"), page.get_by_label("Account number")
        routing.fill("021000022")
        account.focus()
        page.locator("#id_routing_number_error").get_by_text("not a routing number").wait_for()
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

        self.visit.go(others["SEND USDC"])
        page.get_by_label("Your address").fill(THEIRS.replace("A", "a", 1))
        page.get_by_role("button", name="Continue").focus()
        page.get_by_text("capital letters do not fit").wait_for()

    def test_tell_it_in_the_chosen_language_and_move_no_button_from_under_a_click(self, page):
        press(page, "Español")
        page.get_by_label("Número de ruta").fill("021000022")
        page.get_by_label("Número de cuenta").fill("12")
        page.get_by_text("no es el número de ruta").wait_for()

        page.get_by_role("button", name="Continuar").click(delay=100)

        page.get_by_text("Escriba de quién es la cuenta").wait_for()  # the form was sent

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

    def test_count_down_and_copy(self, visit, others):
        page = visit(screen=PHONE).go(others["RECEIVE USDC"])
        press(page, "Continue")
        press(page, "Show the address")
        left = page.locator("[data-left]")
        before = left.inner_text()
        wait_until(lambda: left.inner_text() != before, seconds=5)
        page.get_by_role("button", name="Copy the address").click()
        page.locator("button[data-copied]").wait_for()

    def test_show_times_in_the_reader_s_zone(self, visit, others):
        far = visit(timezone_id="Asia/Tokyo", locale="es-ES")
        page = far.go(others["RECEIVE USDC"])
        press(page, "Continuar")
        press(page, "Mostrar la dirección")
        assert page.locator("time").first.get_attribute("data-zone") == "Asia/Tokyo"
        assert "UTC" not in page.locator("time").first.inner_text()


class TestStates:
    """What axe says of each, in light and dark, on a desk and a phone."""

    @pytest.fixture
    def reader(self, visit):
        return visit(reduced_motion="reduce")

    def test_of_being_paid(self, reader, others):
        page = reader.go(others["SEND USD"])
        press(page, "Continue")
        assert look(reader, "") == []  # what is missing
        fill_bank(page)
        press(page, "Continue")
        assert look(reader, "") == []

    def test_of_paying(self, reader, others):
        page = reader.go(others["RECEIVE USD"])
        assert look(reader, "") == []
        fill_bank(page)
        press(page, "Continue")
        press(page, "Pay $12.50")
        assert look(reader, "") == []
        page.get_by_role("checkbox").check()
        press(page, "Pay $12.50")
        assert look(reader, "") == []

    def test_of_a_receipt(self, reader, payable):
        page = reader.go(payable["ends"]["pays"])
        wait_for(page, "You have been paid")
        page.get_by_text("Send it by e-mail").click()
        assert look(reader, "") == []
        assert is_black_on_white_when_printed(page)

    def test_of_paying_on_a_chain(self, reader, others):
        page = reader.go(others["RECEIVE USDC"])
        press(page, "Continue")
        press(page, "Show the address")
        for fold in page.locator("details > summary").all():
            fold.click()
        assert look(reader, "") == []
        page.get_by_label("Network").select_option("polygon")
        press(page, "Simulate a payment")
        page.get_by_text("came on Polygon").wait_for(timeout=SECONDS * 1000)
        assert look(reader, "") == []

    def test_of_asking_and_proving(self, reader, payable, others):
        page = reader.go(f"{others['RECEIVE USD']}?method=wallet")
        page.get_by_label("Wallet id").fill(payable["shop"])
        press(page, "Continue")
        press(page, "Ask for the payment")
        assert look(reader, "") == []
        reader.go(others["code"])
        page.get_by_label("E-mail address").fill("grace@proving.example")
        press(page, "Continue")
        page.get_by_label("Code").fill("12")
        press(page, "Continue")
        assert look(reader, "") == []

    @pytest.mark.parametrize(
        ("end", "heading"),
        [
            ("never settles", "The money is on its way"),
            ("closed", "This did not work"),
            ("returns", "The money came back"),
        ],
    )
    def test_of_what_a_bank_says(self, reader, payable, end, heading):
        page = reader.go(payable["ends"][end])
        wait_until(lambda: page.reload() and heading in words(page), seconds=SECONDS)
        assert look(reader, "") == []


def is_black_on_white_when_printed(page) -> bool:
    """Also by whoever looks at it in the dark."""
    page.emulate_media(media="print", color_scheme="dark")
    colours = page.locator("main h1").evaluate(
        "h => [getComputedStyle(h).color, getComputedStyle(h.closest('main')).backgroundColor]"
    )
    page.emulate_media(media="screen")
    return colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
