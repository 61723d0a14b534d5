"""The public page, over HTTP: every way to be paid and to pay, from first form to receipt."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.test import Client

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.ledger import chart, journal
from accounts.ledger.models import Hold
from accounts.organizations.models import Organization
from accounts.transfers.models import Transfer
from accounts.transfers.rails import simulator
from links.pay_page import claim_flow
from links.pay_page import receipt as hosted_claims
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.models.claims import Mandate
from links.payment_links.services import (
    claim_status,
    link_emails,
    mandates,
    payment_links,
    rate_limits,
)
from links.payment_links.services.payment_links import Restrictions
from tests import world
from tests.accounts import rails
from tests.links.pay_page.visiting import address, hidden_of, sent_by_our_server, text_of
from tests.world import balance_of, everything
from wallgent import clock, ids
from wallgent.errors import ServiceUnavailable
from wallgent.mail.models import Letter

ACCOUNT = "000123456789"
BANK = {
    "step": "ach",
    "account_name": "Grace Hopper",
    "routing_number": "021000021",
    "account_number": ACCOUNT,
}
THEIRS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

pytestmark = pytest.mark.django_db


@pytest.fixture
def dollars(wallet):
    world.fund(wallet, "100")
    return wallet


@pytest.fixture
def coins(acme):
    return world.make_wallet(acme, "Coins", currency="USDC", funds="100")


@pytest.fixture
def visitor():
    return Client()


def make(wallet, direction="SEND", **options):
    restrictions = options.pop("restrictions", Restrictions(proof="TYPED"))
    return payment_links.create(
        actor=world.actor_for(wallet.organization, wallet.environment),
        wallet=wallet,
        amount=Decimal("12.5"),
        direction=direction,
        restrictions=restrictions,
        **options,
    )


def say(visitor, link, **said):
    """Send the first form; where it leads to, or itself with what is wrong."""
    answer = visitor.post(address(link), said)
    return visitor.get(answer.url) if answer.status_code == 303 else answer


def confirm(visitor, link, look, **said):
    """Send the form of the last look; the page of the claim, or the look with what is wrong."""
    answer = visitor.post(address(link, "review"), hidden_of(look) | said)
    return visitor.get(answer.url) if answer.status_code == 303 else answer


def news(visitor, page, **query):
    """What a script asks for while the page is open."""
    headers = {"HX-Request": "true", "HX-Target": "live"}
    return visitor.get(page.wsgi_request.path, query, headers=headers)


def seen(page) -> str:
    return re.search(r"\?seen=([^\"]+)\"", page.content.decode())[1]


class TestBankThatIsPaid:
    def test_gets_the_money_when_the_rail_says_so(self, visitor, dollars, acme):
        link = make(dollars)

        look = say(visitor, link, **BANK)
        text = text_of(look)
        assert "Is this right?" in text
        assert "•••• 6789 Grace Hopper" in text
        assert "JPMorgan Chase Bank 021000021" in text
        assert "Fee None" in text
        assert "In a few seconds, because this is a test" in text
        assert ACCOUNT not in look.content.decode()
        assert not Claim.objects.exists()  # nothing happens before the last click

        page = confirm(visitor, link, look)
        assert "The money is on its way" in text_of(page)
        assert ACCOUNT not in page.content.decode()
        rails.settle(acme)

        receipt = visitor.get(page.wsgi_request.path)
        text, claim = text_of(receipt), Claim.objects.get()
        assert "You have been paid 12.50 USD" in text
        assert f"Receipt number {claim.id}" in text
        assert "•••• 6789" in text
        assert "hx-get" not in receipt.content.decode()
        assert balance_of(dollars) == Decimal("87.5")

    def test_is_looked_at_by_scripts_until_the_end(self, visitor, dollars, acme):
        link = make(dollars)
        page = confirm(visitor, link, say(visitor, link, **BANK))
        assert "htmx.min.js" in page.content.decode()

        assert news(visitor, page, seen=seen(page)).status_code == 204
        rails.settle(acme)
        answer = news(visitor, page, seen=seen(page))

        assert answer.status_code == 286
        assert "You have been paid" in answer.content.decode()
        assert "<html" not in answer.content.decode()
        assert "no-store" in answer.headers["Cache-Control"]

    @pytest.mark.parametrize(
        ("fault", "words"),
        [(2, "The bank says that this account is closed"), (3, "The bank knows no such account")],
    )
    def test_that_refuses_leaves_the_money_for_another_try(
        self, visitor, dollars, acme, fault, words
    ):
        link = make(dollars)
        wrong = BANK | {"account_number": simulator.account_number(fault)}
        page = confirm(visitor, link, say(visitor, link, **wrong))
        rails.settle(acme)

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "This did not work" in text
        assert words in text
        again = visitor.get(address(link))
        assert "Your last try did not work" in text_of(again)
        assert 'value="Grace Hopper"' in again.content.decode()
        assert 'value="021000021"' in again.content.decode()
        assert simulator.account_number(fault) not in again.content.decode()

        confirm(visitor, link, say(visitor, link, **BANK))
        rails.settle(acme)
        assert balance_of(dollars) == Decimal("87.5")

    def test_that_gives_it_back_later_is_said(self, visitor, dollars, acme):
        link = make(dollars)
        returning = BANK | {"account_number": simulator.account_number(10)}
        page = confirm(visitor, link, say(visitor, link, **returning))
        rails.settle(acme)
        rails.settle(acme, seconds=15)

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "The money came back" in text
        assert "did not authorize this" in text
        assert "Receipt number" not in text  # it is none any more

        assert "The link is open again" in text
        again = text_of(visitor.get(address(link)))
        assert "Your last try did not work" in again
        confirm(visitor, link, say(visitor, link, **BANK))
        rails.settle(acme)
        assert balance_of(dollars) == Decimal("87.5")

    def test_is_told_beside_the_field_what_is_wrong(self, visitor, dollars):
        link, before = make(dollars), everything()
        wrong = {
            "routing_number": ("021000022", "not a routing number"),
            "account_number": ("12", "4 to 17 digits"),
            "account_name": ("…", "whose account it is"),
        }
        for name, (value, words) in wrong.items():
            answer = visitor.post(address(link), BANK | {name: value})
            assert answer.status_code == 422
            assert list(answer.context["form"].errors) == [name]
            assert words in text_of(answer)
            assert f'value="{value}"' in answer.content.decode()
            assert 'value="Grace Hopper"' in answer.content.decode() or name == "account_name"
        empty = visitor.post(address(link), {"step": "ach"})
        assert len(empty.context["form"].errors) == 3
        assert everything() == before

    def test_is_understood_as_people_write_numbers(self, visitor, dollars):
        written = BANK | {"routing_number": " 0210-0002 1", "account_number": "0001 2345 6789"}

        assert "•••• 6789" in text_of(say(visitor, make(dollars), **written))

    def test_is_kept_nowhere_in_clear(self, visitor, dollars, acme):
        link = make(dollars)
        look = say(visitor, link, **BANK)
        assert ACCOUNT not in str(dict(visitor.session))
        confirm(visitor, link, look)

        assert ACCOUNT not in str(dict(visitor.session))
        assert ACCOUNT not in str([list(t.__dict__.values()) for t in Transfer.objects.all()])

    def test_cannot_take_two_uses(self, visitor, dollars):
        link = make(dollars, max_uses=2)
        confirm(visitor, link, say(visitor, link, **BANK))

        answer = Client().post(address(link), BANK)

        assert answer.status_code == 422
        assert "This bank account was used for this payment link already" in text_of(answer)

    def test_may_try_again_when_we_were_too_busy(self, visitor, dollars, monkeypatch):
        link = make(dollars)
        look = say(visitor, link, **BANK)

        def busy(*_, **__):
            raise ServiceUnavailable

        with monkeypatch.context() as context:
            context.setattr(claim_flow, "claim", busy)
            refused = confirm(visitor, link, look)
        assert refused.status_code == 422
        assert "We are very busy just now" in text_of(refused)
        assert "idempotency" not in text_of(refused)

        assert "on its way" in text_of(confirm(visitor, link, refused))

    def test_by_a_double_click_is_paid_once(self, visitor, dollars, acme):
        link = make(dollars)
        form = hidden_of(say(visitor, link, **BANK))

        first, second = (visitor.post(address(link, "review"), form) for _ in range(2))

        assert (second.status_code, second.url) == (303, first.url)
        assert Claim.objects.count() == 1


class TestLook:
    def test_is_of_its_own_link_and_untouched(self, visitor, dollars):
        link, other = make(dollars), make(dollars)
        form = hidden_of(say(visitor, link, **BANK))

        for draft in (form["draft"][:-4], "", "x", "é"):
            answer = visitor.post(address(link, "review"), form | {"draft": draft})
            assert (answer.status_code, answer.url) == (303, address(link))
        assert visitor.post(address(other, "review"), form).url == address(other)
        assert not Claim.objects.exists()

    def test_of_what_was_not_said_leads_back(self, visitor, dollars):
        link = make(dollars)

        assert visitor.get(address(link, "review")).url == address(link)

    def test_after_the_claim_leads_back_to_what_became_of_it(self, visitor, dollars):
        link = make(dollars)
        look = say(visitor, link, **BANK)
        confirm(visitor, link, look)

        back = visitor.get(address(link, "review"))

        assert back.url == address(link)
        assert "You have claimed this payment" in text_of(visitor.get(back.url))


class TestBankThatPays:
    def test_needs_the_mandate_and_keeps_its_words(self, visitor, dollars, acme):
        link = make(dollars, "RECEIVE")

        look = say(visitor, link, **BANK)
        text, mandate = text_of(look), mandates.current(link)
        assert "To Acme We have not verified who that is." in text
        assert "What you authorize" in text
        assert mandate.wording in text
        refused = confirm(visitor, link, look)
        assert refused.status_code == 422
        assert "Tick the box if you agree" in text_of(refused)
        assert "•••• 6789" in text_of(refused)
        assert not Claim.objects.exists()

        page = confirm(visitor, link, refused, accepted="on")
        assert "The payment is on its way" in text_of(page)
        kept = Mandate.objects.get()
        assert (kept.version, kept.wording) == (mandate.version, mandate.wording)
        assert kept.ip == "127.0.0.1"
        rails.settle(acme)

        assert "You have paid 12.50 USD" in text_of(visitor.get(page.wsgi_request.path))
        assert balance_of(dollars) == Decimal("112.5")

    def test_agrees_in_their_own_language(self, dollars):
        link, visitor = make(dollars, "RECEIVE"), Client(headers={"Accept-Language": "es-ES"})

        look = say(visitor, link, **BANK)
        assert "Autorizo a Acme a cargar una sola vez" in text_of(look)
        confirm(visitor, link, look, accepted="on")

        assert Mandate.objects.get().wording.startswith("Autorizo a Acme")

    def test_is_kept_to_the_words_that_were_read(self, dollars, acme):
        """Whatever another tab speaks meanwhile, and however the organization is called then."""
        link, visitor = make(dollars, "RECEIVE"), Client(headers={"Accept-Language": "es-ES"})
        look = say(visitor, link, **BANK)
        visitor.cookies["language"] = "en"
        Organization.objects.update(name="Somebody else")

        unticked = confirm(visitor, link, look)
        confirm(visitor, link, unticked, accepted="on")

        wording = Mandate.objects.get().wording
        assert wording in text_of(look)
        assert wording in text_of(unticked)
        assert "12,50 USD" in wording

    def test_agrees_to_an_amount_that_no_name_turns_around(self, visitor, dollars, acme):
        Organization.objects.filter(pk=acme.pk).update(name="Acme \u202e\u2067")

        look = say(visitor, make(dollars, "RECEIVE"), **BANK)

        assert "Acme to debit" in look.context["mandate"]

    @pytest.mark.parametrize("read", ["", "x"])
    def test_agrees_to_nothing_that_was_not_shown(self, visitor, dollars, read):
        link = make(dollars, "RECEIVE")
        look = say(visitor, link, **BANK)

        answer = confirm(visitor, link, look, accepted="on", read=read)

        assert answer.status_code == 422
        assert not Claim.objects.exists()

    @pytest.mark.parametrize(("one", "other"), [("read", "draft"), ("draft", "read")])
    def test_sends_what_was_sealed_for_one_field_in_another(self, visitor, dollars, one, other):
        link = make(dollars, "RECEIVE")
        look = say(visitor, link, **BANK)

        confirm(visitor, link, look, accepted="on", **{one: hidden_of(look)[other]})

        assert not Claim.objects.exists()

    def test_that_has_no_money_is_said(self, visitor, dollars, acme):
        link = make(dollars, "RECEIVE")
        poor = BANK | {"account_number": simulator.account_number(1)}
        page = confirm(visitor, link, say(visitor, link, **poor), accepted="on")
        rails.settle(acme)

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "Nothing was paid" in text
        assert "not enough money in the account" in text
        assert PaymentLink.objects.get(pk=link.pk).status == "ACTIVE"

    def test_that_takes_it_back_is_said(self, visitor, dollars, acme):
        link = make(dollars, "RECEIVE")
        returning = BANK | {"account_number": simulator.account_number(10)}
        page = confirm(visitor, link, say(visitor, link, **returning), accepted="on")
        rails.settle(acme)
        rails.settle(acme, seconds=15)

        assert "Your bank took the payment back" in text_of(visitor.get(page.wsgi_request.path))


def test_a_wallet_in_debt_is_said_before_anything_is_typed(visitor, dollars):
    link = make(dollars)
    back = journal.Move(dollars.account_id, chart.treasury("SANDBOX", "USD"), Decimal(90), "USD")
    posting = journal.Posting(id=ids.new("txn"), moves=(back,), reason="transfer_return")
    journal.post_set([posting], book="SANDBOX", forced=True)

    assert "It cannot be paid out right now" in text_of(visitor.get(address(link)))


class TestAddressThatIsPaid:
    def test_gets_the_coins(self, visitor, coins, acme):
        link = make(coins)

        look = say(visitor, link, step="usdc", address=f" {THEIRS.lower()} ")
        assert THEIRS in text_of(look)  # with its checksum
        assert "Network Ethereum" in text_of(look)
        page = confirm(visitor, link, look)
        assert "being confirmed on Ethereum" in text_of(page)
        rails.settle(acme)

        assert "You have been paid 12.50 USDC" in text_of(visitor.get(page.wsgi_request.path))
        assert balance_of(coins) == Decimal("87.5")

    @pytest.mark.parametrize(
        ("typed", "words"),
        [
            ("", "Type the address"),
            ("0x123", "not an address of Ethereum"),
            ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "not an address of Ethereum"),
            ("0x" + "0" * 40, "not an address of Ethereum"),
            (THEIRS.replace("A", "a", 1), "capital letters do not fit"),
        ],
    )
    def test_is_looked_at_letter_by_letter(self, visitor, coins, typed, words):
        answer = visitor.post(address(make(coins)), {"step": "usdc", "address": typed})

        assert answer.status_code == 422
        assert words in text_of(answer)
        assert f'value="{typed}"' in answer.content.decode() or not typed


class TestAddressThatPays:
    @pytest.fixture
    def link(self, coins):
        return make(coins, "RECEIVE")

    @pytest.fixture
    def page(self, visitor, link):
        return confirm(visitor, link, say(visitor, link, step="usdc"))

    def send(self, visitor, page, amount, chain="ethereum"):
        """By the form that only a sandbox has."""
        said = {"amount": amount, "chain": chain}
        answer = visitor.post(f"{page.wsgi_request.path}/simulate", said)
        if answer.status_code == 303:
            rails.sweep()
            rails.settle(Claim.objects.get().link.organization)
        return answer

    def test_is_shown_with_everything_one_needs(self, page):
        markup, text = page.content.decode(), text_of(page)
        ours = Claim.objects.get().transfer.address

        assert "Exactly 12.50 USDC" in text
        assert ours in text
        assert f'data-copy="{ours}"' in markup
        assert 'data-copy="12.50"' in markup
        assert "Send nothing real here" in text
        assert page.context["uri"] == (
            "ethereum:0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238@11155111/transfer"
            f"?address={ours}&uint256=12500000"
        )
        assert markup.count('<div class="qr"') == 2
        assert re.search(r'data-countdown="35\d\d"', markup)
        for said in ("Too little", "Too much", "Too late", "On another network"):
            assert said in text

    def test_is_there_with_all_it_needs_in_60_kilobytes(self, page):
        paths = re.findall(r'(?:href|src)="(/static/[^"?]+)', page.content.decode())

        assert any("htmx" in path for path in paths)
        assert len(page.content) + sum(len(sent_by_our_server(path)) for path in paths) <= 60_000

    def test_pays_and_gets_a_receipt(self, visitor, page, coins):
        self.send(visitor, page, "12.50")

        assert "You have paid 12.50 USDC" in text_of(visitor.get(page.wsgi_request.path))
        assert balance_of(coins) == Decimal("112.5")

    def test_pays_in_parts(self, visitor, page):
        self.send(visitor, page, "5")
        part = news(visitor, page, seen=seen(page))
        assert part.status_code == 200
        assert "Please send the rest" in part.content.decode()
        assert "7.50" in part.content.decode()
        assert "uint256=7500000" in part.context["uri"]

        self.send(visitor, page, "7.5")
        assert "You have paid" in text_of(visitor.get(page.wsgi_request.path))

    def test_is_told_of_a_part_that_comes_after_more_dust_than_is_shown(
        self, visitor, page, monkeypatch
    ):
        monkeypatch.setattr(claim_status, "INCOMING_SHOWN", 2)
        for _ in range(2):
            self.send(visitor, page, "0.01")
        dusty = visitor.get(page.wsgi_request.path)

        self.send(visitor, page, "5")
        rails.settle(Claim.objects.get().link.organization, seconds=60)

        assert "7.48" in news(visitor, page, seen=seen(dusty)).content.decode()

    def test_pays_too_much(self, visitor, page):
        self.send(visitor, page, "20")

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "You have paid 12.50 USDC" in text
        assert "20.00 USDC came, which is more than was missing" in text

    def test_pays_on_another_chain(self, visitor, page):
        self.send(visitor, page, "12.5", chain="polygon")

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "came on Polygon, where we cannot reach it" in text
        assert "Exactly 12.50 USDC" in text

    def test_pays_too_late(self, visitor, page, acme):
        rails.advance(acme, hours=2)
        rails.settle(acme)
        over = text_of(visitor.get(page.wsgi_request.path))
        assert "This is over" in over
        assert "Do not send anything to that address" in over
        assert Claim.objects.get().transfer.address not in over

    def test_pays_in_part_and_finds_it_again_when_the_link_is_over(self, visitor, coins, acme):
        link = make(coins, "RECEIVE", expires_at=clock.real_now() + timedelta(minutes=90))
        page = confirm(visitor, link, say(visitor, link, step="usdc"))
        self.send(visitor, page, "5")
        rails.advance(acme, hours=2)
        rails.settle(acme)

        over = visitor.get(address(link))

        assert "This link has expired" in text_of(over)
        assert "No money moved" not in text_of(over)
        assert page.wsgi_request.path in over.content.decode()
        assert "5.00 USDC of it had come" in text_of(visitor.get(page.wsgi_request.path))

    @pytest.mark.parametrize("amount", ["", "0", "-1", "1e3", "0.0000001", "x", "1" * 30])
    def test_simulates_only_what_a_chain_could_carry(self, visitor, page, amount):
        answer = self.send(visitor, page, amount)

        assert answer.status_code == 422
        assert f'value="{amount}"' in answer.content.decode() or not amount
        assert "Send USDC to this address" in text_of(answer)

    def test_simulates_nothing_for_other_claims(self, visitor, dollars):
        link = make(dollars)
        page = confirm(visitor, link, say(visitor, link, **BANK))

        assert self.send(visitor, page, "1").status_code == 404

    def test_keeps_others_waiting_and_no_longer_than_it_must(self, page, link, acme):
        assert "Somebody is paying this link" in text_of(Client().get(address(link)))

        rails.advance(acme, hours=2)
        rails.settle(acme)

        assert "How would you like to pay?" in text_of(Client().get(address(link)))

    def test_of_another_currency_is_exchanged_one_for_one(self, visitor, dollars):
        link = make(dollars, "RECEIVE")

        choice = text_of(visitor.get(address(link), {"method": "usdc"}))
        assert "12.50 USD is exchanged 1:1 for 12.50 USDC." in choice
        assert "exchanged" not in text_of(visitor.get(address(link), {"method": "ach"}))

        look = say(visitor, link, step="usdc")

        assert "You pay 12.50 USDC, one for one." in text_of(look)
        assert "Your wallet pays what the network asks for" in text_of(look)
        assert "one for one" not in text_of(say(visitor, link, **BANK))


class TestWalletThatPays:
    def test_is_asked_by_a_stranger(self, visitor, dollars, shop, globex):
        world.fund(shop, "50")
        link = make(dollars, "RECEIVE")

        look = say(visitor, link, step="wallet", wallet_id=shop.id)
        assert "When somebody of that wallet's organization has agreed" in text_of(look)
        assert "Shop" not in text_of(look)
        page = confirm(visitor, link, look)
        assert "Waiting for a yes" in text_of(page)
        assert balance_of(shop) == 50

        approvals.approve(Approval.objects.get(), actor=world.actor_for(globex))
        answer = news(visitor, page, seen=seen(page))

        assert answer.status_code == 286
        assert "You have paid" in answer.content.decode()
        assert balance_of(dollars) == Decimal("112.5")

    def test_that_is_asked_already_is_told_in_every_language(self, dollars, shop):
        link = make(dollars, "RECEIVE", max_uses=2)
        visitor, second = (Client(headers={"Accept-Language": "es-ES"}) for _ in range(2))
        look = say(visitor, link, step="wallet", wallet_id=shop.id)
        confirm(visitor, link, look)

        assert "aún no ha decidido" in text_of(say(second, link, step="wallet", wallet_id=shop.id))

    def test_is_not_for_anybody_to_try_out(self, visitor, dollars, shop, monkeypatch):
        monkeypatch.setattr(rate_limits, "REQUESTS", 2)
        link = make(dollars, "RECEIVE")
        named = {"step": "wallet", "wallet_id": shop.id}

        answers = [visitor.post(address(link), named) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [303, 303, 422]
        assert "Wait a minute" in text_of(answers[2])
        assert f'value="{shop.id}"' in answers[2].content.decode()

    def test_is_told_when_the_answer_is_no(self, visitor, dollars, shop, globex):
        link = make(dollars, "RECEIVE")
        look = say(visitor, link, step="wallet", wallet_id=shop.id)
        page = confirm(visitor, link, look)

        approvals.reject(Approval.objects.get(), actor=world.actor_for(globex))

        assert "They said no" in text_of(visitor.get(page.wsgi_request.path))

    def test_pays_at_once_for_whoever_may_spend_from_it(self, dollars, shop, globex):
        world.fund(shop, "50")
        link, visitor = make(dollars, "RECEIVE"), world.browser(world.make_member(globex, "MEMBER"))
        first = visitor.get(address(link))
        assert f'value="{shop.id}"' in first.content.decode()

        look = say(visitor, link, step="wallet", own=shop.id)
        assert "Shop of Globex" in text_of(look)
        assert "Pay 12.50" in text_of(look)
        page = confirm(visitor, link, look)

        assert "You have paid 12.50 USD" in text_of(page)
        assert not Approval.objects.exists()
        assert balance_of(dollars) == Decimal("112.5")

    def test_is_not_offered_to_whoever_may_only_look(self, dollars, shop, globex):
        link, visitor = make(dollars, "RECEIVE"), world.browser(world.make_member(globex, "VIEWER"))

        assert shop.id not in visitor.get(f"{address(link)}?method=wallet").content.decode()
        look = say(visitor, link, step="wallet", wallet_id=shop.id)
        assert "Ask for the payment" in text_of(look)

    def test_without_the_money_is_told_and_pays_nothing(self, dollars, shop, globex):
        link, visitor = make(dollars, "RECEIVE"), world.browser(world.make_member(globex, "MEMBER"))

        answer = visitor.post(address(link), {"step": "wallet", "own": shop.id})

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["own"]
        assert "not enough money in that wallet" in text_of(answer)

    def test_that_takes_no_requests_answers_as_one_that_does_not_exist(
        self, visitor, dollars, shop, globex
    ):
        type(globex).objects.filter(pk=globex.pk).update(accepts_pay_requests_sandbox=False)
        link = make(dollars, "RECEIVE")

        said = [
            text_of(visitor.post(address(link), {"step": "wallet", "wallet_id": id}))
            for id in (shop.id, world.unknown_id("wal"))
        ]

        assert "takes no requests to pay" in said[0]
        assert said[0] == said[1]


class TestReceipt:
    @pytest.fixture
    def page(self, visitor, dollars, acme):
        link = make(dollars, description="Not for a letter")
        page = confirm(visitor, link, say(visitor, link, **BANK))
        rails.settle(acme)
        return page

    def letter(self, visitor, page, to, **client):
        return visitor.post(f"{page.wsgi_request.path}/letter", {"email": to})

    def test_can_be_sent(self, visitor, page, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            answer = self.letter(visitor, page, " grace@example.com ")

        assert answer.status_code == 303
        assert "on its way by e-mail" in text_of(visitor.get(answer.url))
        [letter] = mail.outbox
        assert letter.to == ["grace@example.com"]
        assert letter.subject == "Receipt: 12.50 USD from Acme"
        assert Claim.objects.get().id in letter.body
        assert "•••• 6789 (JPMorgan Chase Bank)" in letter.body
        assert page.wsgi_request.path in letter.body
        assert "Not for a letter" not in letter.body

    def test_is_sent_in_the_readers_language(
        self, visitor, page, django_capture_on_commit_callbacks
    ):
        visitor.cookies["language"] = "es"
        with django_capture_on_commit_callbacks(execute=True):
            self.letter(visitor, page, "grace@example.com")

        assert mail.outbox[0].subject == "Recibo: 12,50 USD de Acme"
        assert "Número de recibo" in mail.outbox[0].body

    @pytest.mark.parametrize("to", ["", "grace", "a@b", "x@example.com\nBcc: y@example.com"])
    def test_goes_to_addresses_only(self, visitor, page, to):
        answer = self.letter(visitor, page, to)

        assert answer.status_code == 422
        assert "email" in answer.context["form"].errors
        assert "You have been paid" in text_of(answer)
        assert mail.outbox == []

    def test_is_sent_a_few_times_only(self, visitor, page):
        answers = [self.letter(visitor, page, f"g{n}@example.com") for n in range(5)]

        *taken, fourth, fifth = [answer.status_code for answer in answers]
        assert taken == [303, 303, 303]
        assert fourth in (303, 429)  # the first, if a minute ends in between
        assert fifth == 429

    def test_leads_nowhere_but_to_its_own_page(self, visitor, page):
        """A stranger says where it goes, and another one what the organization is called."""
        Organization.objects.update(name="Win at https://evil.example/now")
        self.letter(visitor, page, "grace@example.com")

        letter = Letter.objects.get()
        assert letter.subject == "Receipt: 12.50 USD from Somebody"
        assert "evil" not in letter.text

    def test_floods_nobody(self, visitor, page, monkeypatch):
        monkeypatch.setattr(hosted_claims, "LETTERS", 1000)
        most = link_emails.RECEIPTS_PER_ADDRESS
        here = [self.letter(visitor, page, "Grace@example.com") for _ in range(most + 1)]
        assert [answer.status_code for answer in here] == [*[303] * most, 422]
        assert "Go on tomorrow" in text_of(here[-1])

        monkeypatch.setattr(link_emails, "RECEIPTS_PER_CLAIM", most)
        answer = self.letter(visitor, page, "alan@example.com")
        assert "This receipt was sent several times today" in text_of(answer)
        assert len(Letter.objects.all()) == most

    def test_costs_its_maker_no_letter(self, visitor, page, dollars, acme, monkeypatch):
        monkeypatch.setattr(link_emails, "LETTERS_PER_HOUR", 1)
        self.letter(visitor, page, "grace@example.com")

        link_emails.send(make(dollars), actor=world.actor_for(acme), address="alan@example.com")

    def test_is_where_the_address_of_its_form_leads(self, visitor, page):
        """Reloaded, say, after it was refused."""
        assert visitor.get(f"{page.wsgi_request.path}/letter").url == page.wsgi_request.path

    def test_of_what_is_not_paid_is_not_sent(self, visitor, dollars):
        link = make(dollars)
        page = confirm(visitor, link, say(visitor, link, **BANK))

        assert self.letter(visitor, page, "grace@example.com").url == page.wsgi_request.path
        assert mail.outbox == []

    def test_needs_its_token(self, visitor, page):
        for tail in ("", "/letter", "/simulate"):
            path = re.sub(r"receipt/.*", f"receipt/clm_x:y{tail}", page.wsgi_request.path)
            method = visitor.post if tail else visitor.get
            assert method(path).status_code == 404


def test_what_a_link_promised_is_never_paid_twice(dollars, acme, shop):
    """Two tabs, two ways, one use."""
    link = make(dollars)
    one, other = Client(), Client()
    looks = [say(one, link, **BANK), say(other, link, step="wallet", wallet_id=shop.id)]

    first = confirm(one, link, looks[0])
    second = confirm(other, link, looks[1])
    rails.settle(acme)

    assert "on its way" in text_of(first)
    assert second.status_code == 422
    assert "This was not possible" in text_of(second)
    assert balance_of(dollars) == Decimal("87.5")
    assert Hold.objects.get(pk=link.hold_id).remaining == 0
