"""The public page of a payment link: its states, and the steps to a claim."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.organizations.models import Organization
from accounts.wallets import services as wallets
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claim_status, payment_links, rate_limits
from links.payment_links.services.payment_links import Restrictions
from tests import world
from tests.links.pay_page.visiting import (
    address,
    claim,
    claimed,
    enter_email,
    enter_wallet,
    sealed,
    sent_by_our_server,
    text_of,
)
from tests.world import balance_of, everything
from wallgent import clock, ids
from wallgent.web import public_pages

ADA = "ada@example.com"


@pytest.fixture
def funded(wallet):
    world.fund(wallet, "1000")
    return wallet


@pytest.fixture
def make(funded):
    """Create a link of Acme that sends 25 USD by default."""

    def make(wallet=funded, **options):
        emails, wallet_ids = options.pop("emails", ()), options.pop("wallet_ids", ())
        options = {"amount": Decimal(25), "direction": "SEND"} | options
        return payment_links.create(
            actor=world.actor_for(wallet.organization, wallet.environment),
            wallet=wallet,
            restrictions=Restrictions(
                emails=tuple(emails), wallet_ids=tuple(wallet_ids), proof="TYPED"
            ),
            **options,
        )

    return make


@pytest.fixture
def link(make):
    return make(description="For the drawings")


@pytest.fixture
def visitor():
    return Client()


def turn_clock(organization, **ahead):
    Organization.objects.filter(pk=organization.pk).update(sandbox_offset=timedelta(**ahead))


class TestPage:
    def test_page_begins_with_sender_amount_and_direction(self, visitor, link):
        text = text_of(visitor.get(address(link)))

        assert text.startswith("Acme sends you $25.00")
        assert "For the drawings" in text
        assert "In the words of Acme" in text
        assert "We have not verified who Acme is" in text

    @pytest.mark.parametrize(
        ("amount", "size"),
        [
            ("1234567.5", "money"),
            ("123456789012.123456", "money money-long"),
            ("123456789012.12345678", "money money-longer"),
        ],
    )
    def test_amounts_are_not_broken_across_lines(self, visitor, make, amount, size):
        page = visitor.get(address(make(direction="RECEIVE", amount=Decimal(amount))))

        assert f'<span class="{size}">' in page.content.decode()

    def test_verified_sender_has_no_warning(self, visitor, link, acme):
        world.activate_production(acme)

        assert "not verified" not in text_of(visitor.get(address(link)))

    def test_sandbox_page_says_that_money_is_not_real(self, visitor, link):
        assert "A test page. No real money moves." in visitor.get(address(link)).content.decode()

    def test_production_page_does_not_mention_tests(self, visitor, make, live_wallet):
        world.deposit(live_wallet, "100")
        world.activate_production(live_wallet.organization)

        page = visitor.get(address(make(live_wallet))).content.decode()

        assert "test page" not in page
        assert "Acme" in page

    def test_page_says_when_the_link_expires(self, visitor, make):
        link = make(expires_at=clock.real_now() + timedelta(days=7))

        assert "Open until" in text_of(visitor.get(address(link)))

    def test_page_offers_the_links_methods(self, visitor, link):
        page = visitor.get(address(link)).content.decode()

        ways = re.findall(r'href="[^"]*\?method=(\w+)"( aria-current="true")?', page)
        assert {name for name, _ in ways} == {"ach", "usdc", "wallet"}
        assert [name for name, current in ways if current] == ["ach"]
        assert "Where should the money go?" in text_of(visitor.get(address(link)))

    def test_page_shows_one_method_at_a_time(self, visitor, link):
        for way, label in {"ach": "Routing number", "wallet": "Wallet id"}.items():
            text = text_of(visitor.get(f"{address(link)}?method={way}"))
            assert label in text
        assert visitor.get(f"{address(link)}?method=nonsense").status_code == 200

    def test_page_of_a_payment_request_says_so(self, visitor, make):
        text = text_of(visitor.get(address(make(direction="RECEIVE"))))

        assert text.startswith("Acme asks you for $25.00")
        assert "A request for your money" in text
        assert "How would you like to pay?" in text
        assert "sends you" not in text

    @pytest.mark.parametrize(
        "description",
        [
            "<script>alert(1)</script><img src=x onerror=alert(1)>",
            "Look at https://evil.example/ and javascript:alert(1)",
            "\u202eevil gnihtemos\u202c שלום",
            "🦉" * 50,
            "w" * 1024,
            "two\nlines",
        ],
    )
    def test_description_is_escaped(self, visitor, make, description):
        page = visitor.get(address(make(description=description))).content.decode()
        quote = re.search(r'<blockquote[^>]* dir="auto">(.*?)</blockquote>', page, re.DOTALL)[1]

        assert unescape(quote.replace("<br>", "\n")) == description
        assert set(re.findall(r"<\w+", quote)) <= {"<br"}
        assert "evil.example" not in "".join(re.findall(r'(?:href|src)="[^"]*"', page))

    def test_hostile_name_is_escaped(self, visitor, link, acme):
        Organization.objects.filter(pk=acme.pk).update(name='<script>alert("1")</script>')

        page = visitor.get(address(link)).content.decode()

        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


class TestHeaders:
    def test_url_stays_out_of_indexes_caches_and_referrers(self, visitor, link):
        for path in (address(link), "/pay/unknown", address(link, "review")):
            headers = visitor.get(path).headers
            assert "noindex" in headers["X-Robots-Tag"]
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "no-store" in headers["Cache-Control"]
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Frame-Options"] == "DENY"

    def test_page_has_no_external_and_no_inline_code(self, visitor, link):
        page = visitor.get(address(link)).content.decode()

        sources = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="([^"]*)"', page)
        assert sources
        assert all(source.startswith("/static/") for source in sources)
        assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", page)
        assert not re.search(r"<script[^>]*>[^<]", page)
        assert '<meta name="robots" content="noindex' in page

    def test_forms_can_be_sent_without_a_referrer(self, visitor, link):
        """Under no-referrer browsers send `Origin: null`, so our own site needs a referrer."""
        page = visitor.get(address(link)).content.decode()

        assert '<meta name="referrer" content="same-origin">' in page

    def test_page_and_assets_take_80_kilobytes(self, visitor, link):
        """Measured as compressed by our server."""
        page = visitor.get(address(link)).content
        paths = re.findall(r'(?:href|src)="(/static/[^"?]+)', page.decode())
        sent = [len(sent_by_our_server(path)) for path in paths]

        assert len(sent) >= 3
        assert len(page) + sum(sent) <= 80_000
        assert "htmx" not in page.decode().replace("htmx-config", "")  # this page does not poll


class TestGet:
    def test_get_changes_nothing_and_creates_no_session(self, visitor, link):
        before = everything()

        for method in (visitor.get, visitor.head):
            for path in (address(link), address(link, "review"), address(link, "receipt", "x")):
                method(path)

        assert everything() == before
        assert settings.SESSION_COOKIE_NAME not in visitor.cookies

    def test_page_takes_few_queries(self, visitor, link):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            visitor.get(address(link))

        assert len(queries) <= 5

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_other_methods_are_refused(self, visitor, link, method):
        assert getattr(visitor, method)(address(link)).status_code == 405

    @pytest.mark.parametrize("slug", ["x", "a" * 32, "a" * 500, "%00", "..%2f", "ключ", "a b"])
    def test_unknown_slug_is_not_found(self, visitor, db, slug):
        answer = visitor.get(f"/pay/{slug}")

        assert answer.status_code == 404
        if "%2f" not in slug:
            assert "This link leads nowhere" in answer.content.decode()


class TestClaim:
    def test_claim_to_a_wallet_is_paid_and_shows_the_receipt(self, visitor, link, shop, wallet):
        answer = enter_wallet(visitor, link, shop.id)
        assert (answer.status_code, answer.url) == (303, address(link, "review"))
        review = text_of(visitor.get(answer.url))
        assert "Is this right?" in review
        assert f"{shop.id[:10]}…{shop.id[-6:]}" in review
        assert shop.name not in review  # names of wallets are private
        assert "At once" in review

        answer = claim(visitor, link, shop.id)

        assert answer.status_code == 303
        receipt = visitor.get(answer.url)
        paid = Claim.objects.get(link=link)
        assert paid.payment_id in text_of(receipt)
        assert "You have been paid Paid $25.00" in text_of(receipt)
        assert "Acme" in text_of(receipt)
        assert (balance_of(shop), balance_of(wallet)) == (Decimal(25), Decimal(975))

    def test_double_click_pays_once_and_leads_to_the_same_receipt(self, visitor, link, shop):
        enter_wallet(visitor, link, shop.id)
        key = ids.new("sub")

        first = claim(visitor, link, shop.id, key)
        again = claim(visitor, link, shop.id, key)

        assert (again.status_code, again.url) == (303, first.url)
        assert balance_of(shop) == Decimal(25)

    def test_second_click_after_back_says_that_the_link_was_claimed(self, visitor, link, shop):
        enter_wallet(visitor, link, shop.id)
        claim(visitor, link, shop.id)

        again = claim(visitor, link, shop.id)

        assert again.status_code == 422
        assert "claimed already" in text_of(again)
        assert "You have claimed this payment before, and that counts" in text_of(again)
        assert claim_status.token_of(Claim.objects.get()) in again.content.decode()
        assert "You get" not in text_of(again)
        assert balance_of(shop) == Decimal(25)

    def test_form_works_without_scripts_with_its_csrf_token(self, link, shop):
        visitor = Client(enforce_csrf_checks=True)
        page = visitor.get(address(link)).content.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        enter_wallet(visitor, link, shop.id, csrfmiddlewaretoken=token)
        page = visitor.get(address(link, "review")).content.decode()
        data = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))

        answer = visitor.post(address(link, "review"), data)

        assert answer.status_code == 303
        assert "You have been paid" in text_of(visitor.get(answer.url))

    def test_form_without_a_csrf_token_changes_nothing(self, link, shop):
        visitor = Client(enforce_csrf_checks=True)
        before = everything()

        answer = visitor.post(address(link), {}, headers={"Accept-Language": "es"})
        assert (answer.status_code, claim(visitor, link, shop.id).status_code) == (403, 403)
        assert "No se ha hecho nada" in text_of(answer)
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert everything() == before

    def test_link_with_several_uses_pays_each_visitor_once(self, make, shop, globex):
        link = make(max_uses=2)
        other = world.make_wallet(globex, "Other")

        claimed(link, shop)
        claimed(link, other)

        assert (balance_of(shop), balance_of(other)) == (Decimal(25), Decimal(25))
        assert PaymentLink.objects.get(pk=link.pk).status == "SETTLED"

    def test_second_claim_by_a_wallet_is_refused_beside_its_field(self, make, shop):
        link = make(max_uses=2)
        claimed(link, shop)

        answer = enter_wallet(Client(), link, shop.id)

        assert answer.status_code == 422
        assert "has claimed this payment link already" in text_of(answer)


class TestReceipt:
    def test_other_visitors_of_the_link_do_not_see_the_receipt(self, link, shop):
        claimed(link, shop)

        page = text_of(Client().get(address(link)))

        assert "This link has been used" in page
        assert Claim.objects.get(link=link).payment_id not in page
        assert "Acme" not in page

    def test_claimant_finds_the_receipt_from_the_link(self, link, shop):
        visitor = claimed(link, shop)

        page = visitor.get(address(link)).content.decode()

        assert "You have claimed this payment" in page
        url = re.search(r'href="(/pay/[^"]+/receipt/[^"]+)"', page)[1]
        assert Claim.objects.get(link=link).payment_id in text_of(Client().get(url))

    @pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x", lambda t: t.split(":")[0]])
    def test_receipt_needs_its_whole_token(self, visitor, link, shop, change):
        claimed(link, shop)
        paid = Claim.objects.get(link=link)
        token = change(claim_status.token_of(paid))

        assert visitor.get(address(link, "receipt", token)).status_code == 404

    def test_token_belongs_to_its_link(self, visitor, make, link, shop):
        claimed(link, shop)
        token = claim_status.token_of(Claim.objects.get(link=link))

        assert visitor.get(address(make(), "receipt", token)).status_code == 404


class TestWalletForm:
    def test_malformed_wallet_id_is_refused_beside_its_field_and_kept(self, visitor, link):
        answer = enter_wallet(visitor, link, "wal_nonsense")

        assert answer.status_code == 422
        assert "“wal_nonsense” is not a wallet id" in text_of(answer)
        assert 'value="wal_nonsense"' in answer.content.decode()

    def test_wallet_id_is_required(self, visitor, link):
        answer = enter_wallet(visitor, link, "")

        assert answer.status_code == 422
        assert "Type the id of the wallet" in text_of(answer)

    def test_wallet_that_cannot_receive_is_refused(self, visitor, link, funded, globex):
        world.make_key(globex, "PRODUCTION")
        closed = world.make_wallet(globex, "Closed")
        wallets.close(closed, actor=world.actor_for(globex))
        wrong = {
            world.unknown_id("wal"): "There is no such wallet",
            world.make_wallet(globex, "Live", environment="PRODUCTION").id: "no such wallet",
            world.make_wallet(globex, "Coins", currency="USDC").id: "the wallet holds USDC",
            funded.id: "cannot pay the wallet it is paid from",
            closed.id: "The wallet is closed",
        }
        before = everything()

        for wallet_id, words in wrong.items():
            answer = enter_wallet(visitor, link, wallet_id)
            assert answer.status_code == 422
            assert words in text_of(answer)
            assert f'value="{wallet_id}"' in answer.content.decode()
            field = answer.context["form"].errors
            assert list(field) == ["wallet_id"]
        assert everything() == before

    def test_frozen_wallet_can_receive(self, visitor, link, shop, globex):
        wallets.freeze(shop, actor=world.actor_for(globex))

        claimed(link, shop)

        assert balance_of(shop) == Decimal(25)

    def test_error_at_the_review_step_keeps_the_draft(self, visitor, link, funded):
        answer = claim(visitor, link, funded.id)

        assert answer.status_code == 422
        assert "cannot pay the wallet it is paid from" in text_of(answer)
        assert f"{funded.id[:10]}…{funded.id[-6:]}" in text_of(answer)


class TestSignedInVisitor:
    @pytest.fixture
    def member(self, globex):
        return world.make_member(globex, "VIEWER")

    def test_visitor_chooses_among_suitable_wallets(self, link, shop, globex, member):
        coins = world.make_wallet(globex, "Coins", currency="USDC")
        closed = world.make_wallet(globex, "Closed")
        wallets.close(closed, actor=world.actor_for(globex))
        visitor = world.browser(member)

        page = visitor.get(address(link)).content.decode()

        assert f'value="{shop.id}"' in page
        assert "Shop, Globex" in page
        assert coins.id not in page
        assert closed.id not in page
        assert "Sign in to choose" not in page

        visitor.post(address(link), {"step": "wallet", "own": shop.id})
        review = text_of(visitor.get(address(link, "review")))
        assert "Shop of Globex" in review
        assert claim(visitor, link, shop.id).status_code == 303
        assert balance_of(shop) == Decimal(25)

    def test_links_own_wallet_is_not_offered(self, link, funded, savings, acme):
        page = world.browser(world.make_member(acme, "OWNER")).get(address(link)).content.decode()

        assert savings.id in page
        assert funded.id not in page

    def test_visitor_can_enter_another_wallet_id(self, link, shop, acme, globex, member):
        other = world.make_wallet(acme, "Other")
        visitor = world.browser(member)

        answer = enter_wallet(visitor, link, other.id, own="other")

        assert (answer.status_code, answer.url) == (303, address(link, "review"))
        assert "Other" not in text_of(visitor.get(answer.url))

    def test_choice_is_kept_after_the_review(self, link, shop, globex, member, savings):
        visitor, second = world.browser(member), world.make_wallet(globex, "Second")

        visitor.post(address(link), {"step": "wallet", "own": second.id})
        form = visitor.get(address(link)).context["form"]
        assert (form["own"].value(), form["wallet_id"].value()) == (second.id, "")

        enter_wallet(visitor, link, savings.id, own="other")
        form = visitor.get(address(link)).context["form"]
        assert (form["own"].value(), form["wallet_id"].value()) == ("other", savings.id)

    def test_choosing_two_wallets_is_refused(self, link, shop, savings, member):
        answer = enter_wallet(world.browser(member), link, savings.id, own=shop.id)

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["wallet_id"]

    def test_wallet_of_another_cannot_be_chosen_from_the_list(self, link, savings, member):
        answer = world.browser(member).post(address(link), {"step": "wallet", "own": savings.id})

        assert answer.status_code == 422

    def test_refusal_of_the_chosen_wallet_is_shown_beside_the_list(self, make, shop, member):
        link = make(max_uses=2)
        claimed(link, shop)

        answer = world.browser(member).post(address(link), {"step": "wallet", "own": shop.id})

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["own"]

    def test_signed_out_visitor_can_sign_in_and_return(self, visitor, link):
        page = visitor.get(f"{address(link)}?method=wallet").content.decode()

        assert f'href="/account/login/?next={address(link)}"' in page


class TestRestriction:
    def test_sender_is_withheld_until_the_address_is_entered(self, visitor, make, shop):
        link = make(emails=[ADA], description="Prize")
        text = text_of(visitor.get(address(link)))
        assert text.startswith("Somebody sends you $25.00")
        assert "This payment is for one person" in text
        assert "Acme" not in visitor.get(address(link)).content.decode()
        assert ADA not in visitor.get(address(link)).content.decode()

        answer = enter_email(visitor, link, "  ADA@Example.com ")

        assert (answer.status_code, answer.url) == (303, address(link))
        assert text_of(visitor.get(address(link))).startswith("Acme sends you")
        enter_wallet(visitor, link, shop.id)
        claim(visitor, link, shop.id)
        assert Claim.objects.get(link=link).recipient_email == ADA

    @pytest.mark.parametrize(
        "email",
        ["eve@example.com", "аda@example.com", "ada@exаmple.com", f"{ADA}.evil.example", "ada"],
    )
    def test_other_and_lookalike_addresses_are_refused(self, visitor, make, shop, email):
        link = make(emails=[ADA])

        answer = enter_email(visitor, link, email)

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["email"]
        assert f'value="{email}"' in answer.content.decode()
        assert "Acme" not in answer.content.decode()

    def test_later_steps_do_not_bypass_the_restriction(self, visitor, make, shop):
        link = make(emails=[ADA])
        before = everything()

        enter_wallet(visitor, link, shop.id)
        assert visitor.get(address(link, "review")).status_code == 303
        answer = claim(visitor, link, shop.id)

        assert (answer.status_code, answer.url) == (303, address(link))
        assert "Acme" not in visitor.get(answer.url).content.decode()
        assert everything() == before

    def test_restriction_is_met_per_session(self, visitor, make):
        link = make(emails=[ADA])
        enter_email(visitor, link, ADA)

        assert "Acme" not in Client().get(address(link)).content.decode()

    def test_link_restricted_to_wallets_reveals_the_sender_to_them_only(
        self, visitor, make, shop, globex
    ):
        link = make(wallet_ids=[shop.id])
        other = world.make_wallet(globex, "Other")
        assert "Acme" not in visitor.get(address(link)).content.decode()

        refused = enter_wallet(visitor, link, other.id)
        assert refused.status_code == 422
        assert "not for that wallet" in text_of(refused)
        assert "Acme" not in refused.content.decode()

        enter_wallet(visitor, link, shop.id)
        assert "Acme" in text_of(visitor.get(address(link, "review")))

    def test_payment_request_withholds_the_requester(self, visitor, make):
        link = make(direction="RECEIVE", emails=[ADA])
        assert text_of(visitor.get(address(link))).startswith("Somebody asks you for $25.00")

        enter_email(visitor, link, ADA)

        assert text_of(visitor.get(address(link))).startswith("Acme asks you for")


class TestInactiveLink:
    def _cancel(self, link):
        payment_links.cancel(link, actor=world.actor_for(link.organization))

    def test_page_says_how_the_link_ended(self, visitor, make, acme, shop):
        used, gone = make(), make()
        late = make(expires_at=clock.real_now() + timedelta(hours=1))
        claimed(used, shop)
        self._cancel(gone)
        turn_clock(acme, hours=2)

        assert "This link has been used" in text_of(visitor.get(address(used)))
        assert "This link was cancelled" in text_of(visitor.get(address(gone)))
        assert "This link has expired" in text_of(visitor.get(address(late)))

    def test_link_of_a_frozen_wallet_is_unavailable_until_it_is_unfrozen(
        self, visitor, link, funded, acme
    ):
        wallets.freeze(funded, actor=world.actor_for(acme))

        page = text_of(visitor.get(address(link)))

        assert "This payment has to wait" in page
        assert "frozen" not in page.lower()

    @pytest.mark.parametrize(
        ("end", "words"),
        [
            ("claimed", "claimed already"),
            ("cancelled", "was cancelled"),
            ("expired", "has expired"),
        ],
    )
    def test_link_that_ends_during_the_form_says_so(self, visitor, make, shop, savings, end, words):
        link = make(expires_at=clock.real_now() + timedelta(hours=1))
        enter_wallet(visitor, link, shop.id)
        visitor.get(address(link, "review"))
        if end == "claimed":
            claimed(link, savings)
        elif end == "cancelled":
            self._cancel(link)
        else:
            turn_clock(link.organization, hours=2)

        answer = claim(visitor, link, shop.id)

        assert answer.status_code == 422
        assert words in text_of(answer)
        assert f"{shop.id[:10]}…{shop.id[-6:]}" in text_of(answer)
        assert "Claim the money" not in text_of(answer)
        assert balance_of(shop) == 0

    def test_link_that_ends_before_the_choice_redirects_to_its_page(self, visitor, link, shop):
        self._cancel(link)

        answer = enter_wallet(visitor, link, shop.id)

        assert answer.url == address(link)
        assert visitor.get(address(link, "review")).url == address(link)

    def test_wallet_frozen_during_the_form_keeps_its_money(self, visitor, link, shop, funded, acme):
        enter_wallet(visitor, link, shop.id)
        wallets.freeze(funded, actor=world.actor_for(acme))

        answer = claim(visitor, link, shop.id)

        assert answer.status_code == 422
        assert "cannot be paid out right now" in text_of(answer)
        assert balance_of(shop) == 0


class TestRates:
    def test_entered_addresses_are_limited_per_network(self, visitor, make, monkeypatch):
        monkeypatch.setattr(
            rate_limits, "ADDRESSES", 0
        )  # which leaves three for the one address of the link
        link, other = make(emails=[ADA]), make(emails=[ADA])
        guesses = [enter_email(visitor, link, f"g{n}@example.com") for n in range(5)]

        assert [guess.status_code for guess in guesses] == [422, 422, 422, 429, 429]
        assert int(guesses[-1].headers["Retry-After"]) > 0
        assert enter_email(visitor, link, ADA).status_code == 429
        assert enter_email(visitor, other, ADA).status_code == 303
        assert visitor.get(address(link)).status_code == 200

    def test_limit_of_addresses_admits_everyone_the_link_is_for(self, make):
        people = [f"p{n}@example.com" for n in range(25)]
        link = make(emails=people, max_uses=25)

        assert {enter_email(Client(), link, one).status_code for one in people} == {303}

    def test_limit_of_unknown_slugs_does_not_affect_known_ones(self, visitor, link, monkeypatch):
        monkeypatch.setattr(public_pages, "UNKNOWN", 3)

        tries = [visitor.get(f"/pay/{'a' * 30}{n}").status_code for n in range(5)]

        assert tries == [404, 404, 404, 429, 429]
        assert visitor.get(address(link)).status_code == 200

    def test_networks_are_limited_separately(self, link, monkeypatch):
        monkeypatch.setattr(public_pages, "READS", 2)
        here, there = Client(REMOTE_ADDR="192.0.2.1"), Client(REMOTE_ADDR="192.0.2.2")

        assert [here.get(address(link)).status_code for _ in range(3)] == [200, 200, 429]
        assert there.get(address(link)).status_code == 200

    def test_refused_post_says_how_to_send_the_form_again(self, visitor, link, monkeypatch):
        monkeypatch.setattr(public_pages, "WRITES", 0)

        answer = visitor.post(address(link), {"step": "ach"})

        assert answer.status_code == 429
        assert "reload this page" in text_of(answer)

    def test_polling_a_claim_does_not_use_up_the_links_limit(self, make, shop, monkeypatch):
        """These pages poll every few seconds, in an office from one network."""
        link = make(max_uses=2)
        visitor = claimed(link, shop)
        news = claim_status.token_of(Claim.objects.get())
        monkeypatch.setattr(public_pages, "READS", 3)

        asked = [visitor.get(address(link, "receipt", news)).status_code for _ in range(4)]

        assert asked == [200, 200, 200, 429]
        assert Client().get(address(link)).status_code == 200

    def test_office_behind_one_network_can_claim(self, make, globex):
        link = make(max_uses=15)
        for number in range(15):
            claimed(link, world.make_wallet(globex, f"Desk {number}"))

        assert PaymentLink.objects.get(pk=link.pk).use_count == 15


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_one_of_many_visitors_claims_a_single_use(self, make, globex):
        link = make()
        desks = [world.make_wallet(globex, f"Desk {number}") for number in range(8)]

        def go(number):
            visitor = Client()
            return claim(visitor, link, desks[number].id)

        answers = world.in_parallel(8, go)

        assert sorted(answer.status_code for answer in answers) == [303, *[422] * 7]
        assert sum(balance_of(desk) for desk in desks) == Decimal(25)

    def test_visitor_who_clicks_many_times_claims_once(self, make, shop):
        link, key = make(), ids.new("sub")
        sealed(link, shop.id)

        answers = world.in_parallel(6, lambda _: claim(Client(), link, shop.id, key))

        assert {(answer.status_code, answer.url) for answer in answers} == {(303, answers[0].url)}
        assert balance_of(shop) == Decimal(25)
