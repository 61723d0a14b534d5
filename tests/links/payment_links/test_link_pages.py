"""Dashboard pages that list, create, show and cancel payment links."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest

from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.wallets import services as wallets
from links.payment_links.models import PaymentLink
from links.payment_links.services import claims, payment_links, settings
from links.payment_links.services.payment_links import Restrictions
from tests import world
from tests.accounts import rails
from tests.world import available_of, everything
from wallgent import clock, ids


@pytest.fixture
def funded(wallet):
    world.fund(wallet, "1000")
    return wallet


@pytest.fixture
def make(funded):
    def make(wallet=funded, **options):
        options = {"amount": Decimal(25), "direction": "SEND"} | options
        return payment_links.create(
            actor=world.actor_for(wallet.organization, wallet.environment), wallet=wallet, **options
        )

    return make


@pytest.fixture
def browser(acme):
    return world.browser(world.make_member(acme, "MEMBER"))


@pytest.fixture
def viewer(acme):
    return world.browser(world.make_member(acme, "VIEWER"))


@pytest.fixture
def at(acme):
    """A function that returns the path of a page of Acme's links."""

    def at(*rest, environment="sandbox"):
        return "/".join([f"/{acme.id}/{environment}/payment-links", *rest])

    return at


def text_of(response) -> str:
    body = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)[0]
    text = unescape(re.sub(r"<[^>]+>", " ", body))
    return " ".join(re.sub("[\u2068\u2069]", "", text).split())  # isolates around names


def form_data(wallet, **fields):
    """Return the fields of the form for a new link, as a browser sends them."""
    return {
        "submission": ids.new("sub"),
        "direction": "RECEIVE",
        "wallet": wallet.id,
        "amount": "25.00",
        "description": "",
        "expires": "",
        "expires_at": "",
        "max_uses": "1",
        "emails": "",
        "proof": "",
        "wallet_ids": "",
    } | fields


def newest() -> PaymentLink:
    return PaymentLink.objects.latest("pk")


