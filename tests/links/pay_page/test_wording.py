"""The public page: codes to an address, checks on leaving a field, and the reader's language."""

import ast
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils import translation

from accounts.organizations.models import Organization
from links.pay_page import error_messages, field_checks
from links.payment_links.models import Claim, CodeVisitor, EmailProof
from links.payment_links.services import payment_links
from links.payment_links.services import rate_limits as tries_of_networks
from links.payment_links.services.payment_links import Restrictions
from tests import world
from tests.links.pay_page.visiting import address, claim, read, say_email, say_wallet, text_of
from tests.world import balance_of
from wallgent import clock
from wallgent.mail.models import Letter

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
    def letters(self, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True) as left:
            yield left

    @pytest.fixture
    def ask(self, visitor, link, django_capture_on_commit_callbacks):
        """Name the address; the code that was sent to it."""
        with django_capture_on_commit_callbacks(execute=True):
            answer = say_email(visitor, link, ADA)
        assert (answer.status_code, answer.url) == (303, address(link))
        return re.search(r"\b[0-9]{6}\b", mail.outbox[-1].body)[0]

    def type(self, visitor, link, code):
        return visitor.post(address(link), {"step": "code", "code": code})

    def test_comes_in_words_and_amounts_of_the_readers(
        self, make, django_capture_on_commit_callbacks
    ):
        link = make(emails=(ADA,), proof="CODE", amount=Decimal("1234.5"))
        with django_capture_on_commit_callbacks(execute=True):
            say_email(Client(headers={"Accept-Language": "es-ES"}), link, ADA)

        assert "un pago de 1234,50 USD es para usted" in mail.outbox[-1].body

    def test_comes_in_a_letter_that_leads_nowhere(self, visitor, link):
        Organization.objects.update(name="Win at www.evil.example")

        say_email(visitor, link, ADA)

        letter = Letter.objects.get()
        assert "It is valid for 10 minutes." in letter.text
        assert "evil" not in letter.text

    def test_proves_the_address_before_the_sender_is_named(self, visitor, link, ask, shop):
        page = visitor.get(address(link))
        assert "Look into your mailbox" in text_of(page)
        assert ADA in text_of(page)
        assert 'autocomplete="one-time-code"' in page.content.decode()
        assert mail.outbox[-1].to == [ADA]

        answer = self.type(visitor, link, f" {ask[:3]} {ask[3:]} ")

        assert (answer.status_code, answer.url) == (303, address(link))
        assert "Where should the money go?" in text_of(visitor.get(address(link)))
        say_wallet(visitor, link, shop.id)
        assert claim(visitor, link, shop.id).status_code == 303
        assert balance_of(shop) == 25

    def test_that_is_not_typed_yet_hides_the_sender_and_every_later_step(
        self, visitor, link, ask, shop
    ):
        assert "Acme" not in visitor.get(address(link)).content.decode()
        assert visitor.get(address(link, "review")).url == address(link)
        assert claim(visitor, link, shop.id).url == address(link)
        assert not Claim.objects.exists()

    def test_that_is_wrong_counts(self, visitor, link, ask):
        wrong = "000000" if ask != "000000" else "111111"
        said = [text_of(self.type(visitor, link, wrong)) for _ in range(6)]

        assert "not the code that was sent" in said[0]
        assert "4 tries are left" in said[0]
        assert "One try is left" in said[3]
        assert "Too many wrong codes" in said[5]
        assert "Too many wrong codes" in text_of(self.type(visitor, link, ask))

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "12 34"])
    def test_that_is_none_costs_no_try(self, visitor, link, ask, typed):
        answer = self.type(visitor, link, typed)

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["code"]
        assert EmailProof.objects.get().tries == 0

    def test_typed_wrong_by_a_stranger_keeps_nobody_out(self, visitor, link, ask, monkeypatch):
        stranger = Client()
        say_email(stranger, link, ADA)
        for _ in range(5):
            self.type(stranger, link, f"{(int(ask) + 1) % 10**6:06}")
        refused = text_of(self.type(stranger, link, ask))
        assert re.search(r"In \d+ seconds, choose “Send a new code”", refused)
        monkeypatch.setattr(tries_of_networks, "ADDRESSES", -9)  # those of this office are used up

        assert self.type(visitor, link, ask).status_code == 303

        assert "Acme sends you" in text_of(visitor.get(address(link)))

    def test_is_sent_again_only_after_a_while(self, visitor, link, ask):
        answer = visitor.post(address(link), {"step": "resend"})
        assert answer.status_code == 422
        assert re.search(r"A new one can be sent in \d+ seconds", text_of(answer))

        EmailProof.objects.update(sent_at=clock.real_now() - timedelta(minutes=2))
        answer = visitor.post(address(link), {"step": "resend"})
        assert "A code is on its way" in text_of(visitor.get(answer.url))
        assert self.type(visitor, link, ask).status_code == 303  # the same one was sent again

    def test_that_is_old_asks_for_another(self, visitor, link, ask):
        EmailProof.objects.update(expires_at=clock.real_now())

        assert "no longer valid" in text_of(self.type(visitor, link, ask))

    def test_that_was_typed_long_ago_is_asked_for_again(self, visitor, link, ask, shop):
        self.type(visitor, link, ask)
        CodeVisitor.objects.update(verified_at=clock.real_now() - timedelta(hours=2))

        for answer in (say_wallet(visitor, link, shop.id), claim(visitor, link, shop.id)):
            assert answer.status_code == 303
        assert "Some time has passed" in text_of(visitor.get(f"{address(link)}?sent=old"))
        assert not Claim.objects.exists()

    def test_can_go_to_another_address(self, visitor, link, ask):
        visitor.post(address(link), {"step": "another"})

        assert "This payment is for one person" in text_of(visitor.get(address(link)))

    def test_that_was_just_sent_will_do_for_whoever_asks_again(self, visitor, link, ask):
        elsewhere = Client()
        for someone in (visitor, elsewhere):
            assert say_email(someone, link, ADA).status_code == 303

        assert len(mail.outbox) == 1
        self.type(elsewhere, link, ask)
        assert "Acme sends you" in text_of(elsewhere.get(address(link)))

    def test_goes_to_nobody_else(self, visitor, link):
        answer = say_email(visitor, link, "eve@example.com")

        assert answer.status_code == 422
        assert not EmailProof.objects.exists()


