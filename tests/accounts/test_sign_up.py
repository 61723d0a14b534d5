"""Signing up: a person and their organization, at once or not at all."""

import pytest

from accounts.models import User, Wallet
from tests.accounts import people

FORM = {
    "name": "Ada Lovelace",
    "organization": "Analytical Engines",
    "email": "ada@engines.example",
    "password1": people.PASSWORD,
}


def sign_up(client=None, **fields):
    return (client or people.browser()).post("/account/signup/", FORM | fields)


@pytest.fixture
def proving(settings):
    """As with DEBUG=0: nobody gets in before their address is proved."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


class TestSignUp:
    def test_makes_the_person_the_organization_and_signs_in(self, db):
        browser = people.browser()
        answer = sign_up(browser)

        assert (answer.status_code, answer.headers["Location"]) == (302, "/")
        user = User.objects.get()
        assert (user.email, user.name) == ("ada@engines.example", "Ada Lovelace")
        membership = user.memberships.get()
        assert membership.role == "OWNER"
        assert membership.organization.name == "Analytical Engines"
        assert Wallet.objects.filter(organization=membership.organization).count() == 2
        assert people.is_signed_in(browser)
        assert len(people.facts("organization.created", "user.signed_in")) == 2

    def test_the_page_asks_for_what_password_managers_know(self, db):
        page = people.browser().get("/account/signup/").text
        for name in ("name", "organization", "username", "new-password"):
            assert f'autocomplete="{name}"' in page