class TestListPage:
    def test_shows_the_direction_in_words_and_by_sign(self, browser, make, at):
        make(description="Prize")
        make(direction="RECEIVE", amount=Decimal(40), description="Rent")

        text = text_of(browser.get(at()))

        assert re.search(r"Prize .{10,30} You pay \$25\.00", text)
        assert re.search(r"Rent .{10,30} You are paid \$40\.00", text)

    def test_without_links_offers_to_create_one(self, browser, viewer, at):
        assert "Make the first link" in text_of(browser.get(at()))
        assert "Make the first link" not in text_of(viewer.get(at()))
        assert "No payment links yet" in text_of(viewer.get(at()))

    def test_claimed_filter_includes_settled_links(self, browser, make, at, shop):
        link = make(description="Paid out")
        make(description="Still open")
        _claim(link, shop)

        text = text_of(browser.get(at(), {"status": "CLAIMED"}))

        assert "Paid out" in text
        assert "Still open" not in text

    @pytest.mark.parametrize(
        "filters",
        [
            {"direction": "SEND"},
            {"q": "PRIZ"},
            {"wallet": "funded"},
            {"q": "id"},
            {"status": "ACTIVE", "q": "prize"},
            {"q": "url"},
            {"q": "GRACE@example.com"},
            {"since": "yesterday"},
            {"since": "yesterday", "until": "today"},
            {"method": "WALLET"},
        ],
    )
    def test_filters_by(self, browser, make, at, filters, funded, savings, shop):
        grace = Restrictions(emails=("grace@example.com",))
        prize = make(description="Prize", restrictions=grace, max_uses=2)
        make(savings, direction="RECEIVE", description="Rent")
        long_ago = clock.real_now() - timedelta(days=9)
        PaymentLink.objects.filter(description="Rent").update(created_at=long_ago)
        _claim(prize, shop, recipient_email="grace@example.com")
        day = clock.real_now().date()
        values = {"funded": funded.id, "id": prize.id, "url": prize.url}
        values |= {"today": f"{day}", "yesterday": f"{day - timedelta(days=1)}"}

        text = text_of(browser.get(at(), {k: values.get(v, v) for k, v in filters.items()}))

        assert "Prize" in text
        assert "Rent" not in text

    def test_filters_by_creation_date(self, browser, make, at):
        make(description="Prize")
        day = clock.real_now().date() - timedelta(days=2)

        assert "Prize" not in text_of(browser.get(at(), {"until": f"{day}"}))

    @pytest.mark.parametrize(
        "filters",
        [
            *({"status": "x"}, {"wallet": "x"}, {"q": "\x00"}, {"q": "%"}, {"method": "x"}),
            *({"since": "x"}, {"since": "0001-01-01"}, {"until": "9999-12-31"}, {"q": "/pay/"}),
        ],
    )
    def test_accepts_invalid_filters(self, browser, make, at, filters):
        make(description="Prize")

        assert browser.get(at(), filters).status_code == 200

    def test_shows_that_no_link_matches(self, browser, make, at):
        make(description="Prize")

        assert "Nothing fits this filter" in text_of(browser.get(at(), {"q": "nothing"}))

    @pytest.mark.parametrize("column", ["amount", "uses", "expires", "status", "created"])
    def test_sorts(self, browser, make, at, column):
        first = make(amount=Decimal(1), description="first")
        second = make(amount=Decimal(2), description="second")

        ascending = text_of(browser.get(at(), {"sort": column}))
        descending = text_of(browser.get(at(), {"sort": f"-{column}"}))

        assert first.description in ascending
        assert (ascending.index("first") < ascending.index("second")) is True
        assert (descending.index("first") > descending.index("second")) is True
        assert second.id not in ascending

    def test_pages_need_a_constant_number_of_queries(
        self, browser, make, at, django_assert_max_num_queries
    ):
        for number in range(30):
            make(direction="RECEIVE", description=f"number {number}.")
        browser.get(at())

        with django_assert_max_num_queries(14):
            first = text_of(browser.get(at()))
        second = text_of(browser.get(at(), {"page": "2"}))

        assert "number 29." in first
        assert "number 4." not in first
        assert "number 4." in second

    def test_shows_only_links_of_the_organization_and_environment(
        self, browser, make, at, shop, live_wallet, acme
    ):
        world.activate_production(acme)
        world.fund(shop, "100")
        make(shop, description="Foreign")
        make(live_wallet, direction="RECEIVE", description="Live")

        assert "Foreign" not in text_of(browser.get(at()))
        assert "Live" not in text_of(browser.get(at()))
        assert "Live" in text_of(browser.get(at(environment="production")))


def _claim(link, destination, **more):
    return claims.open(link, actor=claims.public_actor(link), destination=destination, **more)


