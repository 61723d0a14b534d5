"""The public page of a payment link: every face it has, and the way to the money."""

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
from links.pay_page import access
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claim_status, payment_links, rate_limits
from links.payment_links.services.payment_links import Restrictions
from tests import world
from tests.links.pay_page.visiting import (
    address,
    claim,
    claimed,
    say_email,
    say_wallet,
    sealed,
    sent_by_our_server,
    text_of,
)
from tests.world import balance_of, everything
from wallgent import clock, ids

ADA = "ada@example.com"


@pytest.fixture
def funded(wallet):
    world.fund(wallet, "1000")
    return wallet


@pytest.fixture
def make(funded):
    """A new link of Acme's; it sends 25 USD unless told otherwise."""

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
    def test_says_first_who_how_much_and_which_way(self, visitor, link):
        text = text_of(visitor.get(address(link)))

        assert text.startswith("Acme sends you 25.00 USD")
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
    def test_breaks_no_amount_at_the_end_of_a_line(self, visitor, make, amount, size):
        page = visitor.get(address(make(direction="RECEIVE", amount=Decimal(amount))))

        assert f'<span class="{size}">' in page.content.decode()

    def test_does_not_doubt_a_verified_sender(self, visitor, link, acme):
        world.activate_production(acme)

        assert "not verified" not in text_of(visitor.get(address(link)))

    def test_says_that_sandbox_money_is_not_real(self, visitor, link):
        assert "A test page. No real money moves." in visitor.get(address(link)).content.decode()

    def test_of_production_says_nothing_of_tests(self, visitor, make, live_wallet):
        world.deposit(live_wallet, "100")
        world.activate_production(live_wallet.organization)

        page = visitor.get(address(make(live_wallet))).content.decode()

        assert "test page" not in page
        assert "Acme" in page

    def test_says_until_when_the_link_is_open(self, visitor, make):
        link = make(expires_at=clock.real_now() + timedelta(days=7))

        assert "Open until" in text_of(visitor.get(address(link)))

    def test_offers_the_ways_that_there_are(self, visitor, link):
        page = visitor.get(address(link)).content.decode()

        ways = re.findall(r'href="[^"]*\?method=(\w+)"( aria-current="true")?', page)
        assert {name for name, _ in ways} == {"ach", "usdc", "wallet"}
        assert [name for name, current in ways if current] == ["ach"]
        assert "Where should the money go?" in text_of(visitor.get(address(link)))

    def test_shows_one_way_at_a_time(self, visitor, link):
        for way, label in {"ach": "Routing number", "wallet": "Wallet id"}.items():
            text = text_of(visitor.get(f"{address(link)}?method={way}"))
            assert label in text
        assert visitor.get(f"{address(link)}?method=nonsense").status_code == 200

    def test_of_a_link_that_asks_for_money_says_so(self, visitor, make):
        text = text_of(visitor.get(address(make(direction="RECEIVE"))))

        assert text.startswith("Acme asks you for 25.00 USD")
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
    def test_quotes_a_description_without_carrying_it_out(self, visitor, make, description):
        page = visitor.get(address(make(description=description))).content.decode()
        quote = re.search(r'<blockquote[^>]* dir="auto">(.*?)</blockquote>', page, re.DOTALL)[1]

        assert unescape(quote.replace("<br>", "\n")) == description
        assert set(re.findall(r"<\w+", quote)) <= {"<br"}
        assert "evil.example" not in "".join(re.findall(r'(?:href|src)="[^"]*"', page))

    def test_shows_a_hostile_name_as_text(self, visitor, link, acme):
        Organization.objects.filter(pk=acme.pk).update(name='<script>alert("1")</script>')

        page = visitor.get(address(link)).content.decode()

        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


class TestHeaders:
    def test_keep_the_address_out_of_indexes_caches_and_other_sites(self, visitor, link):
        for path in (address(link), "/pay/unknown", address(link, "review")):
            headers = visitor.get(path).headers
            assert "noindex" in headers["X-Robots-Tag"]
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "no-store" in headers["Cache-Control"]
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Frame-Options"] == "DENY"

    def test_nothing_comes_from_elsewhere_or_stands_in_the_text(self, visitor, link):
        page = visitor.get(address(link)).content.decode()

        sources = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="([^"]*)"', page)
        assert sources
        assert all(source.startswith("/static/") for source in sources)
        assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", page)
        assert not re.search(r"<script[^>]*>[^<]", page)
        assert '<meta name="robots" content="noindex' in page

    def test_its_forms_can_be_sent_although_no_referrer_is(self, visitor, link):
        """Under no-referrer a browser sends `Origin: null`; within the site there must be one."""
        page = visitor.get(address(link)).content.decode()

        assert '<meta name="referrer" content="same-origin">' in page

    def test_it_is_all_there_in_60_kilobytes(self, visitor, link):
        """As our own server sends it."""
        page = visitor.get(address(link)).content
        paths = re.findall(r'(?:href|src)="(/static/[^"?]+)', page.decode())
        sent = [len(sent_by_our_server(path)) for path in paths]

        assert len(sent) >= 3
        assert len(page) + sum(sent) <= 60_000
        assert "htmx" not in page.decode().replace("htmx-config", "")  # it looks for no news


