"""Verbs of somebody who opens the public page of a payment link."""

import re
from functools import cache
from html import unescape

from django.test import Client, RequestFactory

from links.pay_page.access import Visit
from links.payment_links.models import PaymentLink
from wallgent import ids
from wallgent.http.static_files import StaticFiles


def address(link: PaymentLink, *rest: str) -> str:
    return "/".join([f"/pay/{link.slug}", *rest])


def text_of(response) -> str:
    """What a person reads, in one line."""
    body = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)[0]
    return read(body)


def read(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def say_email(visitor, link, email):
    return visitor.post(address(link), {"step": "email", "email": email})


def say_wallet(visitor, link, wallet_id, **said):
    return visitor.post(address(link), {"step": "wallet", "wallet_id": wallet_id} | said)


@cache
def sealed(link: PaymentLink, wallet_id: str) -> str:
    """What the page of the last look holds of a visitor's choice: the same for each click."""
    return Visit(None, link).seal("draft", {"method": "WALLET", "wallet_id": wallet_id})


def claim(visitor, link, wallet_id, submission=None):
    """Send the last look's form, whatever was said before."""
    said = {"draft": sealed(link, wallet_id), "submission": submission or ids.new("sub")}
    return visitor.post(address(link, "review"), said)


def claimed(link, shop) -> Client:
    """A visitor who claimed the link to a wallet."""
    visitor = Client()
    say_wallet(visitor, link, shop.id)
    assert claim(visitor, link, shop.id).status_code == 303
    return visitor


def hidden_of(response) -> dict[str, str]:
    """What the hidden fields of a page's form hold; of several forms, of the first."""
    form = re.search(r"<form(?:(?!theme-choice).)*?</form>", response.content.decode(), re.DOTALL)[
        0
    ]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


def sent_by_our_server(path: str) -> bytes:
    environ = RequestFactory().get(path, headers={"Accept-Encoding": "gzip, br"}).environ
    return b"".join(StaticFiles(None)(environ, lambda *_: None))