class TestCreatePage:
    def test_receive_link_is_created_without_a_review(self, browser, at, wallet):
        answer = browser.post(at("new"), form_data(wallet, description="Rent", max_uses="3"))

        link = newest()
        assert (answer.status_code, answer.url) == (303, at(link.id))
        assert (link.direction, link.amount, link.max_uses) == ("RECEIVE", Decimal(25), 3)
        assert link.description == "Rent"
        assert "The link is ready." in browser.get(answer.url).content.decode()

    def test_send_link_is_reviewed_before_its_amount_is_held(self, browser, at, funded):
        form = form_data(funded, direction="SEND", max_uses="2", expires="7")
        before = everything()

        review = browser.get(browser.post(at("new"), form).url)

        assert review.status_code == 200
        text = text_of(review)
        assert "$50.00 will be set aside from Research agent now" in text
        assert "comes back if the link is cancelled or expires" in text
        assert everything() == before

        answer = browser.post(at("new"), form | {"step": "create"})
        assert answer.status_code == 303
        assert newest().direction == "SEND"
        assert available_of(funded) == Decimal(950)

    def test_review_submits_every_field(self, browser, at, funded, shop):
        form = form_data(
            funded,
            direction="SEND",
            description="Two\nlines <b>",
            emails="ada@example.com\nbob@example.com",
            wallet_ids=shop.id,
            expires="at",
            expires_at=f"{clock.real_now() + timedelta(days=3):%Y-%m-%dT%H:%M}",
        )
        page = browser.get(browser.post(at("new"), form).url).content.decode()
        hidden = re.findall(
            r'<input type="hidden" name="(\w+)" value="([^"]*)"|<textarea[^>]*name="(\w+)"', page
        )
        assert hidden
        submitted = _fields_of(page)

        browser.post(at("new"), submitted | {"step": "create"})

        link = newest()
        assert link.description.replace("\r", "") == "Two\nlines <b>"
        assert link.emails == ["ada@example.com", "bob@example.com"]
        assert link.wallet_ids == [shop.id]
        assert f"{link.expires_at:%Y-%m-%dT%H:%M}" == form["expires_at"]

    def test_form_can_be_edited_after_the_review(self, browser, at, funded):
        form = form_data(funded, direction="SEND", description="Prize")
        review = browser.get(browser.post(at("new"), form).url).content.decode()

        page = browser.get(re.search(r'href="([^"]*\?draft=[^"]*)"', review)[1])

        assert page.status_code == 200
        assert "Prize" in page.content.decode()
        assert "New payment link" in text_of(page)
        assert not PaymentLink.objects.exists()

    def test_preselects_the_organizations_default_direction(self, browser, at, acme, wallet):
        page = browser.get(at("new")).content.decode()
        assert re.search(r'value="RECEIVE"[^>]* checked', page)

        organizations.set_link_direction(acme, actor=world.actor_for(acme), direction="SEND")

        assert re.search(r'value="SEND"[^>]* checked', browser.get(at("new")).content.decode())

    def test_shows_the_available_balance_of_each_wallet(self, browser, at, funded):
        world.hold(funded, "100")

        assert "Research agent ($900.00 available)" in browser.get(at("new")).content.decode()

    def test_before_production_is_activated_no_link_can_be_created(self, browser, acme):
        path = f"/{acme.id}/production/payment-links"

        for page in ("new", "bulk"):
            text = text_of(browser.get(f"{path}/{page}"))
            assert "Production is not activated yet" in text
            assert not re.search("Continue|Look at it", text)
        assert "New link" not in text_of(browser.get(path))

    def test_submitting_twice_creates_one_link(self, browser, at, wallet):
        form = form_data(wallet)

        first, again = browser.post(at("new"), form), browser.post(at("new"), form)

        assert again.url == first.url
        assert PaymentLink.objects.count() == 1

    @pytest.mark.parametrize(("choice", "days"), [("1", 1), ("7", 7), ("30", 30)])
    def test_expires_after_days(self, browser, at, wallet, choice, days):
        browser.post(at("new"), form_data(wallet, expires=choice))

        link = newest()
        assert link.expires_at - link.created_at == pytest.approx(
            timedelta(days=days), abs=timedelta(seconds=5)
        )

    def test_custom_date_overrides_the_default_choice(self, browser, at, wallet):
        browser.post(at("new"), form_data(wallet, expires="", expires_at="2099-01-01T00:00"))

        assert newest().expires_at == datetime(2099, 1, 1, tzinfo=UTC)

    def test_expiry_uses_the_sandbox_clock(self, browser, at, wallet, acme):
        Organization.objects.filter(pk=acme.pk).update(sandbox_offset=timedelta(days=100))

        browser.post(at("new"), form_data(wallet, expires="1"))

        assert newest().expires_at > clock.real_now() + timedelta(days=100)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"amount": ""}, "amount"),
            ({"amount": "0"}, "amount"),
            ({"amount": "-5"}, "amount"),
            ({"amount": "1.123456789"}, "amount"),
            ({"amount": "ten"}, "amount"),
            ({"amount": "999999999999", "max_uses": "10"}, "amount"),
            ({"direction": ""}, "direction"),
            ({"direction": "BOTH"}, "direction"),
            ({"wallet": ""}, "wallet"),
            ({"wallet": "wal_1"}, "wallet"),
            ({"max_uses": "0"}, "max_uses"),
            ({"max_uses": "10001"}, "max_uses"),
            ({"max_uses": "1.5"}, "max_uses"),
            ({"description": "w" * 1025}, "description"),
            ({"expires": "at"}, "expires_at"),
            ({"expires": "at", "expires_at": "2020-01-01T00:00"}, "expires_at"),
            ({"expires": "at", "expires_at": "tomorrow"}, "expires_at"),
            ({"expires": "7", "expires_at": "2099-01-01T00:00"}, "expires_at"),
            ({"expires": "2"}, "expires"),
            ({"emails": "ada"}, "emails"),
            ({"emails": "ada@" + ".".join(["e" * 60] * 5) + ".com"}, "emails"),
            ({"emails": "\n".join(f"a{n}@example.com" for n in range(101))}, "emails"),
            ({"wallet_ids": "wal_1"}, "wallet_ids"),
        ],
    )
    def test_shows_the_error_at_its_field_and_keeps_the_other_values(
        self, browser, at, wallet, change, field
    ):
        answer = browser.post(at("new"), form_data(wallet, description="Kept") | change)

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == [field]
        assert not PaymentLink.objects.exists()
        if field != "description":
            assert "Kept" in answer.content.decode()

    def test_without_funds_shows_the_error_at_the_amount(self, browser, at, wallet):
        answer = browser.post(at("new"), form_data(wallet, direction="SEND", step="create"))

        assert answer.status_code == 422
        assert "does not cover this link" in text_of(answer)
        assert list(answer.context["form"].errors) == ["amount"]

    def test_of_a_frozen_wallet_shows_the_error_at_the_wallet(self, browser, at, funded, acme):
        wallets.freeze(funded, actor=world.actor_for(acme))

        answer = browser.post(at("new"), form_data(funded, direction="SEND", step="create"))

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["wallet"]

    def test_refused_form_can_be_submitted_again_with_the_same_key(self, browser, at, wallet):
        form = form_data(wallet, direction="SEND", step="create")
        browser.post(at("new"), form)
        world.fund(wallet, "100")

        assert browser.post(at("new"), form).status_code == 303

    def test_refuses_a_strangers_wallet(self, browser, at, shop):
        assert browser.post(at("new"), form_data(shop)).status_code == 422

    def test_in_production_emails_are_verified_by_code_by_default(
        self, browser, at, acme, live_wallet
    ):
        world.activate_production(acme)
        form = form_data(live_wallet, emails="ada@example.com")

        assert browser.post(at("new", environment="production"), form).status_code == 303
        assert newest().proof == "CODE"

        form |= {"proof": "TYPED", "submission": ids.new("sub")}
        assert browser.post(at("new", environment="production"), form).status_code == 303
        assert newest().proof == "TYPED"


