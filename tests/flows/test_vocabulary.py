"""Every page, email and admin page shows money in one form, and statuses in one vocabulary."""

import re
from decimal import Decimal
from html import unescape

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.controls.models import Approval
from accounts.organizations.models import User
from accounts.payments.services import internal_payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claim_status, link_emails, payment_links
from tests import approving, emailing, world
from tests.links.pay_page import visiting
from tests.pages import PAGES, object_ids
from wallgent.web.statuses import LOOKS

SMALLEST, LARGEST = "0.00000001", "999999999999.99999999"
# The only forms of money for people.
MONEY = re.compile(
    r"(?<![\d.,$])[-+]?"
    r"(\$\d{1,3}(,\d{3})*\.(\d\d|\d{2,7}[1-9])(?!\d)"
    r"|\d{1,3}(,\d{3})*\.(\d\d|\d{2,7}[1-9])\N{NO-BREAK SPACE}USDC)"
)
OTHER = re.compile(r"\d[\d.,]*[ \N{NO-BREAK SPACE}]?USDC?\b|\$ ?\d|\b\d[\d,]*\.\d{2,}\b")
# What is no money, or is written as programs read it: fields, code, times, JSON.
PLAIN = re.compile(
    r"<(script|style|textarea|code|pre|time|text)\b.*?</\1>"
    r"|(such as|Such as|thousands:) [\d.]+|:\d\d\.\d+|&quot;[\d.]+&quot;",
    re.DOTALL,
)
PARTS = ("entries", "holds", "activity")  # of the page of a wallet
SPANISH = {"Accept-Language": "es-AR"}


def other_forms(html: str) -> set[str]:
    """Return the amounts in a page that are not in the form for people."""
    text = unescape(re.sub(r"<[^>]*>", " ", PLAIN.sub(" ", html)))
    return set(OTHER.findall(MONEY.sub(" ", text)))


def badges(html: str) -> set[tuple[str, str]]:
    """Return the word and tone of each badge of a status in a page."""
    pattern = r'<span class="badge(?:-status)? tone-(\w+)">(?:<svg.*?</svg><bdi[^>]*>)?([^<]*)<'
    return {(unescape(word), tone) for tone, word in re.findall(pattern, html, re.DOTALL)}


@pytest.fixture
def scene(acme, globex, django_capture_on_commit_callbacks):
    """Create objects with awkward amounts in both currencies, and return page IDs by name."""
    ids = object_ids(acme)
    actor = world.actor_for(acme)
    wallet = Wallet.objects.get(pk=ids["wallet"])
    coins, other = (world.make_wallet(acme, name, currency="USDC") for name in ("Coins", "Other"))
    world.deposit(coins, "999999999000.99999999")
    for amount in (SMALLEST, "5", "1250"):
        request = PaymentRequest(sender=coins, recipient=other, amount=Decimal(amount))
        internal_payments.create(request, actor=actor)
    world.fund(wallet, "2500")
    for amount, direction, at in (
        ("1250", "SEND", wallet),
        (SMALLEST, "SEND", coins),
        (LARGEST, "RECEIVE", coins),
        (LARGEST, "RECEIVE", wallet),
    ):
        payment_links.create(actor=actor, wallet=at, amount=Decimal(amount), direction=direction)
    approving.ask(coins, other, SMALLEST)
    payee = world.make_wallet(globex, "Payee")
    sent = PaymentLink.objects.get(amount=1250)
    with django_capture_on_commit_callbacks(execute=True):
        visiting.claimed(sent, payee)
        open_link = PaymentLink.objects.get(amount=Decimal(LARGEST), currency="USD")
        link_emails.send(open_link, actor=actor, address="ada@example.com")
    return ids | {"coins": coins.id}


def pages_of(acme, scene) -> dict[str, str]:
    """Return every page as its reader sees it, by path."""
    browser = world.browser(world.make_member(acme, "OWNER"))
    found = {}
    for name in ("wallet", "coins"):
        for page in PAGES:
            if name == "wallet" or page.id == "wallet":
                url = page.url(acme, scene | {"wallet": scene[name]})
                found[url] = browser.get(url).text
    coins = reverse("wallet", args=[acme.id, "SANDBOX", scene["coins"]])
    found |= {f"{coins}?show={part}": browser.get(f"{coins}?show={part}").text for part in PARTS}
    for pk in PaymentLink.objects.values_list("pk", flat=True):
        found[pk] = browser.get(reverse("payment-link", args=[acme.id, "SANDBOX", pk])).text
    for pk in Approval.objects.filter(organization=acme).values_list("pk", flat=True):
        found[pk] = browser.get(reverse("approval", args=[acme.id, "SANDBOX", pk])).text
    return found


def public_pages() -> dict[str, str]:
    found = {}
    for headers in ({}, SPANISH):
        for link in PaymentLink.objects.select_related("organization"):
            found[link.id, len(headers)] = Client(headers=headers).get(visiting.address(link)).text
        for claim in Claim.objects.select_related("link"):
            url = reverse("pay-receipt", args=[claim.link.slug, claim_status.token_of(claim)])
            found[claim.id, len(headers)] = Client(headers=headers).get(url).text
    return found


def admin_pages() -> dict[str, str]:
    support = world.browser(User.objects.create_superuser("root@wallgent.example"))
    found = {}
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found[name] = support.get(reverse(f"{name}_changelist")).text
        for obj in model.objects.order_by("-pk")[:5]:
            url = reverse(f"{name}_change", args=[obj.pk])
            found[url] = support.get(url).text
    return found


def test_money_has_one_form_everywhere(subtests, acme, scene):
    emails = {email.subject: f"{email.subject}\n{email.body}" for email in emailing.outbox()}
    everywhere = pages_of(acme, scene) | public_pages() | admin_pages() | emails

    for place, text in everywhere.items():
        with subtests.test(str(place)):
            assert other_forms(text) == set()
    shown = "".join(map(unescape, everywhere.values()))
    for text in (
        *("$1,250.00", "$999,999,999,999.99999999", "-5.00\xa0USDC", "+$2,500.00"),
        *("0.00000001\xa0USDC", "-0.00000001\xa0USDC", "999,999,999,999.99999999\xa0USDC"),
    ):
        assert text in shown, text
    assert len(emails) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "1,250.00 USD",
        "1250.00",
        "$1250.00",
        "$ 5.00",
        "1.250,00 USDC",
        "5 USD",
        "$5.000",
        "5.00 USDC",
    ],
)
def test_other_forms_are_found(text):
    assert other_forms(f"<p>{text}</p>")


def test_badges_have_the_words_and_tones_of_the_vocabulary(subtests, acme, scene):
    everywhere = pages_of(acme, scene) | admin_pages()
    looks = {(look.word, look.tone) for look in LOOKS.values()}
    found = set()

    for place, html in everywhere.items():
        with subtests.test(str(place)):
            assert badges(html) <= looks
            found |= badges(html)
    assert {("Open", "info"), ("Completed", "success"), ("Needs approval", "warning")} <= found


def test_claimant_and_sender_see_the_same_status(acme, scene):
    claim = Claim.objects.get()
    public = [html for (id, _), html in public_pages().items() if id == claim.id]
    own = pages_of(acme, scene)[claim.link_id]

    assert ("Paid", "success") in badges(own)
    assert [badges(html) for html in public] == [{("Paid", "success")}, {("Pagado", "success")}]