class TestChecks:
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
    def test_say_what_is_wrong_before_a_form_is_sent(self, client, asked, note, error):
        answer = client.get("/pay/checks", asked)

        assert answer.status_code == 200
        assert answer.json()["note"] == note
        assert error in answer.json()["error"]
        assert bool(error) == bool(answer.json()["error"])
        assert "no-store" in answer.headers["Cache-Control"]

    def test_are_limited(self, client, monkeypatch):
        monkeypatch.setattr(field_checks, "CHECKS", 2)

        asked = [client.get("/pay/checks", {"routing": "1"}).status_code for _ in range(3)]

        assert asked == [200, 200, 429]

    def test_speak_the_readers_language(self, client):
        answer = client.get("/pay/checks", {"routing": "1"}, headers=SPANISH)

        assert "nueve cifras" in answer.json()["error"]


class TestLanguage:
    def test_is_the_browsers(self, visitor, make):
        link = make(amount=Decimal("1234.5"), expires_at=clock.real_now() + timedelta(days=300))

        answer = visitor.get(address(link), headers=SPANISH)

        text = text_of(answer)
        assert text.startswith("Acme le envía 1,234.50 USD")  # as in Mexico
        assert "¿Adónde debe ir el dinero?" in text
        assert re.search(r"Abierto hasta el \d+ [a-z]{3,4} 20\d\d, \d\d:\d\d UTC", text)
        assert '<html lang="es"' in answer.content.decode()
        assert answer.headers["Content-Language"] == "es"
        assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))

    def test_of_spain_writes_a_comma(self, visitor, make):
        answer = visitor.get(address(make()), headers={"Accept-Language": "es-ES"})

        assert text_of(answer).startswith("Acme le envía 25,00 USD")

    def test_can_be_chosen_and_stays(self, visitor, make):
        link = make()
        page = visitor.get(address(link)).content.decode()
        assert re.search(r'value="es" lang="es" aria-pressed="false"', page)

        answer = visitor.post("/pay/language", {"language": "es", "next": address(link)})

        assert (answer.status_code, answer.url) == (303, address(link))
        assert "le envía" in text_of(visitor.get(address(link)))
        visitor.post("/pay/language", {"language": "en", "next": address(link)})
        assert "sends you" in text_of(visitor.get(address(link), headers=SPANISH))

    def test_chosen_on_a_page_leads_back_to_the_same_way(self, visitor, make):
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
    def test_leads_nowhere_else(self, visitor, target):
        answer = visitor.post("/pay/language", {"language": "xx", "next": target})

        assert answer.url == "/" or answer.url.startswith("/pay/")
        assert "evil.example" not in answer.url
        assert "language" not in visitor.cookies

    def test_is_that_of_refusals_too(self, visitor, make, shop):
        link = make(max_uses=2)
        say_wallet(visitor, link, shop.id)
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

    def test_of_other_pages_is_english(self, client):
        page = client.get("/account/login/", headers=SPANISH).content.decode()

        assert "Sign in" in page
        assert '<html lang="en"' in page

    def test_has_a_word_for_everything(self):
        """Nothing is missing, and what is committed was compiled from what is written."""
        book = (Path(settings.BASE_DIR) / "locale/es/LC_MESSAGES/django.po").read_text()
        said = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', book, re.MULTILINE)

        assert len(said) > 200
        with translation.override("es"):
            for english, spanish in (map(_plain, pair) for pair in said):
                assert spanish
                assert translation.gettext(english) == spanish
                assert _gaps(english) == _gaps(spanish)

    def test_has_words_for_whatever_a_visitor_is_refused(self):
        said = {text for name in _REFUSING for text in _sentences(name)}

        assert len(said) > 15
        assert said - error_messages._FITS - _MET_BY_NOBODY == set()

    def test_has_every_word_of_the_pages(self):
        book = (Path(settings.BASE_DIR) / "locale/es/LC_MESSAGES/django.po").read_text()
        known = {_plain(text) for text in re.findall(r'^msgid "(.+)"$', book, re.MULTILINE)}
        folder = Path(settings.BASE_DIR) / "templates"
        pages = [*folder.glob("links/*pay*"), *folder.glob("links/_promise*")]
        said = {
            word
            for page in [*pages, folder / "layouts/public.html"]
            for _, word in re.findall(r"{% translate ([\"'])(.+?)\1", page.read_text())
        }

        assert len(said) > 100
        code = [*Path(settings.BASE_DIR, "links").rglob("*.py")]
        marked = {text for module in code for text in _marked(ast.parse(module.read_text()))}
        assert len(marked) > 80
        assert (said | marked) - known == set()


