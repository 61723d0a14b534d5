"""People in front of a browser, for tests of signing in and of who belongs where."""

import base64
import hmac
import re
import time
from contextlib import contextmanager

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client

from accounts.organizations.models import Membership, User
from wallgent.events.models import Event

PASSWORD = "correct horse battery staple"


def person(email="ada@acme.example", organization=None, role="OWNER", **fields):
    """Somebody with a password, and a membership if there is an organization."""
    fields = {"name": "Ada Lovelace"} | fields
    user = User.objects.create_user(email, PASSWORD, **fields)
    if organization:
        join(user, organization, role)
    return user


def join(user, organization, role="OWNER"):
    return Membership.objects.create(organization=organization, user=user, role=role)


def browser(**options) -> Client:
    """One that shows an error page rather than raising."""
    return Client(raise_request_exception=False, **options)


def sign_in(client, email="ada@acme.example", password=PASSWORD, **fields):
    return client.post("/account/login/", {"login": email, "password": password} | fields)


def signed_in(user) -> Client:
    """A browser in which the person has just signed in with their password."""
    client = browser()
    answer = sign_in(client, user.email)
    assert answer.status_code == 302, answer.text
    return client


def prove(client, password=PASSWORD) -> None:
    """Enter the password once more, as before everything that matters."""
    assert client.post("/account/reauthenticate/", {"password": password}).status_code == 302


def is_signed_in(client) -> bool:
    return "_auth_user_id" in client.session


def facts(*types, **where):
    """What was written down of these types, oldest first."""
    return list(Event.objects.filter(type__in=types, **where).order_by("created_at", "id"))


def letters_to(email):
    return [letter for letter in mail.outbox if letter.to == [email]]


def link_in(letter) -> str:
    """The path of the first link of a letter that leads further than the front page."""
    return re.search(r"https?://[^/\s]+(/\S+)", letter.body)[1]


def totp(secret: str, *, ahead: int = 0) -> str:
    """The code that an authenticator app shows, or will in `ahead` half minutes (RFC 6238)."""
    counter = int(time.time()) // 30 + ahead
    digest = hmac.digest(base64.b32decode(secret), counter.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def next_code(secret: str) -> str:
    """The code after the one with which the app was just set up, and which was used by that."""
    return totp(secret, ahead=1)


def add_app(client) -> tuple[str, list[str]]:
    """Set up an authenticator app, as its pages lead; its secret, and the recovery codes."""
    prove(client)
    asked = client.get("/account/2fa/totp/activate/")
    assert asked.status_code == 200, asked.headers
    secret = asked.context["form"].secret
    done = client.post("/account/2fa/totp/activate/", {"code": totp(secret)})
    assert done.url == "/account/2fa/recovery-codes/"
    shown = client.get(done.url)
    return secret, shown.context["unused_codes"]


def follow(client, answer):
    """The page that a redirect leads to."""
    assert answer.status_code in (302, 303), answer.text
    return client.get(answer.url, follow=True)


def assert_strict(page: str) -> None:
    """Nothing that the strict policy would refuse: no inline script, style or handler."""
    assert "style=" not in page
    assert "<style" not in page
    assert not re.search(r"<[^>]*\son[a-z]+=", page)
    for tag in re.findall(r"<script[^>]*>", page):
        assert "src=" in tag or 'type="application/json"' in tag, tag


@contextmanager
def refuses(error):
    """What is done inside is refused, and rolled back, as every door does."""
    with pytest.raises(error) as refusal, transaction.atomic():
        yield refusal