def _fields_of(page: str) -> dict[str, str]:
    """Return the fields that the form of a page would submit."""
    form = re.search(r'<form class="form".*?</form>', page, re.DOTALL)[0]
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'name="([^"]+)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        fields[name[1]] = unescape(value[1]) if value else ""
    for name, value in re.findall(r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.S):
        fields[name] = unescape(value)
    return fields


class TestDuplicateLink:
    def test_fills_in_the_values_of_the_link(self, browser, make, at, savings, shop):
        grace = Restrictions(emails=("grace@example.com",), wallet_ids=(shop.id,), proof="CODE")
        link = make(
            description="Two\nlines <b>",
            amount=Decimal("12.5"),
            max_uses=3,
            restrictions=grace,
            expires_at=clock.real_now() + timedelta(days=7),
        )
        page = browser.get(at(link.id)).content.decode()
        assert f"{at('new')}?like={link.id}" in page

        initial = browser.get(at("new"), {"like": link.id}).context["form"].initial

        assert initial == {
            "direction": "SEND",
            "wallet": link.wallet_id,
            "amount": "12.50",
            "description": "Two\nlines <b>",
            "expires": "7",
            "max_uses": 3,
            "emails": "grace@example.com",
            "wallet_ids": shop.id,
            "proof": "CODE",
        }
        assert PaymentLink.objects.count() == 1

    def test_can_be_submitted_unchanged(self, browser, make, at):
        link = make(direction="RECEIVE", description="Rent")
        page = browser.get(at("new"), {"like": link.id})
        assert re.search(r'value="RECEIVE"[^>]* checked', page.content.decode())

        form = page.context["form"].initial | {"submission": ids.new("sub")}
        assert browser.post(at("new"), form).status_code == 303

        assert newest().id != link.id
        assert (newest().description, newest().amount) == ("Rent", link.amount)

    def test_of_a_link_with_a_custom_date_asks_for_a_new_date(self, browser, make, at):
        link = make(expires_at=clock.real_now() + timedelta(hours=5))

        form = browser.get(at("new"), {"like": link.id}).context["form"]

        assert form.initial["expires"] == "at"

    def test_of_a_closed_wallet_selects_no_other_wallet(self, browser, make, at, acme, savings):
        link = make(savings, direction="RECEIVE")
        wallets.close(savings, actor=world.actor_for(acme))

        form = browser.get(at("new"), {"like": link.id}).context["form"]

        assert form.fields["wallet"].choices[0] == ("", "Choose a wallet")

    def test_of_a_strangers_or_unknown_link_is_not_found(self, browser, make, at, shop):
        world.fund(shop, "100")

        for id in (make(shop).id, world.unknown_id("lnk"), "x"):
            assert browser.get(at("new"), {"like": id}).status_code == 404


