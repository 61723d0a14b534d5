"""Users and their browsers, for tests of sign-in and membership."""

import base64
import hmac
import re
import time
from contextlib import contextmanager

import pytest
from django.db import transaction
from django.test import Client

from accounts.organizations.models import Membership, User
from tests import emailing
from wallgent.events.models import Event

PASSWORD = "correct horse battery staple"


def person(email="ada@acme.example", organization=None, role="OWNER", **fields):
    """Create a user with a password, and a membership if an organization is given."""
    fields = {"name": "Ada Lovelace"} | fields
    user = User.objects.create_user(email, PASSWORD, **fields)
    if organization:
        join(user, organization, role)
    return user


def join(user, organization, role="OWNER"):
    return Membership.objects.create(organization=organization, user=user, role=role)


def browser(**options) -> Client:
    """Return a browser that shows an error page instead of raising."""
    return Client(raise_request_exception=False, **options)


def sign_in(client, email="ada@acme.example", password=PASSWORD, **fields):
    return client.post("/account/login/", {"login": email, "password": password} | fields)


def signed_in(user) -> Client:
    """Return a browser in which the user has just signed in with their password."""
    client = browser()
    answer = sign_in(client, user.email)
    assert answer.status_code == 302, answer.text
    return client


def reauthenticate(client, password=PASSWORD) -> None:
    """Enter the password again, as required before sensitive actions."""
    assert client.post("/account/reauthenticate/", {"password": password}).status_code == 302


def is_signed_in(client) -> bool:
    return "_auth_user_id" in client.session


def events(*types, **where):
    """Return the recorded events of these types, oldest first."""
    return list(Event.objects.filter(type__in=types, **where).order_by("created_at", "id"))


def emails_to(address):
    return [email for email in emailing.outbox() if email.to == [address]]


def link_in(email) -> str:
    """Return the path of the first link in an email, except links to the front page."""
    return re.search(r"https?://[^/\s]+(/\S+)", email.body)[1]


def totp(secret: str, *, ahead: int = 0) -> str:
    """Return an authenticator app's code, `ahead` periods of 30 seconds from now (RFC 6238)."""
    counter = int(time.time()) // 30 + ahead
    digest = hmac.digest(base64.b32decode(secret), counter.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def next_code(secret: str) -> str:
    """Return the code after the current one, which the app's setup has used up."""
    return totp(secret, ahead=1)


def add_app(client) -> tuple[str, list[str]]:
    """Set up an authenticator app through its pages; return its secret and the recovery codes."""
    reauthenticate(client)
    page = client.get("/account/2fa/totp/activate/")
    assert page.status_code == 200, page.headers
    secret = page.context["form"].secret
    done = client.post("/account/2fa/totp/activate/", {"code": totp(secret)})
    assert done.url == "/account/2fa/recovery-codes/"
    shown = client.get(done.url)
    return secret, shown.context["unused_codes"]


def follow(client, answer):
    """Return the page that a redirect leads to."""
    assert answer.status_code in (302, 303), answer.text
    return client.get(answer.url, follow=True)


def assert_csp_safe(page: str) -> None:
    """Assert that a page has no inline script, style or event handler, which our CSP blocks."""
    assert "style=" not in page
    assert "<style" not in page
    assert not re.search(r"<[^>]*\son[a-z]+=", page)
    for tag in re.findall(r"<script[^>]*>", page):
        assert "src=" in tag or 'type="application/json"' in tag, tag


@contextmanager
def raises(error):
    """Expect an error, and roll back as every entry point does."""
    with pytest.raises(error) as caught, transaction.atomic():
        yield caught
