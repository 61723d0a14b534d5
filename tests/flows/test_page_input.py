"""Whatever is typed into a page's address or form, the answer is a page and never a fault of ours.

The fields are read off the pages themselves, so that a new page or field is tried without a word
here. A soak throws every text at every page and field; otherwise each sees those that hurt most,
and its share of the others.
"""

import re
from html import unescape
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import settings as profile

from tests import pages, world
from tests.accounts import people
from tests.pages import PAGES
from wallgent import redis
from wallgent.web import page_rates

WORST = ["a\0b", "\ud800", "w" * 100_000, "9" * 5_000, '"><script>alert(1)</script>']
HOSTILE = [
    *WORST,
    *("", " ", "\0", "\x1b[31m", "a\r\nBcc: eve@example.com", "\u2028"),
    *("\u202eevil\u2066", "שלום 🦉", "i\u0307" * 300),
    *("-1", "0", "1e400", "NaN", "٣", "²", "0.00000001", "99999999999", "2147483648"),
    *("0001-01-01", "9999-12-31", "0000-00-00", "2026-02-30T99:99"),
    *("{{ 7 }}", "%", "\\", "'", "[]", "{}", "null", '{"a": []}'),
    *("//evil.example", "\\\\evil.example", "javascript:alert(1)", "http://[", "a@[::1]"),
    *("wal_" + "7" + "Z" * 25, "wal_" + "Z" * 26, "sub_" + "0" * 26),
]
HERE = "http://testserver/here"
QUERY = [
    *("page", "sort", "q", "show", "next", "amount", "sender", "own", "wallet", "wallet_scope"),
    *("status", "direction", "since", "until", "submission", "step", "email", "token"),
]
# Pages outside an organization; those below the line belong to whoever is signed in.
OPEN = [
    *("/account/login/", "/account/signup/", "/account/password/reset/", "/account/inactive/"),
    *("/account/confirm-email/x/", "/account/password/reset/key/1-x/", "/invitations/x", "/pay/x"),
    *("/account/2fa/authenticate/", "/account/2fa/webauthn/login/", "/admin/login/", "/design"),
    "/",
]
OWN = [
    *("/account/email/", "/account/password/change/", "/account/sessions/", "/account/logout/"),
    *("/account/2fa/", "/account/2fa/totp/activate/", "/account/2fa/recovery-codes/generate/"),
    *("/account/2fa/webauthn/", "/account/2fa/webauthn/add/", "/account/reauthenticate/"),
    *("/account/2fa/webauthn/keys/99999999999999999999/remove/", "/organizations/new"),
]
# What a page's script fills in, or what stands on a form that this test does not come to.
HIDDEN = {
    "/account/2fa/authenticate/": ["code", "credential"],
    "/account/2fa/webauthn/login/": ["credential"],
    "/account/2fa/webauthn/add/": ["credential"],
    "/account/login/": ["next"],
    "/account/logout/": ["next"],
}


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch, settings):
    for limit in ("READS", "WRITES", "ORGANIZATION_READS", "ORGANIZATION_WRITES"):
        monkeypatch.setattr(page_rates, limit, 10**9)
    settings.ACCOUNT_RATE_LIMITS = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(acme):
    browser = people.signed_in(people.person(organization=acme))
    people.prove(browser)
    return browser


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_in_the_dashboard(page, acme, ada):
    things = pages.things_of(acme)
    further = {
        "payment-new": {
            **{"sender": things["wallet"], "own": "", "other": things["savings"], "step": "send"}
        },
        "payment-link-new": {"wallet": things["wallet"], "expires": "", "step": "create"},
    }
    try_everything(ada, page.url(acme, things), PAGES.index(page), further.get(page.name))


def test_redis_away_is_no_matter(acme, ada, monkeypatch):
    things = pages.things_of(acme)
    monkeypatch.setattr(redis, "attempt", lambda call, default=None: default)

    for page in PAGES:
        path = page.url(acme, things)
        shown = ada.get(path)
        assert shown.status_code == 200, path
        with transaction.atomic():
            answer = ada.post(path, fields(shown.content.decode(), "post"))
            transaction.set_rollback(True)
        assert_calm(answer, path, "")


