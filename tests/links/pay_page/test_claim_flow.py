"""The public page over HTTP: every method in both directions, from first form to receipt."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client, TestCase

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.ledger import chart, journal
from accounts.ledger.models import Hold
from accounts.organizations.models import Organization
from accounts.pay_ins.models import Mandate
from accounts.pay_ins.services import mandates
from accounts.transfers.models import Transfer
from accounts.transfers.rails import simulator
from links.pay_page import claim_flow, receipt
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    claim_status,
    link_emails,
    payment_links,
    rate_limits,
)
from links.payment_links.services.payment_links import Restrictions
from tests import emailing, world
from tests.accounts import rails
from tests.links.pay_page.visiting import address, hidden_of, sent_by_our_server, text_of
from tests.world import balance_of, everything
from wallgent import clock, ids
from wallgent.errors import ServiceUnavailable
from wallgent.mail import limits
from wallgent.mail.models import Email

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


def enter(visitor, link, **data):
    """Send the first form; return the next page, or the form with its errors."""
    answer = visitor.post(address(link), data)
    return visitor.get(answer.url) if answer.status_code == 303 else answer


def confirm(visitor, link, review, **data):
    """Send the review form; return the page of the claim, or the form with its errors."""
    answer = visitor.post(address(link, "review"), hidden_of(review) | data)
    return visitor.get(answer.url) if answer.status_code == 303 else answer


def poll(visitor, page, **query):
    """Request what the script polls while the page is open."""
    headers = {"HX-Request": "true", "HX-Target": "live"}
    return visitor.get(page.wsgi_request.path, query, headers=headers)


def seen(page) -> str:
    return re.search(r"\?seen=([^\"]+)\"", page.content.decode())[1]


class TestPayoutToBank:
    def test_payout_settles_when_the_rail_confirms(self, visitor, dollars, acme):
        link = make(dollars)

        review = enter(visitor, link, **BANK)
        text = text_of(review)
        assert "Is this right?" in text
        assert "•••• 6789 Grace Hopper" in text
        assert "JPMorgan Chase Bank 021000021" in text
        assert "Fee None" in text
        assert "In a few seconds, because this is a test" in text
        assert ACCOUNT not in review.content.decode()
        assert not Claim.objects.exists()  # the review claims nothing yet

        page = confirm(visitor, link, review)
        assert "The money is on its way" in text_of(page)
        assert ACCOUNT not in page.content.decode()
        rails.settle(acme)

        receipt = visitor.get(page.wsgi_request.path)
        text, claim = text_of(receipt), Claim.objects.get()
        assert "You have been paid Paid $12.50" in text
        assert f"Receipt number {claim.id}" in text
        assert "•••• 6789" in text
        assert "hx-get" not in receipt.content.decode()
        assert balance_of(dollars) == Decimal("87.5")

    def test_script_polls_until_the_claim_ends(self, visitor, dollars, acme):
        link = make(dollars)
        page = confirm(visitor, link, enter(visitor, link, **BANK))
        assert "htmx.min.js" in page.content.decode()

        assert poll(visitor, page, seen=seen(page)).status_code == 204
        rails.settle(acme)
        answer = poll(visitor, page, seen=seen(page))

        assert answer.status_code == 286
        assert "You have been paid" in answer.content.decode()
        assert "<html" not in answer.content.decode()
        assert "no-store" in answer.headers["Cache-Control"]

    @pytest.mark.parametrize(
        ("fault", "words"),
        [(2, "The bank says that this account is closed"), (3, "The bank knows no such account")],
    )
    def test_refused_payout_leaves_the_link_open_for_another_try(
        self, visitor, dollars, acme, fault, words
    ):
        link = make(dollars)
        wrong = BANK | {"account_number": simulator.account_number(fault)}
        page = confirm(visitor, link, enter(visitor, link, **wrong))
        rails.settle(acme)

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "This did not work" in text
        assert words in text
        again = visitor.get(address(link))
        assert "Your last try did not work" in text_of(again)
        assert 'value="Grace Hopper"' in again.content.decode()
        assert 'value="021000021"' in again.content.decode()
        assert simulator.account_number(fault) not in again.content.decode()

        confirm(visitor, link, enter(visitor, link, **BANK))
        rails.settle(acme)
        assert balance_of(dollars) == Decimal("87.5")

    def test_returned_payout_is_shown(self, visitor, dollars, acme):
        link = make(dollars)
        returning = BANK | {"account_number": simulator.account_number(10)}
        page = confirm(visitor, link, enter(visitor, link, **returning))
        rails.settle(acme)
        rails.settle(acme, seconds=15)

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "The money came back" in text
        assert "did not authorize this" in text
        assert "Receipt number" not in text  # it is no longer a receipt

        assert "The link is open again" in text
        again = text_of(visitor.get(address(link)))
        assert "Your last try did not work" in again
        confirm(visitor, link, enter(visitor, link, **BANK))
        rails.settle(acme)
        assert balance_of(dollars) == Decimal("87.5")

    def test_errors_are_shown_beside_their_fields(self, visitor, dollars):
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

    def test_grouped_digits_are_accepted(self, visitor, dollars):
        written = BANK | {"routing_number": " 0210-0002 1", "account_number": "0001 2345 6789"}

        assert "•••• 6789" in text_of(enter(visitor, make(dollars), **written))

    def test_account_number_is_stored_encrypted_only(self, visitor, dollars, acme):
        link = make(dollars)
        review = enter(visitor, link, **BANK)
        assert ACCOUNT not in str(dict(visitor.session))
        confirm(visitor, link, review)

        assert ACCOUNT not in str(dict(visitor.session))
        assert ACCOUNT not in str([list(t.__dict__.values()) for t in Transfer.objects.all()])

    def test_bank_account_can_claim_once(self, visitor, dollars):
        link = make(dollars, max_uses=2)
        confirm(visitor, link, enter(visitor, link, **BANK))

        answer = Client().post(address(link), BANK)

        assert answer.status_code == 422
        assert "This bank account was used for this payment link already" in text_of(answer)

    def test_claim_can_be_sent_again_after_a_temporary_error(self, visitor, dollars, monkeypatch):
        link = make(dollars)
        review = enter(visitor, link, **BANK)

        def busy(*_, **__):
            raise ServiceUnavailable

        with monkeypatch.context() as context:
            context.setattr(claim_flow, "claim", busy)
            refused = confirm(visitor, link, review)
        assert refused.status_code == 422
        assert "We are very busy just now" in text_of(refused)
        assert "idempotency" not in text_of(refused)

        assert "on its way" in text_of(confirm(visitor, link, refused))

    def test_double_click_pays_once(self, visitor, dollars, acme):
        link = make(dollars)
        form = hidden_of(enter(visitor, link, **BANK))

        first, second = (visitor.post(address(link, "review"), form) for _ in range(2))

        assert (second.status_code, second.url) == (303, first.url)
        assert Claim.objects.count() == 1


class TestReview:
    def test_draft_of_another_link_or_changed_draft_is_refused(self, visitor, dollars):
        link, other = make(dollars), make(dollars)
        form = hidden_of(enter(visitor, link, **BANK))

        for draft in (form["draft"][:-4], "", "x", "é"):
            answer = visitor.post(address(link, "review"), form | {"draft": draft})
            assert (answer.status_code, answer.url) == (303, address(link))
        assert visitor.post(address(other, "review"), form).url == address(other)
        assert not Claim.objects.exists()

    def test_review_without_a_draft_redirects_to_the_link(self, visitor, dollars):
        link = make(dollars)

        assert visitor.get(address(link, "review")).url == address(link)

    def test_review_after_the_claim_redirects_to_its_status(self, visitor, dollars):
        link = make(dollars)
        review = enter(visitor, link, **BANK)
        confirm(visitor, link, review)

        back = visitor.get(address(link, "review"))

        assert back.url == address(link)
        assert "You have claimed this payment" in text_of(visitor.get(back.url))


class TestBankDebit:
    def test_debit_needs_the_mandate_and_stores_its_wording(self, visitor, dollars, acme):
        link = make(dollars, "RECEIVE")

        review = enter(visitor, link, **BANK)
        text, mandate = text_of(review), mandates.terms(link.organization, amount=link.amount)
        assert "To Acme We have not verified who that is." in text
        assert "What you authorize" in text
        assert mandate.wording in text
        refused = confirm(visitor, link, review)
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

        assert "You have paid Paid $12.50" in text_of(visitor.get(page.wsgi_request.path))
        assert balance_of(dollars) == Decimal("112.5")

    def test_mandate_is_in_the_readers_language(self, dollars):
        link, visitor = make(dollars, "RECEIVE"), Client(headers={"Accept-Language": "es-ES"})

        review = enter(visitor, link, **BANK)
        assert "Autorizo a Acme a cargar una sola vez" in text_of(review)
        confirm(visitor, link, review, accepted="on")

        assert Mandate.objects.get().wording.startswith("Autorizo a Acme")

    def test_stored_mandate_is_the_one_that_was_read(self, dollars, acme):
        """Another tab may change the language, and the organization its name, before it is sent."""
        link, visitor = make(dollars, "RECEIVE"), Client(headers={"Accept-Language": "es-ES"})
        review = enter(visitor, link, **BANK)
        visitor.cookies["language"] = "en"
        Organization.objects.update(name="Somebody else")

        unticked = confirm(visitor, link, review)
        confirm(visitor, link, unticked, accepted="on")

        wording = Mandate.objects.get().wording
        assert wording in text_of(review)
        assert wording in text_of(unticked)
        assert "$12.50" in wording

    def test_name_cannot_reverse_the_amount_of_the_mandate(self, visitor, dollars, acme):
        Organization.objects.filter(pk=acme.pk).update(name="Acme \u202e\u2067")

        review = enter(visitor, make(dollars, "RECEIVE"), **BANK)

        assert "Acme to debit" in review.context["mandate"]

    @pytest.mark.parametrize("read", ["", "x"])
    def test_mandate_that_was_not_shown_is_refused(self, visitor, dollars, read):
        link = make(dollars, "RECEIVE")
        review = enter(visitor, link, **BANK)

        answer = confirm(visitor, link, review, accepted="on", read=read)

        assert answer.status_code == 422
        assert not Claim.objects.exists()

    @pytest.mark.parametrize(("one", "other"), [("read", "draft"), ("draft", "read")])
    def test_sealed_data_of_another_field_is_refused(self, visitor, dollars, one, other):
        link = make(dollars, "RECEIVE")
        review = enter(visitor, link, **BANK)

        confirm(visitor, link, review, accepted="on", **{one: hidden_of(review)[other]})

        assert not Claim.objects.exists()

    def test_debit_without_funds_is_shown(self, visitor, dollars, acme):
        link = make(dollars, "RECEIVE")
        poor = BANK | {"account_number": simulator.account_number(1)}
        page = confirm(visitor, link, enter(visitor, link, **poor), accepted="on")
        rails.settle(acme)

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "Nothing was paid" in text
        assert "not enough money in the account" in text
        assert PaymentLink.objects.get(pk=link.pk).status == "ACTIVE"

    def test_returned_debit_is_shown(self, visitor, dollars, acme):
        link = make(dollars, "RECEIVE")
        returning = BANK | {"account_number": simulator.account_number(10)}
        page = confirm(visitor, link, enter(visitor, link, **returning), accepted="on")
        rails.settle(acme)
        rails.settle(acme, seconds=15)

        assert "Your bank took the payment back" in text_of(visitor.get(page.wsgi_request.path))


def test_wallet_in_debt_is_shown_before_the_form(visitor, dollars):
    link = make(dollars)
    back = journal.Move(dollars.account_id, chart.treasury("SANDBOX", "USD"), Decimal(90), "USD")
    posting = journal.Posting(id=ids.new("txn"), moves=(back,), reason="test")
    journal.post_set([posting], book="SANDBOX", forced=True)

    assert "It cannot be paid out right now" in text_of(visitor.get(address(link)))


class TestPayoutInUsdc:
    def test_payout_reaches_the_address(self, visitor, coins, acme):
        link = make(coins)

        review = enter(visitor, link, step="usdc", address=f" {THEIRS.lower()} ")
        assert THEIRS in text_of(review)  # with its checksum
        assert "Network Ethereum" in text_of(review)
        page = confirm(visitor, link, review)
        assert "being confirmed on Ethereum" in text_of(page)
        rails.settle(acme)

        assert "You have been paid Paid 12.50 USDC" in text_of(visitor.get(page.wsgi_request.path))
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
    def test_wrong_address_is_refused(self, visitor, coins, typed, words):
        answer = visitor.post(address(make(coins)), {"step": "usdc", "address": typed})

        assert answer.status_code == 422
        assert words in text_of(answer)
        assert f'value="{typed}"' in answer.content.decode() or not typed


class TestPaymentInUsdc:
    @pytest.fixture
    def link(self, coins):
        return make(coins, "RECEIVE")

    @pytest.fixture
    def page(self, visitor, link):
        return confirm(visitor, link, enter(visitor, link, step="usdc"))

    def send(self, visitor, page, amount, chain="ethereum"):
        """Send the form that simulates a payment in the sandbox."""
        data = {"amount": amount, "chain": chain}
        with TestCase.captureOnCommitCallbacks(execute=True):  # the rail's event
            answer = visitor.post(f"{page.wsgi_request.path}/simulate", data)
        if answer.status_code == 303:
            rails.sweep()
            rails.settle(Claim.objects.get().link.organization)
        return answer

    def test_page_shows_everything_that_the_payer_needs(self, page):
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
        for heading in ("Too little", "Too much", "Too late", "On another network"):
            assert heading in text

    def test_page_and_assets_take_80_kilobytes(self, page):
        paths = re.findall(r'(?:href|src)="(/static/[^"?]+)', page.content.decode())

        assert any("htmx" in path for path in paths)
        assert len(page.content) + sum(len(sent_by_our_server(path)) for path in paths) <= 80_000

    def test_payment_leads_to_a_receipt(self, visitor, page, coins):
        self.send(visitor, page, "12.50")

        assert "You have paid Paid 12.50 USDC" in text_of(visitor.get(page.wsgi_request.path))
        assert balance_of(coins) == Decimal("112.5")

    def test_payment_in_parts_settles(self, visitor, page):
        self.send(visitor, page, "5")
        part = poll(visitor, page, seen=seen(page))
        assert part.status_code == 200
        assert "Please send the rest" in part.content.decode()
        assert "7.50" in part.content.decode()
        assert "uint256=7500000" in part.context["uri"]

        self.send(visitor, page, "7.5")
        assert "You have paid" in text_of(visitor.get(page.wsgi_request.path))

    def test_part_after_many_tiny_payments_is_shown(self, visitor, page, monkeypatch):
        monkeypatch.setattr(claim_status, "INCOMING_SHOWN", 2)
        for _ in range(2):
            self.send(visitor, page, "0.01")
        dusty = visitor.get(page.wsgi_request.path)

        self.send(visitor, page, "5")
        rails.settle(Claim.objects.get().link.organization, seconds=60)

        assert "7.48" in poll(visitor, page, seen=seen(dusty)).content.decode()

    def test_overpayment_is_shown(self, visitor, page):
        self.send(visitor, page, "20")

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "You have paid Paid 12.50 USDC" in text
        assert "20.00 USDC came, which is more than was missing" in text

    def test_payment_on_another_chain_is_shown(self, visitor, page):
        self.send(visitor, page, "12.5", chain="polygon")

        text = text_of(visitor.get(page.wsgi_request.path))
        assert "came on Polygon, where we cannot reach it" in text
        assert "Exactly 12.50 USDC" in text

    def test_late_payment_is_shown(self, visitor, page, acme):
        rails.advance(acme, hours=2)
        rails.settle(acme)
        over = text_of(visitor.get(page.wsgi_request.path))
        assert "This is over" in over
        assert "Do not send anything to that address" in over
        assert Claim.objects.get().transfer.address not in over

    def test_partial_payment_is_shown_after_the_link_has_expired(self, visitor, coins, acme):
        link = make(coins, "RECEIVE", expires_at=clock.real_now() + timedelta(minutes=90))
        page = confirm(visitor, link, enter(visitor, link, step="usdc"))
        self.send(visitor, page, "5")
        rails.advance(acme, hours=2)
        rails.settle(acme)

        over = visitor.get(address(link))

        assert "This link has expired" in text_of(over)
        assert "No money moved" not in text_of(over)
        assert page.wsgi_request.path in over.content.decode()
        assert "5.00 USDC of it had come" in text_of(visitor.get(page.wsgi_request.path))

    @pytest.mark.parametrize("amount", ["", "0", "-1", "1e3", "0.0000001", "x", "1" * 30])
    def test_simulated_amount_must_be_possible_on_a_chain(self, visitor, page, amount):
        answer = self.send(visitor, page, amount)

        assert answer.status_code == 422
        assert f'value="{amount}"' in answer.content.decode() or not amount
        assert "Send USDC to this address" in text_of(answer)

    def test_other_claims_have_no_simulation(self, visitor, dollars):
        link = make(dollars)
        page = confirm(visitor, link, enter(visitor, link, **BANK))

        assert self.send(visitor, page, "1").status_code == 404

    def test_open_payment_reserves_the_link_until_it_expires(self, page, link, acme):
        assert "Somebody is paying this link" in text_of(Client().get(address(link)))

        rails.advance(acme, hours=2)
        rails.settle(acme)

        assert "How would you like to pay?" in text_of(Client().get(address(link)))

    def test_usd_link_converts_usdc_one_to_one(self, visitor, dollars):
        link = make(dollars, "RECEIVE")

        choice = text_of(visitor.get(address(link), {"method": "usdc"}))
        assert "$12.50 is exchanged 1:1 for 12.50 USDC." in choice
        assert "exchanged" not in text_of(visitor.get(address(link), {"method": "ach"}))

        review = enter(visitor, link, step="usdc")

        assert "You pay 12.50 USDC, one for one." in text_of(review)
        assert "Your wallet pays what the network asks for" in text_of(review)
        assert "one for one" not in text_of(enter(visitor, link, **BANK))


class TestPaymentFromWallet:
    def test_visitor_can_request_payment_from_a_wallet(self, visitor, dollars, shop, globex):
        world.fund(shop, "50")
        link = make(dollars, "RECEIVE")

        review = enter(visitor, link, step="wallet", wallet_id=shop.id)
        assert "When somebody of that wallet's organization has agreed" in text_of(review)
        assert "Shop" not in text_of(review)
        page = confirm(visitor, link, review)
        assert "Waiting for a yes" in text_of(page)
        assert balance_of(shop) == 50

        approvals.approve(Approval.objects.get(), actor=world.actor_for(globex))
        answer = poll(visitor, page, seen=seen(page))

        assert answer.status_code == 286
        assert "You have paid" in answer.content.decode()
        assert balance_of(dollars) == Decimal("112.5")

    def test_second_request_is_refused_in_every_language(self, dollars, shop):
        link = make(dollars, "RECEIVE", max_uses=2)
        visitor, second = (Client(headers={"Accept-Language": "es-ES"}) for _ in range(2))
        review = enter(visitor, link, step="wallet", wallet_id=shop.id)
        confirm(visitor, link, review)

        assert "aún no ha decidido" in text_of(
            enter(second, link, step="wallet", wallet_id=shop.id)
        )

    def test_requests_are_limited(self, visitor, dollars, shop, monkeypatch):
        monkeypatch.setattr(rate_limits, "REQUESTS", 2)
        link = make(dollars, "RECEIVE")
        named = {"step": "wallet", "wallet_id": shop.id}

        answers = [visitor.post(address(link), named) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [303, 303, 422]
        assert "Wait a minute" in text_of(answers[2])
        assert f'value="{shop.id}"' in answers[2].content.decode()

    def test_rejected_request_is_shown(self, visitor, dollars, shop, globex):
        link = make(dollars, "RECEIVE")
        review = enter(visitor, link, step="wallet", wallet_id=shop.id)
        page = confirm(visitor, link, review)

        approvals.reject(Approval.objects.get(), actor=world.actor_for(globex))

        assert "They said no" in text_of(visitor.get(page.wsgi_request.path))

    def test_member_with_permission_pays_immediately(self, dollars, shop, globex):
        world.fund(shop, "50")
        link, visitor = make(dollars, "RECEIVE"), world.browser(world.make_member(globex, "MEMBER"))
        first = visitor.get(address(link))
        assert f'value="{shop.id}"' in first.content.decode()

        review = enter(visitor, link, step="wallet", own=shop.id)
        assert "Shop of Globex" in text_of(review)
        assert "Pay $12.50" in text_of(review)
        page = confirm(visitor, link, review)

        assert "You have paid Paid $12.50" in text_of(page)
        assert not Approval.objects.exists()
        assert balance_of(dollars) == Decimal("112.5")

    def test_viewer_is_not_offered_the_wallet(self, dollars, shop, globex):
        link, visitor = make(dollars, "RECEIVE"), world.browser(world.make_member(globex, "VIEWER"))

        assert shop.id not in visitor.get(f"{address(link)}?method=wallet").content.decode()
        review = enter(visitor, link, step="wallet", wallet_id=shop.id)
        assert "Ask for the payment" in text_of(review)

    def test_wallet_without_funds_is_refused_and_pays_nothing(self, dollars, shop, globex):
        link, visitor = make(dollars, "RECEIVE"), world.browser(world.make_member(globex, "MEMBER"))

        answer = visitor.post(address(link), {"step": "wallet", "own": shop.id})

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["own"]
        assert "not enough money in that wallet" in text_of(answer)

    def test_wallet_without_pay_requests_answers_like_an_unknown_one(
        self, visitor, dollars, shop, globex
    ):
        type(globex).objects.filter(pk=globex.pk).update(accepts_pay_requests_sandbox=False)
        link = make(dollars, "RECEIVE")

        texts = [
            text_of(visitor.post(address(link), {"step": "wallet", "wallet_id": id}))
            for id in (shop.id, world.unknown_id("wal"))
        ]

        assert "takes no requests to pay" in texts[0]
        assert texts[0] == texts[1]


class TestReceipt:
    @pytest.fixture
    def page(self, visitor, dollars, acme):
        link = make(dollars, description="Not for an email")
        page = confirm(visitor, link, enter(visitor, link, **BANK))
        rails.settle(acme)
        return page

    def send_email(self, visitor, page, to, **client):
        return visitor.post(f"{page.wsgi_request.path}/letter", {"email": to})

    def test_receipt_can_be_sent_by_email(self, visitor, page, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            answer = self.send_email(visitor, page, " grace@example.com ")

        assert answer.status_code == 303
        assert "on its way by e-mail" in text_of(visitor.get(answer.url))
        [email] = emailing.outbox()
        assert email.to == ["grace@example.com"]
        assert email.subject == "Receipt: $12.50 from Acme"
        assert Claim.objects.get().id in email.body
        assert "•••• 6789 (JPMorgan Chase Bank)" in email.body
        assert page.wsgi_request.path in email.body
        assert "Not for an email" not in email.body

    def test_receipt_email_is_in_the_readers_language(
        self, visitor, page, django_capture_on_commit_callbacks
    ):
        visitor.cookies["language"] = "es"
        with django_capture_on_commit_callbacks(execute=True):
            self.send_email(visitor, page, "grace@example.com")

        assert emailing.outbox()[0].subject == "Recibo: $12.50 de Acme"
        assert "Número de recibo" in emailing.outbox()[0].body

    @pytest.mark.parametrize("to", ["", "grace", "a@b", "x@example.com\nBcc: y@example.com"])
    def test_receipt_is_sent_to_valid_addresses_only(self, visitor, page, to):
        answer = self.send_email(visitor, page, to)

        assert answer.status_code == 422
        assert "email" in answer.context["form"].errors
        assert "You have been paid" in text_of(answer)
        assert emailing.outbox() == []

    def test_receipt_emails_are_limited_per_minute(self, visitor, page):
        answers = [self.send_email(visitor, page, f"g{n}@example.com") for n in range(5)]

        *taken, fourth, fifth = [answer.status_code for answer in answers]
        assert taken == [303, 303, 303]
        assert fourth in (303, 429)  # 303 if a new minute begins in between
        assert fifth == 429

    def test_receipt_email_contains_no_url_but_its_own(self, visitor, page):
        """A visitor chooses the recipient, and anyone can choose the name of an organization."""
        Organization.objects.update(name="Win at https://evil.example/now")
        self.send_email(visitor, page, "grace@example.com")

        email = Email.objects.get()
        assert email.subject == "Receipt: $12.50 from Somebody"
        assert "evil" not in email.text

    def test_receipt_emails_are_limited_per_day(self, visitor, page, monkeypatch):
        monkeypatch.setattr(receipt, "EMAILS", 1000)
        most = limits.EMAILS_PER_ADDRESS_OF_SANDBOXES
        here = [self.send_email(visitor, page, "Grace@example.com") for _ in range(most + 1)]
        assert [answer.status_code for answer in here] == [*[303] * most, 422]
        assert "Go on tomorrow" in text_of(here[-1])

        monkeypatch.setattr(limits, "RECEIPTS_PER_SUBJECT", most)
        answer = self.send_email(visitor, page, "alan@example.com")
        assert "This receipt was sent several times today" in text_of(answer)
        assert Email.objects.count() == most

    def test_receipts_do_not_count_as_the_makers_emails(
        self, visitor, page, dollars, acme, monkeypatch
    ):
        monkeypatch.setattr(limits, "LINKS_PER_HOUR", 1)
        self.send_email(visitor, page, "grace@example.com")

        link_emails.send(make(dollars), actor=world.actor_for(acme), address="alan@example.com")

    def test_get_of_the_forms_url_redirects_to_the_receipt(self, visitor, page):
        """A visitor may reload the page after a refusal."""
        assert visitor.get(f"{page.wsgi_request.path}/letter").url == page.wsgi_request.path

    def test_receipt_of_an_open_claim_is_not_sent(self, visitor, dollars):
        link = make(dollars)
        page = confirm(visitor, link, enter(visitor, link, **BANK))

        assert self.send_email(visitor, page, "grace@example.com").url == page.wsgi_request.path
        assert emailing.outbox() == []

    def test_receipt_needs_its_token(self, visitor, page):
        for tail in ("", "/letter", "/simulate"):
            path = re.sub(r"receipt/.*", f"receipt/clm_x:y{tail}", page.wsgi_request.path)
            method = visitor.post if tail else visitor.get
            assert method(path).status_code == 404


def test_link_is_not_paid_twice_by_two_methods(dollars, acme, shop):
    """Two tabs with two methods claim one use."""
    link = make(dollars)
    one, other = Client(), Client()
    reviews = [enter(one, link, **BANK), enter(other, link, step="wallet", wallet_id=shop.id)]

    first = confirm(one, link, reviews[0])
    second = confirm(other, link, reviews[1])
    rails.settle(acme)

    assert "on its way" in text_of(first)
    assert second.status_code == 422
    assert "This was not possible" in text_of(second)
    assert balance_of(dollars) == Decimal("87.5")
    assert Hold.objects.get(pk=link.hold_id).remaining == 0
