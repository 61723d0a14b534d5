"""Sign-up: creates the user and their organization together."""

import pytest

from accounts.organizations.models import Organization, User
from accounts.organizations.services import organizations
from accounts.wallets.models import Wallet
from tests import emailing, world
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
def email_verification(settings):
    """As with DEBUG=0: users must verify their email address before they sign in."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


class TestSignUp:
    def test_creates_user_and_organization_and_signs_in(self, db):
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
        assert len(people.events("organization.created", "user.signed_in")) == 2

    def test_fields_have_autocomplete_hints(self, db):
        page = people.browser().get("/account/signup/").text
        for name in ("name", "organization", "username", "new-password"):
            assert f'autocomplete="{name}"' in page

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("name", "", "This field is required"),
            ("name", "\t \n", "This field is required"),
            ("name", "x" * 257, "at most 256 characters"),
            ("organization", "", "This field is required"),
            ("organization", "x" * 257, "at most 256 characters"),
            ("email", "ada", "Enter a valid email address"),
            ("email", "a" * 60 + "@" + "b." * 110 + "example", "at most 254 characters"),
            ("password1", "short", "at least 12 characters"),
            ("password1", "password1234", "too common"),
            ("password1", "ada lovelace", "too similar"),
            ("password1", "ada@engines.example", "too similar"),
        ],
    )
    def test_invalid_input_is_reported_at_its_field(self, db, field, value, message):
        answer = sign_up(**{field: value})

        assert answer.status_code == 200
        assert message in " ".join(answer.context["form"].errors[field])
        assert not User.objects.exists()
        assert not Organization.objects.exists()

    @pytest.mark.parametrize(
        "name",
        ["<script>alert(1)</script>", "أدا لوفلايس", "\u202eedA", "👩‍🚀 Ada", "Ada\r\nBcc: x@y.z"],
    )
    def test_name_is_saved_on_one_line_and_escaped(self, db, name):
        browser = people.browser()
        assert sign_up(browser, name=name, organization=name).status_code == 302

        user = User.objects.get()
        assert user.name == Organization.objects.get().name == " ".join(name.split())
        page = browser.get(f"/{user.memberships.get().organization_id}/sandbox/")
        assert "<script>alert" not in page.text

    def test_error_rolls_everything_back(self, db, monkeypatch):
        def broken(**_):
            raise RuntimeError

        monkeypatch.setattr(organizations, "_set_up", [broken])

        assert sign_up().status_code == 500
        assert not User.objects.exists()
        assert not Organization.objects.exists()

    def test_form_without_csrf_token_is_refused(self, db):
        assert sign_up(people.browser(enforce_csrf_checks=True)).status_code == 403
        assert not User.objects.exists()

    def test_signed_in_user_is_redirected_home(self, db):
        browser = people.browser()
        sign_up(browser)

        assert browser.get("/account/signup/").url == "/"

    def test_existing_account_is_reported(self, db):
        people.person("ada@engines.example")
        answer = sign_up(email="ADA@Engines.example")

        assert "There is an account with this e-mail address" in answer.text
        assert User.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("verification", ["none", "mandatory"])
    def test_concurrent_forms_create_one_account(self, settings, verification):
        settings.ACCOUNT_EMAIL_VERIFICATION = verification
        answers = world.in_parallel(4, lambda number: sign_up())

        assert {answer.status_code for answer in answers} <= {200, 302}
        assert User.objects.count() == Organization.objects.count() == 1


class TestClosedSignUp:
    @pytest.fixture(autouse=True)
    def _closed(self, settings):
        settings.SIGNUP_OPEN = False

    def test_page_says_by_invitation_only(self, db):
        assert "By invitation only" in people.browser().get("/account/signup/").text
        assert sign_up().status_code == 200
        assert not User.objects.exists()


class TestEmailVerification:
    def test_is_required_before_sign_in(
        self, db, email_verification, django_capture_on_commit_callbacks
    ):
        browser = people.browser()
        with django_capture_on_commit_callbacks(execute=True):
            answer = sign_up(browser)
        assert answer.url == "/account/confirm-email/"
        assert "Look into your mailbox" in browser.get(answer.url).text
        assert not people.is_signed_in(browser)
        with django_capture_on_commit_callbacks(execute=True):
            assert people.sign_in(browser, FORM["email"]).url == "/account/confirm-email/"
        assert not people.is_signed_in(browser)

        link = people.link_in(people.emails_to(FORM["email"])[0])
        assert browser.get(link).status_code == 200
        assert "/account/login/" in browser.post(link).url
        assert people.sign_in(browser, FORM["email"]).url == "/"

    def test_opening_the_link_verifies_nothing(
        self, db, email_verification, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            sign_up()
        people.browser().get(people.link_in(emailing.outbox()[0]))

        assert people.sign_in(people.browser(), FORM["email"]).url == "/account/confirm-email/"

    def test_response_does_not_reveal_existing_accounts(
        self, db, email_verification, django_capture_on_commit_callbacks
    ):
        people.person("ada@engines.example")
        with django_capture_on_commit_callbacks(execute=True):
            known, unknown = sign_up(), sign_up(email="bob@engines.example")

        assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
        (email,) = people.emails_to("ada@engines.example")
        assert "already have a Wallgent account" in email.subject
        assert User.objects.count() == 2

    def test_superusers_created_in_the_shell_need_none(self, db, email_verification):
        User.objects.create_superuser("boss@wallgent.example", people.PASSWORD)

        assert people.sign_in(people.browser(), "boss@wallgent.example").url == "/admin/"

    def test_links_lead_to_the_public_origin(
        self, db, email_verification, settings, django_capture_on_commit_callbacks
    ):
        settings.PUBLIC_ORIGIN = "https://pay.example.com"
        with django_capture_on_commit_callbacks(execute=True):
            people.browser().post("/account/signup/", FORM, headers={"Host": "evil.example"})
            people.browser().post("/account/signup/", FORM, headers={"Host": "evil.example"})

        for email in emailing.outbox():
            assert "https://pay.example.com/account/" in email.body
            assert "evil.example" not in email.body + email.subject
