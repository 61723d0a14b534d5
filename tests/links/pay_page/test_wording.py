"""The public page: codes by email, field checks, and the reader's language."""

import ast
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation

from accounts.organizations.models import Organization
from links.pay_page import error_messages, field_checks
from links.payment_links.models import Claim, CodeVisitor, EmailVerification
from links.payment_links.services import payment_links, rate_limits
from links.payment_links.services.payment_links import Restrictions
from tests import emailing, world
from tests.links.pay_page.visiting import address, claim, enter_email, enter_wallet, read, text_of
from tests.world import balance_of
from wallgent import clock
from wallgent.mail import limits
from wallgent.mail.models import Email

ADA = "ada@example.com"
SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor():
    return Client()


@pytest.fixture
def make(wallet):
    world.fund(wallet, "5000")

    def make(**options):
        proof, emails = options.pop("proof", "TYPED"), options.pop("emails", ())
        return payment_links.create(
            actor=world.actor_for(wallet.organization),
            wallet=wallet,
            restrictions=Restrictions(emails=emails, proof=proof),
            **{"amount": Decimal(25), "direction": "SEND"} | options,
        )

    return make


class TestCode:
    @pytest.fixture
    def link(self, make):
        return make(emails=(ADA,), proof="CODE")

    @pytest.fixture
    def sent_emails(self, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True) as left:
            yield left

    @pytest.fixture
    def ask(self, visitor, link, django_capture_on_commit_callbacks):
        """Enter the address; return the code that was sent to it."""
        with django_capture_on_commit_callbacks(execute=True):
            answer = enter_email(visitor, link, ADA)
        assert (answer.status_code, answer.url) == (303, address(link))
        return re.search(r"\b[0-9]{6}\b", emailing.outbox()[-1].body)[0]

    def type(self, visitor, link, code):
        return visitor.post(address(link), {"step": "code", "code": code})

    def test_code_email_is_in_the_readers_language(self, make, django_capture_on_commit_callbacks):
        link = make(emails=(ADA,), proof="CODE", amount=Decimal("1234.5"))
        with django_capture_on_commit_callbacks(execute=True):
            enter_email(Client(headers={"Accept-Language": "es-ES"}), link, ADA)

        assert "un pago de $1,234.50 es para usted" in emailing.outbox()[-1].body

    def test_visitor_is_not_asked_for_a_code_that_cannot_be_sent(self, visitor, make, link):
        for _ in range(limits.EMAILS_PER_ADDRESS_OF_SANDBOXES):
            enter_email(Client(), make(emails=(ADA,), proof="CODE"), ADA)

        refused = enter_email(visitor, link, ADA)

        assert refused.status_code == 422
        assert "This address was sent several letters today" in text_of(refused)
        emailing.age(days=1)
        assert enter_email(visitor, link, ADA).status_code == 303

    def test_code_email_contains_no_url(self, visitor, link):
        Organization.objects.update(name="Win at www.evil.example")

        enter_email(visitor, link, ADA)

        email = Email.objects.get()
        assert "It is valid for 10 minutes." in email.text
        assert "evil" not in email.text

    def test_code_verifies_the_address_and_reveals_the_sender(self, visitor, link, ask, shop):
        page = visitor.get(address(link))
        assert "Look into your mailbox" in text_of(page)
        assert ADA in text_of(page)
        assert 'autocomplete="one-time-code"' in page.content.decode()
        assert emailing.outbox()[-1].to == [ADA]

        answer = self.type(visitor, link, f" {ask[:3]} {ask[3:]} ")

        assert (answer.status_code, answer.url) == (303, address(link))
        assert "Where should the money go?" in text_of(visitor.get(address(link)))
        enter_wallet(visitor, link, shop.id)
        assert claim(visitor, link, shop.id).status_code == 303
        assert balance_of(shop) == 25

    def test_sender_and_later_steps_are_hidden_until_the_code_is_entered(
        self, visitor, link, ask, shop
    ):
        assert "Acme" not in visitor.get(address(link)).content.decode()
        assert visitor.get(address(link, "review")).url == address(link)
        assert claim(visitor, link, shop.id).url == address(link)
        assert not Claim.objects.exists()

    def test_wrong_code_is_counted_as_a_try(self, visitor, link, ask):
        wrong = "000000" if ask != "000000" else "111111"
        texts = [text_of(self.type(visitor, link, wrong)) for _ in range(6)]

        assert "not the code that was sent" in texts[0]
        assert "4 tries are left" in texts[0]
        assert "One try is left" in texts[3]
        assert "Too many wrong codes" in texts[5]
        assert "Too many wrong codes" in text_of(self.type(visitor, link, ask))

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "12 34"])
    def test_malformed_code_is_not_counted_as_a_try(self, visitor, link, ask, typed):
        answer = self.type(visitor, link, typed)

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["code"]
        assert EmailVerification.objects.get().tries == 0

    def test_wrong_codes_of_a_stranger_do_not_lock_out_the_visitor(
        self, visitor, link, ask, monkeypatch
    ):
        stranger = Client()
        enter_email(stranger, link, ADA)
        for _ in range(5):
            self.type(stranger, link, f"{(int(ask) + 1) % 10**6:06}")
        refused = text_of(self.type(stranger, link, ask))
        assert re.search(r"In \d+ seconds, choose “Send a new code”", refused)
        monkeypatch.setattr(rate_limits, "ADDRESSES", -9)  # the limit of this network is used up

        assert self.type(visitor, link, ask).status_code == 303

        assert "Acme sends you" in text_of(visitor.get(address(link)))

    def test_code_is_sent_again_after_a_wait(self, visitor, link, ask):
        answer = visitor.post(address(link), {"step": "resend"})
        assert answer.status_code == 422
        assert re.search(r"A new one can be sent in \d+ seconds", text_of(answer))

        EmailVerification.objects.update(sent_at=clock.real_now() - timedelta(minutes=2))
        answer = visitor.post(address(link), {"step": "resend"})
        assert "A code is on its way" in text_of(visitor.get(answer.url))
        assert self.type(visitor, link, ask).status_code == 303  # the same code was sent again

    def test_expired_code_is_refused(self, visitor, link, ask):
        EmailVerification.objects.update(expires_at=clock.real_now())

        assert "no longer valid" in text_of(self.type(visitor, link, ask))

    def test_expired_verification_asks_for_a_code_again(self, visitor, link, ask, shop):
        self.type(visitor, link, ask)
        CodeVisitor.objects.update(verified_at=clock.real_now() - timedelta(hours=2))

        for answer in (enter_wallet(visitor, link, shop.id), claim(visitor, link, shop.id)):
            assert answer.status_code == 303
        assert "Some time has passed" in text_of(visitor.get(f"{address(link)}?sent=old"))
        assert not Claim.objects.exists()

    def test_visitor_can_enter_another_address(self, visitor, link, ask):
        visitor.post(address(link), {"step": "another"})

        assert "This payment is for one person" in text_of(visitor.get(address(link)))

    def test_code_that_was_just_sent_works_in_another_browser(self, visitor, link, ask):
        elsewhere = Client()
        for someone in (visitor, elsewhere):
            assert enter_email(someone, link, ADA).status_code == 303

        assert len(emailing.outbox()) == 1
        self.type(elsewhere, link, ask)
        assert "Acme sends you" in text_of(elsewhere.get(address(link)))

    def test_other_addresses_get_no_code(self, visitor, link):
        answer = enter_email(visitor, link, "eve@example.com")

        assert answer.status_code == 422
        assert not EmailVerification.objects.exists()