class TestLinkPage:
    def test_shows_the_address_and_its_qr_code(self, browser, make, at):
        link = make(description="Prize")

        page = browser.get(at(link.id)).content.decode()

        assert page.count(link.url) >= 3  # to read, to copy, to open
        assert f'data-copy="{link.url}"' in page
        assert "QR code" in page

    def test_shows_the_metadata(self, browser, make, at):
        link = make(metadata={"invoice": "A-17", "<b>": {"n": Decimal("1.50")}})

        text = text_of(browser.get(at(link.id)))

        assert "invoice A-17" in text
        assert '<b> {"n": 1.50}' in text

    def test_hides_the_address_from_users_who_may_not_pay(self, viewer, make, at):
        for link in (make(), make(direction="RECEIVE")):
            page = viewer.get(at(link.id)).content.decode()
            assert link.slug not in page
            assert f"/pay/{link.slug[:4]}…" in page
            assert "Cancel the link" not in page
            assert link.slug not in viewer.get(at()).content.decode()

    def test_shows_the_held_amount(self, browser, make, at):
        text = text_of(browser.get(at(make(max_uses=4).id)))

        assert "Set aside $100.00" in text
        assert "0 of 4" in text

    def test_receive_link_shows_no_held_amount(self, browser, make, at):
        assert "Set aside" not in text_of(browser.get(at(make(direction="RECEIVE").id)))

    def test_shows_claims_and_timeline(self, browser, make, at, shop):
        link = make(max_uses=2)
        _claim(link, shop)

        text = text_of(browser.get(at(link.id)))

        assert shop.id in text
        assert "Link made that pays $25.00 from Research agent" in text
        assert "Link over $25.00 claimed" in text
        assert "Set aside $25.00" in text
        assert shop.name not in text

    def test_link_past_its_expiry_is_shown_as_expired(self, browser, make, at, acme):
        link = make(expires_at=clock.real_now() + timedelta(hours=1))
        Organization.objects.filter(pk=acme.pk).update(sandbox_offset=timedelta(hours=2))

        page = browser.get(at(link.id))

        assert "Expired" in text_of(page)
        assert "Cancel the link" not in text_of(page)

    def test_is_not_found_by_strangers_or_in_the_other_environment(self, browser, make, at, shop):
        world.fund(shop, "100")
        foreign, own = make(shop), make()

        assert browser.get(at(foreign.id)).status_code == 404
        assert browser.get(at(own.id, environment="production")).status_code == 404
        assert browser.get(at(world.unknown_id("lnk"))).status_code == 404

    def test_accepts_older_id_prefixes(self, browser, make, at):
        ulid = make().id.removeprefix("lnk_")

        assert browser.get(at(f"plink_{ulid}")).status_code == 200

    def test_needs_a_constant_number_of_queries(
        self, browser, make, at, globex, django_assert_max_num_queries
    ):
        link = make(max_uses=10)
        for number in range(5):
            _claim(link, world.make_wallet(globex, f"Desk {number}"))
        browser.get(at(link.id))

        with django_assert_max_num_queries(16):
            browser.get(at(link.id))


