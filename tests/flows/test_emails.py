"""Every email we send, triggered by its flow: complete, with links to our public origin only.

Each request has another Host header, and comes from a browser in another time zone.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth as webauthn
from django.conf import settings as django_settings
from django.template.loader import get_template
from django.test import Client

from accounts.organizations.models import Organization, User
from links.payment_links.services import payment_links
from tests import emailing, world
from tests.accounts import people
from tests.links.pay_page import visiting
from wallgent import clock, ids

ORIGIN = "https://pay.example.com"
HOSTILE = {
    "HTTP_HOST": "evil.example",
    "HTTP_X_FORWARDED_HOST": "evil.example",
    "HTTP_FORWARDED": "host=evil.example",
    "HTTP_USER_AGENT": "Firefox/140.0",
}
ADA, BOB, EVE = "ada@acme.example", "bob@acme.example", "eve@new.example"
NEW = "a longer horse of another battery"


def browser(**more) -> Client:
    client = Client(raise_request_exception=False, **HOSTILE | more)
    client.cookies["timezone"] = "Asia/Tokyo"
    return client


@pytest.fixture
def scene(acme, settings, django_capture_on_commit_callbacks):
    settings.PUBLIC_ORIGIN = ORIGIN
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    return Scene(acme, django_capture_on_commit_callbacks)


class Scene:
    """Ada, who owns Acme, and the browser of a visitor."""

    def __init__(self, acme: Organization, capture):
        self.acme, self.capture = acme, capture
        self.ada = people.person(ADA, acme)
        self.ada.emailaddress_set.create(email=ADA, verified=True, primary=True)
        self.visitor = browser()

    def post(self, path: str, client: Client | None = None, **fields):
        with self.capture(execute=True):
            answer = (client or self.visitor).post(path, fields)
        assert answer.status_code in (302, 303), answer.text
        return answer

    def signed_in(self, *, reauthenticated: bool = True) -> Client:
        client = browser()
        assert people.sign_in(client, ADA).status_code == 302
        if reauthenticated:
            people.reauthenticate(client)
        emailing.outbox().clear()
        return client

    def link(self, **options):
        wallet = world.make_wallet(self.acme, "Main")
        world.fund(wallet, "100")
        options = {"amount": Decimal(25), "direction": "SEND"} | options
        return payment_links.create(actor=world.actor_for(self.acme), wallet=wallet, **options)


def sign_up(scene, email=EVE):
    form = {"name": "Eve", "organization": "Eve & Co", "email": email, "password1": NEW}
    scene.post("/account/signup/", **form)


def sign_up_again(scene):
    sign_up(scene, ADA)


def request_reset(scene, email=ADA, client=None):
    scene.post("/account/password/reset/", client, email=email)


def request_reset_unknown(scene):
    # From a browser in which another user is signed in, whose name must not be in the email.
    request_reset(scene, BOB, scene.signed_in())


def reset(scene):
    request_reset(scene)
    (sent,) = people.emails_to(ADA)
    emailing.outbox().clear()
    form = scene.visitor.get(people.link_in(sent), follow=True)
    scene.post(form.request["PATH_INFO"], password1=NEW, password2=NEW)


def change_password(scene):
    old = {"oldpassword": people.PASSWORD}
    scene.post("/account/password/change/", scene.signed_in(), password1=NEW, password2=NEW, **old)


def set_password(scene):
    client = scene.signed_in()
    scene.ada.set_unusable_password()
    scene.ada.save()
    client.force_login(User.objects.get(), "allauth.account.auth_backends.AuthenticationBackend")
    scene.post("/account/password/set/", client, password1=NEW, password2=NEW)


def add_address(scene, client=None):
    scene.post("/account/email/", client or scene.signed_in(), email=EVE, action_add="")


def change_address(scene):
    client = scene.signed_in()
    add_address(scene, client)
    (sent,) = people.emails_to(EVE)
    emailing.outbox().clear()
    scene.post(people.link_in(sent), client)


def remove_address(scene):
    client = scene.signed_in()
    add_address(scene, client)
    emailing.outbox().clear()
    scene.post("/account/email/", client, email=EVE, action_remove="")


def add_app(scene):
    client = scene.signed_in()
    with scene.capture(execute=True):
        people.add_app(client)
    return client


def remove_app(scene):
    client = add_app(scene)
    emailing.outbox().clear()
    scene.post("/account/2fa/totp/deactivate/", client)


def renew_codes(scene):
    client = add_app(scene)
    emailing.outbox().clear()
    scene.post("/account/2fa/recovery-codes/generate/", client)


def add_passkey(scene):
    client = scene.signed_in()
    with pytest.MonkeyPatch.context() as patch:  # replaces the device's response
        patch.setattr(webauthn, "parse_registration_response", lambda credential: None)
        patch.setattr(webauthn, "complete_registration", lambda credential: None)
        scene.post("/account/2fa/webauthn/add/", client, name="Phone", credential='{"id": "x"}')


def remove_passkey(scene):
    client = scene.signed_in()
    key = Authenticator.objects.create(user=scene.ada, type="webauthn", data={"name": "Phone"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webauthn, "get_credentials", lambda user: [])
        scene.post(f"/account/2fa/webauthn/keys/{key.pk}/remove/", client)


def invite(scene):
    path = f"/{scene.acme.id}/sandbox/members/invite"
    with scene.capture(execute=True):
        answer = scene.signed_in().post(
            path, {"submission": ids.new("sub"), "email": BOB, "role": "ADMIN"}
        )
    assert answer.status_code == 200, answer.text  # the page shows the link once


def send_link(scene):
    link = scene.link(expires_at=datetime(2090, 12, 31, 20, 30, tzinfo=UTC), description="Prize")
    scene.post(
        f"/{scene.acme.id}/sandbox/payment-links/{link.id}/send",
        scene.signed_in(),
        submission=ids.new("sub"),
        email=BOB,
        message="Well done.",
    )


def send_code(scene):
    link = scene.link(restrictions=payment_links.Restrictions(emails=[BOB], proof="CODE"))
    scene.post(visiting.address(link), step="email", email=BOB)


def send_receipt(scene):
    link = scene.link()
    shop = world.make_wallet(world.make_organization("Globex"), "Shop")
    visiting.enter_wallet(scene.visitor, link, shop.id)
    receipt = visiting.claim(scene.visitor, link, shop.id).url
    emailing.outbox().clear()
    scene.post(f"{receipt}/letter", submission=ids.new("sub"), email=BOB)


@dataclass(frozen=True)
class Email:
    """An email: its template, the flow that sends it, recipient, subject and content."""

    template: str
    flow: object
    to: str
    subject: str
    contains: list[str] = field(default_factory=list)
    greeting: str = "Hello Ada Lovelace,"
    is_notice: bool = False  # about a change of an account

    def __str__(self):
        return self.template


def notice(template, flow, subject, text, to=ADA):
    return Email(template, flow, to, subject, [text], is_notice=True)


EMAILS = [
    Email(
        "account/email/email_confirmation_signup_message.txt",
        *(sign_up, EVE, "Confirm your email address"),
        [f"Confirm that {EVE} is your email address:", f"{ORIGIN}/account/confirm-email/"],
        greeting="Hello Eve,",
    ),
    Email(
        "account/email/email_confirmation_message.txt",
        *(add_address, EVE, "Confirm your email address"),
        [f"Confirm that {EVE} is your email address:", f"{ORIGIN}/account/confirm-email/"],
    ),
    Email(
        "account/email/account_already_exists_message.txt",
        *(sign_up_again, ADA, "You already have a Wallgent account"),
        [ADA, f"{ORIGIN}/account/login/\n", f"{ORIGIN}/account/password/reset/\n"],
        greeting="Hello,",
    ),
    Email(
        "account/email/password_reset_key_message.txt",
        *(request_reset, ADA, "Reset your password"),
        [ADA, f"{ORIGIN}/account/password/reset/key/", "within two hours"],
    ),
    Email(
        "account/email/unknown_account_message.txt",
        *(request_reset_unknown, BOB, "There is no Wallgent account with this address"),
        [f"reset the password for {BOB}.", f"{ORIGIN}/account/signup/\n"],
        greeting="Hello,",
    ),
    notice(
        "account/email/email_changed_message.txt",
        *(change_address, "Your email address was changed"),
        f"was changed from {ADA} to {EVE}.",
    ),
    notice(
        "account/email/email_deleted_message.txt",
        *(remove_address, "An email address was removed"),
        f"The email address {EVE} was removed",
    ),
    notice(
        "account/email/password_changed_message.txt",
        *(change_password, "Your password was changed", "password"),
    ),
    notice(
        "account/email/password_reset_message.txt",
        *(reset, "Your password was reset", "with a link sent by email"),
    ),
    notice(
        "account/email/password_set_message.txt",
        *(set_password, "A password was added", "A password was added"),
    ),
    notice(
        "mfa/email/totp_activated_message.txt",
        *(add_app, "An authenticator app was added", "An authenticator app was added"),
    ),
    notice(
        "mfa/email/totp_deactivated_message.txt",
        *(remove_app, "The authenticator app was removed", "app was removed"),
    ),
    notice(
        "mfa/email/recovery_codes_generated_message.txt",
        *(renew_codes, "New recovery codes were created", "no longer work"),
    ),
    notice(
        "mfa/email/webauthn_added_message.txt",
        *(add_passkey, "A passkey was added", "A passkey was added"),
    ),
    notice(
        "mfa/email/webauthn_removed_message.txt",
        *(remove_passkey, "A passkey was removed", "A passkey was removed"),
    ),
    Email(
        "accounts/organizations/invitation_email.txt",
        *(invite, BOB, "Acme invites you to Wallgent"),
        [f"Ada Lovelace ({ADA})", "Your role: admin", f"{ORIGIN}/invitations/", BOB],
        greeting="Hello,",
    ),
    Email(
        "links/payment_links/email.txt",
        *(send_link, BOB, "[Test] Acme sends you $25.00"),
        [f"{ORIGIN}/pay/", "> Prize", "> Well done.", "until December 31, 2090, 20:30 UTC"],
        greeting="Hello,",
    ),
    Email(
        "links/pay_page/code_email.txt",
        *(send_code, BOB, " is your code"),
        ["$25.00", "Acme"],
        greeting="Hello,",
    ),
    Email(
        "links/pay_page/receipt_email.txt",
        *(send_receipt, BOB, "Receipt: $25.00 from Acme"),
        [
            "Acme has paid you $25.00.",
            f"{ORIGIN}/pay/",
            "Receipt number: clm_",
            " UTC\n",
        ],
        greeting="Acme",
    ),
]
_PATTERNS = ("*_message.txt", "*email.txt")
_NO_EMAILS = {"account/email/base_message.txt"}


def test_table_lists_every_email():
    folder = django_settings.BASE_DIR / "templates"
    found = {
        str(path.relative_to(folder)) for pattern in _PATTERNS for path in folder.rglob(pattern)
    }
    found = {name for name in found if "messages/" not in name}

    assert found - _NO_EMAILS == {email.template for email in EMAILS}


@pytest.mark.parametrize("email", EMAILS, ids=str)
def test_is_complete_and_links_to_our_public_origin(scene, email):
    email.flow(scene)

    (sent,) = people.emails_to(email.to)
    assert sent.subject.endswith(email.subject)
    assert len(sent.subject.splitlines()) == 1
    assert "Wallgent" in sent.from_email
    assert getattr(sent, "alternatives", []) == []  # plain text only
    assert sent.content_subtype == "plain"
    body = sent.body
    assert body.startswith(email.greeting)
    for part in email.contains:
        assert part in body
    assert body.rstrip().endswith(("Wallgent", ORIGIN))
    assert "evil.example" not in f"{sent.subject} {body} {sent.from_email}"
    for url in re.findall(r"\S+://\S*", body):
        assert url == ORIGIN or url.startswith(f"{ORIGIN}/"), url
    assert_well_formatted(body)
    if email.is_notice:
        now = clock.real_now().astimezone(UTC)
        moments = {f"{at:%B} {at.day}, {at:%Y, %H:%M}" for at in (now, now - timedelta(minutes=1))}
        assert re.search(r"When: (.*) UTC", body)[1] in moments
        assert f"Account: {User.objects.get(pk=scene.ada.pk).email}" in body
        assert "IP address: 127.0.0.1" in body
        assert "Browser: Firefox/140.0" in body
        assert f"{ORIGIN}/account/password/reset/\n" in body


def assert_well_formatted(text: str) -> None:
    """Assert that a text has no gaps, and no markup left over from its template."""
    assert not re.search(r"\S  +\S", text), "two spaces"
    assert not re.search(r"[ \t]$", text, re.MULTILINE), "a space at the end of a line"
    assert not re.search(r" [.,:;)]|\( ?\)|“”", text), "a gap"
    assert not re.search(r"\n{4,}", text), "empty lines"
    assert not re.search(r"\{\{|\}\}|\{%|None\b|&(amp|lt|gt|quot|#)", text), "markup"


class TestNames:
    def test_name_with_a_link_is_left_out(self, scene):
        form = {"organization": "Eve", "email": EVE, "password1": NEW}
        scene.post("/account/signup/", name="Win at https://evil.example/", **form)

        (sent,) = people.emails_to(EVE)
        assert sent.body.startswith("Hello,")

    def test_inviter_and_organization_names_with_links_are_left_out(self, scene):
        scene.acme.name = scene.ada.name = "Win at www.evil.example"
        scene.acme.save()
        scene.ada.save()
        invite(scene)

        (sent,) = people.emails_to(BOB)
        assert sent.subject == "An organization invites you to Wallgent"
        assert sent.body.startswith(f"Hello,\n\n{ADA} invites you to join an organization")

    def test_user_agent_with_a_link_is_left_out(self, scene):
        scene.visitor = browser(HTTP_USER_AGENT="https://evil.example/")
        reset(scene)

        (sent,) = people.emails_to(ADA)
        assert "Browser: unknown" in sent.body


class TestUnknownAccount:
    def test_is_not_offered_sign_up_when_it_is_closed(self, scene, settings):
        settings.SIGNUP_OPEN = False
        request_reset(scene, BOB)

        (sent,) = people.emails_to(BOB)
        assert "signup" not in sent.body
        assert_well_formatted(sent.body)


def test_all_email_templates_are_our_own():
    """allauth's templates would name another site."""
    for email in EMAILS:
        assert str(django_settings.BASE_DIR) in get_template(email.template).origin.name
        subject = email.template.replace("_message.txt", "_subject.txt")
        assert str(django_settings.BASE_DIR) in get_template(subject).origin.name
