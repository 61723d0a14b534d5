"""People in front of a browser, for tests of signing in and of who belongs where."""

import re

from django.core import mail
from django.test import Client

from accounts.models import Membership, User
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