class TestClaimsOnLinkPage:
    """The page shows claims without whole account numbers or addresses."""

    def test_bank_claim_is_shown_with_its_history(self, browser, make, at, acme):
        link = make()
        claim = _claim(link, rails.bank(number="000987654321"))
        page = browser.get(at(link.id))
        assert "Processing" in text_of(page)

        rails.settle(acme)

        page = browser.get(at(link.id))
        text = text_of(page)
        assert "ACH" in text
        assert "account ending in 4321" in text
        assert "98765" not in page.content.decode()
        assert re.search(r"History .*Processing .*Paid", text)
        assert claim.id not in text

    def test_typed_email_is_not_shown_as_verified(self, browser, make, at, shop):
        link = make(restrictions=Restrictions(emails=("ada@example.com",), proof="TYPED"))
        _claim(link, shop, recipient_email="ada@example.com")

        assert "E-mail typed: ada@example.com" in text_of(browser.get(at(link.id)))

    def test_claim_from_a_wallet_is_shown_as_paid_and_not_as_paid_out(
        self, browser, make, at, shop
    ):
        world.fund(shop, "100")
        link = make(direction="RECEIVE")
        owner = world.actor_for(shop.organization)
        _claim(link, shop, authorized_by=owner)

        text = text_of(browser.get(at(link.id)))

        assert f"From wallet {shop.id}" in text
        assert re.search(r"Link over \$25\.00 paid \d", text)
        assert "paid out" not in text

    def test_failed_claim_shows_its_reason_and_that_the_link_reopened(
        self, browser, make, at, acme
    ):
        link = make()
        _claim(link, rails.bank(3))

        rails.settle(acme)

        text = text_of(browser.get(at(link.id)))
        assert "Failed" in text
        assert "R03" in text
        assert re.search(r"A use of this link came free again on .*R03", text)
        assert re.search(r"open again: .*R03", text)

    def test_returned_claim_shows_its_reason(self, browser, make, at, acme):
        link = make()
        _claim(link, rails.bank(10))

        rails.settle(acme)
        rails.settle(acme, seconds=20)

        text = text_of(browser.get(at(link.id)))
        assert re.search(r"History .*Processing .*Paid .*Returned .*R10", text)

    def test_usdc_claim_shows_a_shortened_address(self, browser, at, acme):
        wallet = world.make_wallet(acme, "Coins", currency="USDC", funds="100")
        actor = world.actor_for(acme)
        terms = {"wallet": wallet, "amount": Decimal(5), "direction": "SEND"}
        link = payment_links.create(actor=actor, **terms)
        _claim(link, rails.chain_address())

        page = browser.get(at(link.id))

        assert "To address 0x5290…9EE7" in text_of(page)
        assert rails.chain_address().address not in page.content.decode()

    def test_claims_of_each_method_need_a_constant_number_of_queries(
        self, browser, make, at, globex, django_assert_max_num_queries
    ):
        link = make(max_uses=20)
        for number in range(5):
            _claim(link, world.make_wallet(globex, f"Desk {number}"))
            _claim(link, rails.bank(number=f"00012345678{number}"))
        browser.get(at(link.id))

        with django_assert_max_num_queries(18):
            browser.get(at(link.id))