# Services whose refusals a visitor may meet.
_REFUSING = ["claims", "expiry", "pay_ins", "pay_requests", "payouts", "restrictions"]
_REFUSING += ["verification"]
_MET_BY_NOBODY = {
    "There is no such claim.",  # a page of its own
    # Reasons of an end, for whoever made the link; the visitor's page has its own.
    "Nobody decided about it in time.",
    "Whoever owns the wallet does not pay.",
    "The payment link has expired.",
    "The payment link was paid from this wallet already.",
    "This payment link is for certain e-mail addresses. Give yours as recipientEmail.",
    "The payment link has been paid by somebody else, or is over. Reject this request.",
    # Has words of its own.
    "Paying from a wallet needs an API key that may spend from it, and this wallet takes no pay"
    " requests. Send such a key, or pay in another way.",
    "The e-mail address has to be proven first: by a code that is sent to it.",
}


def _sentences(service: str) -> set[str]:
    """Everything that a service of links says."""
    tree = ast.parse(Path(settings.BASE_DIR, f"links/services/{service}.py").read_text())
    kept = (ast.Module, ast.ClassDef, ast.FunctionDef)
    told = {
        ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, kept)
    }
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in texts if re.match(r"[A-Z].* .*\.$", str(text))} - told


def _marked(tree: ast.AST) -> set[str]:
    """The texts of a module that stand in a call of gettext, by any of its names."""
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


def _gaps(text: str) -> set[str]:
    """What is filled in."""
    return set(re.findall(r"%\(\w+\)s|{\w+}", text))