class TestReading:
    def test_changes_nothing_and_makes_no_session(self, visitor, link):
        before = everything()

        for method in (visitor.get, visitor.head):
            for path in (address(link), address(link, "review"), address(link, "receipt", "x")):
                method(path)

        assert everything() == before
        assert settings.SESSION_COOKIE_NAME not in visitor.cookies

    def test_takes_few_queries(self, visitor, link):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            visitor.get(address(link))

        assert len(queries) <= 5

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_other_methods_are_refused(self, visitor, link, method):
        assert getattr(visitor, method)(address(link)).status_code == 405

    @pytest.mark.parametrize("slug", ["x", "a" * 32, "a" * 500, "%00", "..%2f", "ключ", "a b"])
    def test_an_unknown_slug_is_a_calm_404(self, visitor, db, slug):
        answer = visitor.get(f"/pay/{slug}")

        assert answer.status_code == 404
        if "%2f" not in slug:
            assert "This link leads nowhere" in answer.content.decode()


class TestClaim:
    def test_pays_at_once_and_shows_the_receipt(self, visitor, link, shop, wallet):
        answer = say_wallet(visitor, link, shop.id)
        assert (answer.status_code, answer.url) == (303, address(link, "review"))
        review = text_of(visitor.get(answer.url))
        assert "Is this right?" in review
        assert f"{shop.id[:10]}…{shop.id[-6:]}" in review
        assert shop.name not in review  # what a stranger calls their wallet
        assert "At once" in review

        answer = claim(visitor, link, shop.id)

        assert answer.status_code == 303
        receipt = visitor.get(answer.url)
        paid = Claim.objects.get(link=link)
        assert paid.payment_id in text_of(receipt)
        assert "You have been paid 25.00 USD" in text_of(receipt)
        assert "Acme" in text_of(receipt)
        assert (balance_of(shop), balance_of(wallet)) == (Decimal(25), Decimal(975))

    def test_twice_by_a_double_click_pays_once_and_leads_to_the_same_receipt(
        self, visitor, link, shop
    ):
        say_wallet(visitor, link, shop.id)
        key = ids.new("sub")

        first = claim(visitor, link, shop.id, key)
        again = claim(visitor, link, shop.id, key)

        assert (again.status_code, again.url) == (303, first.url)
        assert balance_of(shop) == Decimal(25)

    def test_after_back_and_another_click_says_that_it_was_claimed(self, visitor, link, shop):
        say_wallet(visitor, link, shop.id)
        claim(visitor, link, shop.id)

        again = claim(visitor, link, shop.id)

        assert again.status_code == 422
        assert "claimed already" in text_of(again)
        assert "You have claimed this payment before, and that counts" in text_of(again)
        assert claim_status.token_of(Claim.objects.get()) in again.content.decode()
        assert "You get" not in text_of(again)
        assert balance_of(shop) == Decimal(25)

    def test_works_with_scripts_off_and_the_token_of_its_own_page(self, link, shop):
        visitor = Client(enforce_csrf_checks=True)
        page = visitor.get(address(link)).content.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        say_wallet(visitor, link, shop.id, csrfmiddlewaretoken=token)
        page = visitor.get(address(link, "review")).content.decode()
        said = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))

        answer = visitor.post(address(link, "review"), said)

        assert answer.status_code == 303
        assert "You have been paid" in text_of(visitor.get(answer.url))

    def test_without_its_token_does_nothing(self, link, shop):
        visitor = Client(enforce_csrf_checks=True)
        before = everything()

        answer = visitor.post(address(link), {}, headers={"Accept-Language": "es"})
        assert (answer.status_code, claim(visitor, link, shop.id).status_code) == (403, 403)
        assert "No se ha hecho nada" in text_of(answer)
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert everything() == before

    def test_of_several_uses_pays_each_visitor_once(self, make, shop, globex):
        link = make(max_uses=2)
        other = world.make_wallet(globex, "Other")

        claimed(link, shop)
        claimed(link, other)

        assert (balance_of(shop), balance_of(other)) == (Decimal(25), Decimal(25))
        assert PaymentLink.objects.get(pk=link.pk).status == "SETTLED"

    def test_by_the_same_wallet_again_is_refused_beside_it(self, make, shop):
        link = make(max_uses=2)
        claimed(link, shop)

        answer = say_wallet(Client(), link, shop.id)

        assert answer.status_code == 422
        assert "has claimed this payment link already" in text_of(answer)