class TestFieldChecks:
    @pytest.mark.parametrize(
        ("asked", "note", "error"),
        [
            ({"routing": "021 000 021"}, "JPMorgan Chase Bank", ""),
            ({"routing": "110000000"}, "", ""),
            ({"routing": "021000022"}, "", "not a routing number"),
            ({"address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, "", ""),
            ({"address": "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, "", "capital letters"),
            ({"address": "\x00"}, "", "not an address"),
            ({}, "", "not an address"),
        ],
    )
    def test_check_says_what_is_wrong(self, client, asked, note, error):
        answer = client.get("/pay/checks", asked)

        assert answer.status_code == 200
        assert answer.json()["note"] == note
        assert error in answer.json()["error"]
        assert bool(error) == bool(answer.json()["error"])
        assert "no-store" in answer.headers["Cache-Control"]

    def test_checks_are_limited(self, client, monkeypatch):
        monkeypatch.setattr(field_checks, "CHECKS", 2)

        asked = [client.get("/pay/checks", {"routing": "1"}).status_code for _ in range(3)]

        assert asked == [200, 200, 429]

    def test_errors_of_checks_are_in_the_readers_language(self, client):
        answer = client.get("/pay/checks", {"routing": "1"}, headers=SPANISH)

        assert "nueve cifras" in answer.json()["error"]


class TestLanguage:
    def test_page_is_in_the_browsers_language(self, visitor, make):
        link = make(amount=Decimal("1234.5"), expires_at=clock.real_now() + timedelta(days=300))

        answer = visitor.get(address(link), headers=SPANISH)

        text = text_of(answer)
        assert text.startswith("Acme le envía $1,234.50")
        assert "¿Adónde debe ir el dinero?" in text
        assert re.search(r"Abierto hasta el \d+ [a-z]{3,4} 20\d\d, \d\d:\d\d UTC", text)
        assert '<html lang="es"' in answer.content.decode()
        assert answer.headers["Content-Language"] == "es"
        assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))

    def test_spanish_of_spain_has_a_decimal_comma(self, visitor, make):
        answer = visitor.get(address(make()), headers={"Accept-Language": "es-ES"})

        assert text_of(answer).startswith("Acme le envía $25.00")

    def test_chosen_language_is_kept(self, visitor, make):
        link = make()
        page = visitor.get(address(link)).content.decode()
        assert re.search(r'value="es" lang="es" aria-pressed="false"', page)

        answer = visitor.post("/pay/language", {"language": "es", "next": address(link)})

        assert (answer.status_code, answer.url) == (303, address(link))
        assert "le envía" in text_of(visitor.get(address(link)))
        visitor.post("/pay/language", {"language": "en", "next": address(link)})
        assert "sends you" in text_of(visitor.get(address(link), headers=SPANISH))

    def test_choosing_a_language_returns_to_the_same_method(self, visitor, make):
        link = make()
        ways = {
            f"{address(link)}?method=wallet": visitor.get(f"{address(link)}?method=wallet"),
            f"{address(link)}?method=ach": visitor.post(address(link), {"step": "ach"}),
        }
        for here, page in ways.items():
            assert f'name="next" value="{here}"' in page.content.decode()

    @pytest.mark.parametrize(
        "target", ["", "https://evil.example/", "//evil.example", "/admin/", "/pay/\\evil", "x"]
    )
    def test_choosing_a_language_redirects_to_the_pay_page_only(self, visitor, target):
        answer = visitor.post("/pay/language", {"language": "xx", "next": target})

        assert answer.url == "/" or answer.url.startswith("/pay/")
        assert "evil.example" not in answer.url
        assert "language" not in visitor.cookies

    def test_errors_are_in_the_readers_language(self, visitor, make, shop):
        link = make(max_uses=2)
        enter_wallet(visitor, link, shop.id)
        claim(visitor, link, shop.id)

        answer = Client().post(
            address(link), {"step": "wallet", "wallet_id": shop.id}, headers=SPANISH
        )
        assert "Este monedero ya usó este enlace de pago" in text_of(answer)
        missing = Client().post(address(link), {"step": "wallet", "wallet_id": ""}, headers=SPANISH)
        assert "Escriba el identificador del monedero" in text_of(missing)
        lost = Client().get("/pay/unknown", headers=SPANISH)
        assert lost.status_code == 404
        assert "Este enlace no lleva a ninguna parte" in read(lost.content.decode())

    def test_other_pages_are_in_english(self, client):
        page = client.get("/account/login/", headers=SPANISH).content.decode()

        assert "Sign in" in page
        assert '<html lang="en"' in page

    def test_catalogue_is_complete_and_compiled(self):
        """No translation is missing, and the committed .mo file was compiled from the .po file."""
        book = (Path(settings.BASE_DIR) / "locale/es/LC_MESSAGES/django.po").read_text()
        pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', book, re.MULTILINE)

        assert len(pairs) > 200
        with translation.override("es"):
            for english, spanish in (map(_plain, pair) for pair in pairs):
                assert spanish
                assert translation.gettext(english) == spanish
                assert _placeholders(english) == _placeholders(spanish)

    def test_every_error_a_visitor_can_cause_has_a_message(self):
        messages = {text for name in _SERVICES for text in _sentences(name)}

        assert len(messages) > 15
        assert messages - error_messages._SUITABLE - _NOT_FOR_VISITORS == set()

    def test_catalogue_has_every_text_of_the_pages(self):
        book = (Path(settings.BASE_DIR) / "locale/es/LC_MESSAGES/django.po").read_text()
        known = {_plain(text) for text in re.findall(r'^msgid "(.+)"$', book, re.MULTILINE)}
        folder = Path(settings.BASE_DIR) / "templates"
        pages = [*folder.glob("links/pay_page/*"), *folder.glob("links/payment_links/_promise*")]
        texts = {
            text
            for page in [*pages, folder / "layouts/public.html"]
            for _, text in re.findall(r"{% translate ([\"'])(.+?)\1", page.read_text())
        }

        assert len(texts) > 100
        folders = ("links", "accounts/pay_ins")
        code = [path for name in folders for path in Path(settings.BASE_DIR, name).rglob("*.py")]
        code += [Path(settings.BASE_DIR, "wallgent/web/public_pages.py")]
        marked = {text for module in code for text in _marked(ast.parse(module.read_text()))}
        assert len(marked) > 80
        assert (texts | marked) - known == set()


# Services whose errors a visitor can cause.
_SERVICES = [
    *("accounts/pay_ins/services/pay_ins", "accounts/pay_ins/services/pay_requests"),
    *("links/payment_links/services/claims", "links/payment_links/services/email_verification"),
    *("links/payment_links/services/expiry", "links/payment_links/services/pay_ins"),
    *("links/payment_links/services/pay_requests", "links/payment_links/services/payouts"),
    "links/payment_links/services/restrictions",
]
_NOT_FOR_VISITORS = {
    "There is no such claim.",  # shown as a page
    # Reasons shown to the maker of the link. The visitor's page has other texts.
    "Nobody decided about it in time.",
    "Whoever owns the wallet does not pay.",
    "The payment link has expired.",
    "The payment link was paid from this wallet already.",
    "This payment link is for certain e-mail addresses. Give yours as recipientEmail.",
    "The payment link has been paid by somebody else, or is over. Reject this request.",
    # error_messages.of has other messages for these.
    "Paying from a wallet needs an API key that may spend from it, and this wallet takes no pay"
    " requests. Send such a key, or pay in another way.",
    "The e-mail address has to be proven first: by a code that is sent to it.",
}


def _sentences(service: str) -> set[str]:
    """Return all sentences in the code of a service."""
    tree = ast.parse(Path(settings.BASE_DIR, f"{service}.py").read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, documented)
    }
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in texts if re.match(r"[A-Z].* .*\.$", str(text))} - docstrings


def _marked(tree: ast.AST) -> set[str]:
    """Return the texts of a module that are marked for translation."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in ("_", "gettext", "gettext_lazy", "gettext_noop")
        and isinstance(call.args[0], ast.Constant)
    }


def _plain(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", "\n")


def _placeholders(text: str) -> set[str]:
    """Return the placeholders of a text."""
    return set(re.findall(r"%\(\w+\)s|{\w+}", text))
