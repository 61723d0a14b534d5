"""What a visitor of a payment link's public page does."""

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
    """Return the visible text in one line."""
    body = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)[0]
    return read(body)


def read(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def enter_email(visitor, link, email):
    return visitor.post(address(link), {"step": "email", "email": email})


def enter_wallet(visitor, link, wallet_id, **data):
    return visitor.post(address(link), {"step": "wallet", "wallet_id": wallet_id} | data)


@cache
def sealed(link: PaymentLink, wallet_id: str) -> str:
    """Return the sealed draft on the review page, the same for each click."""
    return Visit(None, link).seal("draft", {"method": "WALLET", "wallet_id": wallet_id})


def claim(visitor, link, wallet_id, submission=None):
    """Send the review form, without the steps before it."""
    data = {"draft": sealed(link, wallet_id), "submission": submission or ids.new("sub")}
    return visitor.post(address(link, "review"), data)


def claimed(link, shop) -> Client:
    """Return a visitor who claimed the link with a wallet."""
    visitor = Client()
    enter_wallet(visitor, link, shop.id)
    assert claim(visitor, link, shop.id).status_code == 303
    return visitor


def hidden_of(response) -> dict[str, str]:
    """Return the hidden fields of a page's first form."""
    form = re.search(r"<form(?:(?!theme-choice).)*?</form>", response.content.decode(), re.DOTALL)[
        0
    ]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


def sent_by_our_server(path: str) -> bytes:
    environ = RequestFactory().get(path, headers={"Accept-Encoding": "gzip, br"}).environ
    return b"".join(StaticFiles(None)(environ, lambda *_: None))