class TestSettingsPage:
    @pytest.fixture
    def admin(self, acme):
        return world.browser(world.make_member(acme, "ADMIN"))

    def test_conversion_is_allowed_and_forbidden(self, admin, viewer, at, acme):
        def converts():
            return [
                settings.converts_currencies(acme, environment)
                for environment in ("SANDBOX", "PRODUCTION")
            ]

        assert converts() == [True, False]
        assert " checked" in admin.get(at("settings")).content.decode()
        assert "Exchanged 1:1" in text_of(viewer.get(at("settings")))

        assert admin.post(at("settings"), {"submission": ids.new("sub")}).status_code == 303
        assert converts() == [False, False]
        assert "Not exchanged" in text_of(viewer.get(at("settings")))

        form = {"converts_currencies": "on", "submission": ids.new("sub")}
        assert admin.post(at("settings"), form).status_code == 303
        assert converts() == [True, False]

    def test_production_has_its_own_settings(self, admin, viewer, acme):
        world.activate_production(acme)
        path = f"/{acme.id}/production/payment-links/settings"
        assert "Not exchanged" in text_of(viewer.get(path))
        assert "off at first here, on in the sandbox" in text_of(viewer.get(path))

        form = {"converts_currencies": "on", "submission": ids.new("sub")}
        assert admin.post(path, form).status_code == 303
        assert settings.converts_currencies(acme, "PRODUCTION")
        assert "Exchanged 1:1" in text_of(viewer.get(path))

    def test_is_linked_from_the_list_and_the_organizations_settings(self, admin, at, acme):
        for path in (at(), f"/{acme.id}/sandbox/settings"):
            assert f'href="{at("settings")}"' in admin.get(path).content.decode()


class TestCancelPage:
    def test_shows_claims_that_continue(self, browser, make, at, acme, funded):
        link = make(max_uses=2)
        _claim(link, rails.bank())

        text = text_of(browser.get(at(link.id, "cancel")))

        assert "$25.00 that nobody has claimed comes back to Research agent" in text
        assert "1 claim under way goes on: its money stays set aside until it has arrived" in text
        assert browser.post(at(link.id, "cancel"), {"submission": ids.new("sub")}).status_code
        assert available_of(funded) == Decimal(975)
        rails.settle(acme)
        assert world.balance_of(funded) == Decimal(975)

    def test_shows_the_released_amount_and_releases_it(self, browser, make, at, funded):
        link = make(max_uses=2)
        question = text_of(browser.get(at(link.id, "cancel")))
        assert "$50.00 comes back to Research agent at once" in question

        answer = browser.post(at(link.id, "cancel"), {"submission": ids.new("sub")})

        assert (answer.status_code, answer.url) == (303, at(link.id))
        assert available_of(funded) == Decimal(1000)
        assert "Canceled" in text_of(browser.get(answer.url))

    def test_does_not_change_settled_claims(self, browser, make, at, shop, funded):
        link = make(max_uses=2)
        _claim(link, shop)
        assert "$25.00 that nobody has claimed" in text_of(browser.get(at(link.id, "cancel")))

        browser.post(at(link.id, "cancel"), {"submission": ids.new("sub")})

        assert available_of(funded) == Decimal(975)

    def test_of_a_receive_link_moves_no_money(self, browser, make, at):
        link = make(direction="RECEIVE")

        assert "No money moves" in text_of(browser.get(at(link.id, "cancel")))

    def test_submitting_twice_leads_to_the_same_page(self, browser, make, at):
        link, form = make(), {"submission": ids.new("sub")}

        first = browser.post(at(link.id, "cancel"), form)
        again = browser.post(at(link.id, "cancel"), form)

        assert (again.status_code, again.url) == (303, first.url)

    def test_of_a_claimed_link_shows_that_it_has_ended(self, browser, make, at, shop):
        link = make()
        _claim(link, shop)

        answer = browser.post(at(link.id, "cancel"), {"submission": ids.new("sub")})

        assert answer.status_code == 422
        assert "This link was over before" in text_of(answer)
        assert "Back to the link" in text_of(answer)

    def test_is_forbidden_for_viewers(self, viewer, make, at):
        link = make()

        assert viewer.get(at(link.id, "cancel")).status_code == 403
        assert viewer.post(at(link.id, "cancel"), {}).status_code == 403
        assert viewer.post(at("new"), {}).status_code == 403
        assert PaymentLink.objects.get(pk=link.pk).status == "ACTIVE"


def test_navigation_links_to_the_list(browser, at):
    page = browser.get(at()).content.decode()

    assert re.search(rf'<a href="{at()}" aria-current="page">.*?Payment links', page)
