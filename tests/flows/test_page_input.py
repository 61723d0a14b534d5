"""No input in a page's URL or form causes a server error.

Fields are read from the pages, so new pages and fields are tested without changes here. The soak
profile tries every text on every page and field; otherwise each gets the worst texts and its share
of the others.
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
# Pages outside an organization, without and with sign-in.
PUBLIC_PATHS = [
    *("/account/login/", "/account/signup/", "/account/password/reset/", "/account/inactive/"),
    *("/account/confirm-email/x/", "/account/password/reset/key/1-x/", "/invitations/x", "/pay/x"),
    *("/account/2fa/authenticate/", "/account/2fa/webauthn/login/", "/admin/login/", "/design"),
    "/",
]
ACCOUNT_PATHS = [
    *("/account/email/", "/account/password/change/", "/account/sessions/", "/account/logout/"),
    *("/account/2fa/", "/account/2fa/totp/activate/", "/account/2fa/recovery-codes/generate/"),
    *("/account/2fa/webauthn/", "/account/2fa/webauthn/add/", "/account/reauthenticate/"),
    *("/account/2fa/webauthn/keys/99999999999999999999/remove/", "/organizations/new"),
]
# Fields that a script fills in, or of a form that this test does not reach.
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
    people.reauthenticate(browser)
    return browser


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_dashboard_pages(page, acme, ada):
    ids = pages.object_ids(acme)
    extra_fields = {
        "payment-new": {
            **{"sender": ids["wallet"], "own": "", "other": ids["savings"], "step": "send"}
        },
        "payment-link-new": {"wallet": ids["wallet"], "expires": "", "step": "create"},
    }
    try_everything(ada, page.url(acme, ids), PAGES.index(page), extra_fields.get(page.name))


def test_dashboard_pages_work_without_redis(acme, ada, monkeypatch):
    ids = pages.object_ids(acme)
    monkeypatch.setattr(redis, "attempt", lambda call, default=None: default)

    for page in PAGES:
        path = page.url(acme, ids)
        shown = ada.get(path)
        assert shown.status_code == 200, path
        with transaction.atomic():
            answer = ada.post(path, fields(shown.content.decode(), "post"))
            transaction.set_rollback(True)
        assert_no_server_error(answer, path, "")


@pytest.mark.parametrize("path", PUBLIC_PATHS)
def test_public_pages(path, db):
    try_everything(people.browser(), path, PUBLIC_PATHS.index(path))


@pytest.mark.parametrize("path", ACCOUNT_PATHS)
def test_account_pages(path, ada):
    try_everything(ada, path, ACCOUNT_PATHS.index(path))


def test_admin_lists(acme):
    pages.object_ids(acme)
    staff = world.make_member(acme, is_staff=True, is_superuser=True)
    browser = Client(raise_request_exception=False)
    browser.force_login(staff)
    html = browser.get("/admin/").content.decode()
    paths = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', html)))
    for index, path in enumerate(paths):
        for text in texts_for(index):
            query = {name: text for name in ("q", "p", "o", "e", "all", "id__exact", "status")}
            assert_no_server_error(browser.get(f"{path}?{encoded(query)}"), path, text)
    assert_no_server_error(
        browser.get(f"/admin/accounts/wallet/{'9' * 5_000}/change/"), "wallet", "9"
    )


def try_everything(browser, path: str, index: int, extra: dict[str, str] | None = None) -> None:
    """Send hostile texts in the query of a page, then in each of its form fields.

    `index` selects the texts. `extra` holds other values that the form needs to be valid.
    """
    page = browser.get(path)
    assert_no_server_error(page, path, "")
    html = page.content.decode()
    for text in texts_for(index):
        query = encoded(dict.fromkeys([*QUERY, *(name for name in fields(html, "get"))], text))
        assert_no_server_error(browser.get(f"{path}?{query}"), path, text)
    filled = fields(html, "post") | dict.fromkeys(HIDDEN.get(path, []), "") | (extra or {})
    for field_index, name in enumerate(filled, index):
        for text in texts_for(field_index):
            # Each is rolled back, so that the next one starts from the same data.
            with transaction.atomic():
                answer = browser.post(
                    path,
                    encoded(filled | {name: text}),
                    content_type="application/x-www-form-urlencoded",
                )
                transaction.set_rollback(True)
            assert_no_server_error(answer, f"{path} {name}", text)


SHARES = 5  # this many pages or fields share the texts that are not among the worst


def texts_for(index: int) -> list[str]:
    """Return the texts for the page or field with this index."""
    if profile.get_current_profile_name() == "soak":
        return HOSTILE
    others = HOSTILE[len(WORST) :]
    return WORST + others[index % SHARES :: SHARES]


def assert_no_server_error(answer, where: str, text: str) -> None:
    assert answer.status_code < 500, (where, text[:40])
    assert "Content-Security-Policy" in answer.headers
    target = answer.headers.get("Location", "").replace("\\", "/")  # browsers read it so
    assert urlsplit(urljoin(HERE, target))[:2] == urlsplit(HERE)[:2], (where, text[:40], target)


def encoded(values: dict[str, str]) -> str:
    return urlencode(values, errors="surrogatepass")


_CONTROL = re.compile(r"<select\b.*?</select>|<(?:input|textarea|button)\b[^>]*>", re.DOTALL)
# Plausible values by a field's name or type, where the page has no value.
_PLAUSIBLE = {
    **{"email": "eve@example.com", "emails": "eve@example.com", "date": "", "datetime-local": ""},
    **{"allowed_ips": "", "wallet_ids": ""},
}
_ATTRIBUTE = re.compile(r'\b(name|value|type)="([^"]*)"')


def fields(html: str, method: str) -> dict[str, str]:
    """Return the fields of a page's forms with this method, each with a plausible value."""
    found = {}
    for form in re.findall(r"<form\b.*?</form>", html, re.DOTALL):
        head = form[: form.index(">")]
        if f'method="{method}"' not in head or "/preferences/" in head or "/logout/" in head:
            continue
        for control in _CONTROL.findall(form):
            attributes = dict(_ATTRIBUTE.findall(control[: control.index(">")]))
            options = re.findall(r'<option value="([^"]+)"', control)
            if attributes.get("name") not in (None, "", "csrfmiddlewaretoken"):
                plausible = _PLAUSIBLE.get(
                    attributes["name"], _PLAUSIBLE.get(attributes.get("type"), "1")
                )
                value = next((v for v in (attributes.get("value"), *options) if v), plausible)
                found.setdefault(unescape(attributes["name"]), unescape(value))
    return found