class TestReceipt:
    def test_is_not_for_others_who_know_the_link(self, link, shop):
        claimed(link, shop)

        page = text_of(Client().get(address(link)))

        assert "This link has been used" in page
        assert Claim.objects.get(link=link).payment_id not in page
        assert "Acme" not in page

    def test_stays_within_reach_of_the_one_who_claimed(self, link, shop):
        visitor = claimed(link, shop)

        page = visitor.get(address(link)).content.decode()

        assert "You have claimed this payment" in page
        url = re.search(r'href="(/pay/[^"]+/receipt/[^"]+)"', page)[1]
        assert Claim.objects.get(link=link).payment_id in text_of(Client().get(url))

    @pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x", lambda t: t.split(":")[0]])
    def test_needs_its_whole_token(self, visitor, link, shop, change):
        claimed(link, shop)
        paid = Claim.objects.get(link=link)
        token = change(claim_status.token_of(paid))

        assert visitor.get(address(link, "receipt", token)).status_code == 404

    def test_belongs_to_its_own_link(self, visitor, make, link, shop):
        claimed(link, shop)
        token = claim_status.token_of(Claim.objects.get(link=link))

        assert visitor.get(address(make(), "receipt", token)).status_code == 404


class TestWallet:
    def test_that_is_malformed_is_told_beside_the_field_and_kept(self, visitor, link):
        answer = say_wallet(visitor, link, "wal_nonsense")

        assert answer.status_code == 422
        assert "“wal_nonsense” is not a wallet id" in text_of(answer)
        assert 'value="wal_nonsense"' in answer.content.decode()

    def test_must_be_named(self, visitor, link):
        answer = say_wallet(visitor, link, "")

        assert answer.status_code == 422
        assert "Type the id of the wallet" in text_of(answer)

    def test_must_be_one_that_could_get_the_money(self, visitor, link, funded, globex):
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
            answer = say_wallet(visitor, link, wallet_id)
            assert answer.status_code == 422
            assert words in text_of(answer)
            assert f'value="{wallet_id}"' in answer.content.decode()
            field = answer.context["form"].errors
            assert list(field) == ["wallet_id"]
        assert everything() == before

    def test_that_is_frozen_still_takes_money(self, visitor, link, shop, globex):
        wallets.freeze(shop, actor=world.actor_for(globex))

        claimed(link, shop)

        assert balance_of(shop) == Decimal(25)

    def test_wrong_at_the_last_step_is_refused_and_kept(self, visitor, link, funded):
        answer = claim(visitor, link, funded.id)

        assert answer.status_code == 422
        assert "cannot pay the wallet it is paid from" in text_of(answer)
        assert f"{funded.id[:10]}…{funded.id[-6:]}" in text_of(answer)


class TestVisitorWhoIsSignedIn:
    @pytest.fixture
    def member(self, globex):
        return world.make_member(globex, "VIEWER")

    def test_chooses_among_the_wallets_that_fit(self, link, shop, globex, member):
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

    def test_is_not_offered_the_links_own_wallet(self, link, funded, savings, acme):
        page = world.browser(world.make_member(acme, "OWNER")).get(address(link)).content.decode()

        assert savings.id in page
        assert funded.id not in page

    def test_may_name_another_by_its_id(self, link, shop, acme, globex, member):
        other = world.make_wallet(acme, "Other")
        visitor = world.browser(member)

        answer = say_wallet(visitor, link, other.id, own="other")

        assert (answer.status_code, answer.url) == (303, address(link, "review"))
        assert "Other" not in text_of(visitor.get(answer.url))

    def test_finds_the_choice_again_after_looking_at_it(self, link, shop, globex, member, savings):
        visitor, second = world.browser(member), world.make_wallet(globex, "Second")

        visitor.post(address(link), {"step": "wallet", "own": second.id})
        form = visitor.get(address(link)).context["form"]
        assert (form["own"].value(), form["wallet_id"].value()) == (second.id, "")

        say_wallet(visitor, link, savings.id, own="other")
        form = visitor.get(address(link)).context["form"]
        assert (form["own"].value(), form["wallet_id"].value()) == ("other", savings.id)

    def test_who_names_two_wallets_is_asked_which(self, link, shop, savings, member):
        answer = say_wallet(world.browser(member), link, savings.id, own=shop.id)

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["wallet_id"]

    def test_cannot_choose_a_strangers_wallet_from_the_list(self, link, savings, member):
        answer = world.browser(member).post(address(link), {"step": "wallet", "own": savings.id})

        assert answer.status_code == 422

    def test_is_told_where_the_chosen_wallet_was_refused(self, make, shop, member):
        link = make(max_uses=2)
        claimed(link, shop)

        answer = world.browser(member).post(address(link), {"step": "wallet", "own": shop.id})

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["own"]

    def test_signed_out_is_led_to_sign_in_and_back(self, visitor, link):
        page = visitor.get(f"{address(link)}?method=wallet").content.decode()

        assert f'href="/account/login/?next={address(link)}"' in page


