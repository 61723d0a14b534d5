"""Passkeys under the strict policy, with an authenticator that Chromium pretends to have."""

import re

from tests.accounts import people
from tests.browser import PHONE

_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
INSIDE = re.compile(r"/org_\w+/sandbox/$")


def with_authenticator(visit):
    person = visit(screen=PHONE)
    person.origin = person.origin.replace("127.0.0.1", "localhost")  # a passkey needs a name
    devices = person.context.new_cdp_session(person.page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})
    return person


def sign_up(person, email):
    page = person.go("/account/signup/")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(people.PASSWORD)
    page.get_by_label("Organization").fill("Keys")
    page.get_by_role("button", name="Create an account").click()
    page.wait_for_url(INSIDE)


def sign_out(person):
    page = person.go("/account/logout/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/account/login/"))


def test_from_adding_one_to_signing_in_with_it(visit, site):
    person, email = with_authenticator(visit), "ada@keys.example"
    sign_up(person, email)
    page = person.go("/account/2fa/webauthn/add/")
    page.get_by_label("Password", exact=True).fill(people.PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Add a passkey").click()
    page.wait_for_url(re.compile("/recovery-codes/"))
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").click()
    codes = saved.value.path().read_text().split()
    assert len(set(codes)) == 10

    # Alone.
    sign_out(person)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(INSIDE)

    # As the second step.
    sign_out(person)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(people.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(INSIDE)

    # Removed, it is asked for no more.
    page = person.go("/account/2fa/webauthn/")
    page.get_by_role("link", name="Remove").click()
    if page.get_by_label("Password", exact=True).count():
        page.get_by_label("Password", exact=True).fill(people.PASSWORD)
        page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Remove it").click()
    page.wait_for_url(re.compile("/webauthn/$"))
    sign_out(person)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(people.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(INSIDE)