@pytest.mark.parametrize("path", OPEN)
def test_before_signing_in(path, db):
    try_everything(people.browser(), path, OPEN.index(path))


@pytest.mark.parametrize("path", OWN)
def test_in_ones_own_account(path, ada):
    try_everything(ada, path, OWN.index(path))


def test_in_the_admin(acme):
    pages.things_of(acme)
    staff = world.make_member(acme, is_staff=True, is_superuser=True)
    browser = Client(raise_request_exception=False)
    browser.force_login(staff)
    index = browser.get("/admin/").content.decode()
    paths = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', index)))
    for place, path in enumerate(paths):
        for text in thrown_at(place):
            query = {name: text for name in ("q", "p", "o", "e", "all", "id__exact", "status")}
            assert_calm(browser.get(f"{path}?{encoded(query)}"), path, text)
    assert_calm(browser.get(f"/admin/accounts/wallet/{'9' * 5_000}/change/"), "wallet", "9")


def try_everything(browser, path: str, place: int, further: dict[str, str] | None = None) -> None:
    """Throw hostile texts at the query of the page in this place, then into each of its fields.

    `further` is what else it takes for a form to be carried out but for that one field.
    """
    page = browser.get(path)
    assert_calm(page, path, "")
    html = page.content.decode()
    for text in thrown_at(place):
        query = encoded(dict.fromkeys([*QUERY, *(name for name in fields(html, "get"))], text))
        assert_calm(browser.get(f"{path}?{query}"), path, text)
    filled = fields(html, "post") | dict.fromkeys(HIDDEN.get(path, []), "") | (further or {})
    for turn, name in enumerate(filled, place):
        for text in thrown_at(turn):
            # Each is taken back, so that the next finds things as the first did.
            with transaction.atomic():
                answer = browser.post(
                    path,
                    encoded(filled | {name: text}),
                    content_type="application/x-www-form-urlencoded",
                )
                transaction.set_rollback(True)
            assert_calm(answer, f"{path} {name}", text)


IN_TURN = 5  # so many pages, or fields of one, share the texts that are not the worst


def thrown_at(place: int) -> list[str]:
    """The texts for the page or the field in this place."""
    if profile.get_current_profile_name() == "soak":
        return HOSTILE
    others = HOSTILE[len(WORST) :]
    return WORST + others[place % IN_TURN :: IN_TURN]


def assert_calm(answer, where: str, text: str) -> None:
    assert answer.status_code < 500, (where, text[:40])
    assert "Content-Security-Policy" in answer.headers
    target = answer.headers.get("Location", "").replace("\\", "/")  # as browsers read it
    assert urlsplit(urljoin(HERE, target))[:2] == urlsplit(HERE)[:2], (where, text[:40], target)


def encoded(values: dict[str, str]) -> str:
    return urlencode(values, errors="surrogatepass")


_CONTROL = re.compile(r"<select\b.*?</select>|<(?:input|textarea|button)\b[^>]*>", re.DOTALL)
# What may pass, by a field's name or type, where the page itself has no value.
_LIKELY = {
    **{"email": "eve@example.com", "emails": "eve@example.com", "date": "", "datetime-local": ""},
    **{"allowed_ips": "", "wallet_ids": ""},
}
_ATTRIBUTE = re.compile(r'\b(name|value|type)="([^"]*)"')


def fields(html: str, method: str) -> dict[str, str]:
    """The fields in a page's forms of a method, each with a value that may pass."""
    found = {}
    for form in re.findall(r"<form\b.*?</form>", html, re.DOTALL):
        head = form[: form.index(">")]
        if f'method="{method}"' not in head or "/preferences/" in head or "/logout/" in head:
            continue
        for control in _CONTROL.findall(form):
            said = dict(_ATTRIBUTE.findall(control[: control.index(">")]))
            options = re.findall(r'<option value="([^"]+)"', control)
            if said.get("name") not in (None, "", "csrfmiddlewaretoken"):
                likely = _LIKELY.get(said["name"], _LIKELY.get(said.get("type"), "1"))
                value = next((v for v in (said.get("value"), *options) if v), likely)
                found.setdefault(unescape(said["name"]), unescape(value))
    return found