class TestRestriction:
    def test_withholds_the_sender_until_the_address_is_typed(self, visitor, make, shop):
        link = make(emails=[ADA], description="Prize")
        text = text_of(visitor.get(address(link)))
        assert text.startswith("Somebody sends you 25.00 USD")
        assert "This payment is for one person" in text
        assert "Acme" not in visitor.get(address(link)).content.decode()
        assert ADA not in visitor.get(address(link)).content.decode()

        answer = say_email(visitor, link, "  ADA@Example.com ")

        assert (answer.status_code, answer.url) == (303, address(link))
        assert text_of(visitor.get(address(link))).startswith("Acme sends you")
        say_wallet(visitor, link, shop.id)
        claim(visitor, link, shop.id)
        assert Claim.objects.get(link=link).recipient_email == ADA

    @pytest.mark.parametrize(
        "email",
        ["eve@example.com", "аda@example.com", "ada@exаmple.com", f"{ADA}.evil.example", "ada"],
    )
    def test_does_not_believe_another_or_a_lookalike(self, visitor, make, shop, email):
        link = make(emails=[ADA])

        answer = say_email(visitor, link, email)

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["email"]
        assert f'value="{email}"' in answer.content.decode()
        assert "Acme" not in answer.content.decode()

    def test_is_not_got_around_by_the_later_steps(self, visitor, make, shop):
        link = make(emails=[ADA])
        before = everything()

        say_wallet(visitor, link, shop.id)
        assert visitor.get(address(link, "review")).status_code == 303
        answer = claim(visitor, link, shop.id)

        assert (answer.status_code, answer.url) == (303, address(link))
        assert "Acme" not in visitor.get(answer.url).content.decode()
        assert everything() == before

    def test_met_in_one_session_is_not_met_in_another(self, visitor, make):
        link = make(emails=[ADA])
        say_email(visitor, link, ADA)

        assert "Acme" not in Client().get(address(link)).content.decode()

    def test_to_wallets_names_the_sender_only_to_them(self, visitor, make, shop, globex):
        link = make(wallet_ids=[shop.id])
        other = world.make_wallet(globex, "Other")
        assert "Acme" not in visitor.get(address(link)).content.decode()

        refused = say_wallet(visitor, link, other.id)
        assert refused.status_code == 422
        assert "not for that wallet" in text_of(refused)
        assert "Acme" not in refused.content.decode()

        say_wallet(visitor, link, shop.id)
        assert "Acme" in text_of(visitor.get(address(link, "review")))

    def test_of_a_link_that_asks_for_money_withholds_who_asks(self, visitor, make):
        link = make(direction="RECEIVE", emails=[ADA])
        assert text_of(visitor.get(address(link))).startswith("Somebody asks you for 25.00 USD")

        say_email(visitor, link, ADA)

        assert text_of(visitor.get(address(link))).startswith("Acme asks you for")


class TestLinkThatIsOver:
    def _cancel(self, link):
        payment_links.cancel(link, actor=world.actor_for(link.organization))

    def test_says_what_became_of_it(self, visitor, make, acme, shop):
        used, gone = make(), make()
        late = make(expires_at=clock.real_now() + timedelta(hours=1))
        claimed(used, shop)
        self._cancel(gone)
        turn_clock(acme, hours=2)

        assert "This link has been used" in text_of(visitor.get(address(used)))
        assert "This link was cancelled" in text_of(visitor.get(address(gone)))
        assert "This link has expired" in text_of(visitor.get(address(late)))

    def test_of_a_frozen_sender_has_to_wait(self, visitor, link, funded, acme):
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
    def test_in_the_middle_of_the_form_says_so_clearly(
        self, visitor, make, shop, savings, end, words
    ):
        link = make(expires_at=clock.real_now() + timedelta(hours=1))
        say_wallet(visitor, link, shop.id)
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

    def test_before_the_wallet_was_chosen_leads_back_to_its_page(self, visitor, link, shop):
        self._cancel(link)

        answer = say_wallet(visitor, link, shop.id)

        assert answer.url == address(link)
        assert visitor.get(address(link, "review")).url == address(link)

    def test_frozen_in_the_middle_keeps_its_money(self, visitor, link, shop, funded, acme):
        say_wallet(visitor, link, shop.id)
        wallets.freeze(funded, actor=world.actor_for(acme))

        answer = claim(visitor, link, shop.id)

        assert answer.status_code == 422
        assert "cannot be paid out right now" in text_of(answer)
        assert balance_of(shop) == 0


class TestRates:
    def test_of_typed_addresses_stop_guessing(self, visitor, make, monkeypatch):
        monkeypatch.setattr(rate_limits, "ADDRESSES", 0)  # but three for one whom it is for
        link, other = make(emails=[ADA]), make(emails=[ADA])
        guesses = [say_email(visitor, link, f"g{n}@example.com") for n in range(5)]

        assert [guess.status_code for guess in guesses] == [422, 422, 422, 429, 429]
        assert int(guesses[-1].headers["Retry-After"]) > 0
        assert say_email(visitor, link, ADA).status_code == 429
        assert say_email(visitor, other, ADA).status_code == 303
        assert visitor.get(address(link)).status_code == 200

    def test_of_typed_addresses_let_in_everybody_whom_a_link_is_for(self, make):
        people = [f"p{n}@example.com" for n in range(25)]
        link = make(emails=people, max_uses=25)

        assert {say_email(Client(), link, one).status_code for one in people} == {303}

    def test_of_unknown_slugs_leave_the_known_alone(self, visitor, link, monkeypatch):
        monkeypatch.setattr(access, "UNKNOWN", 3)

        tries = [visitor.get(f"/pay/{'a' * 30}{n}").status_code for n in range(5)]

        assert tries == [404, 404, 404, 429, 429]
        assert visitor.get(address(link)).status_code == 200

    def test_count_each_address_apart(self, link, monkeypatch):
        monkeypatch.setattr(access, "READS", 2)
        here, there = Client(REMOTE_ADDR="192.0.2.1"), Client(REMOTE_ADDR="192.0.2.2")

        assert [here.get(address(link)).status_code for _ in range(3)] == [200, 200, 429]
        assert there.get(address(link)).status_code == 200

    def test_say_how_what_was_typed_is_sent_after_all(self, visitor, link, monkeypatch):
        monkeypatch.setattr(access, "WRITES", 0)

        answer = visitor.post(address(link), {"step": "ach"})

        assert answer.status_code == 429
        assert "reload this page" in text_of(answer)

    def test_of_pages_that_look_for_news_leave_the_link_to_others(self, make, shop, monkeypatch):
        """They ask every few seconds, in an office from one address."""
        link = make(max_uses=2)
        visitor = claimed(link, shop)
        news = claim_status.token_of(Claim.objects.get())
        monkeypatch.setattr(access, "READS", 3)

        asked = [visitor.get(address(link, "receipt", news)).status_code for _ in range(4)]

        assert asked == [200, 200, 200, 429]
        assert Client().get(address(link)).status_code == 200

    def test_let_an_office_behind_one_address_claim(self, make, globex):
        link = make(max_uses=15)
        for number in range(15):
            claimed(link, world.make_wallet(globex, f"Desk {number}"))

        assert PaymentLink.objects.get(pk=link.pk).use_count == 15


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_many_visitors_one_use(self, make, globex):
        link = make()
        desks = [world.make_wallet(globex, f"Desk {number}") for number in range(8)]

        def go(number):
            visitor = Client()
            return claim(visitor, link, desks[number].id)

        answers = world.in_parallel(8, go)

        assert sorted(answer.status_code for answer in answers) == [303, *[422] * 7]
        assert sum(balance_of(desk) for desk in desks) == Decimal(25)

    def test_one_visitor_clicking_many_times(self, make, shop):
        link, key = make(), ids.new("sub")
        sealed(link, shop.id)

        answers = world.in_parallel(6, lambda _: claim(Client(), link, shop.id, key))

        assert {(answer.status_code, answer.url) for answer in answers} == {(303, answers[0].url)}
        assert balance_of(shop) == Decimal(25)
