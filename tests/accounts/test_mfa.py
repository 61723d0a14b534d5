"""Second factors: the authenticator app, recovery codes, passkeys."""

import pytest
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt

from accounts.models import User
from tests import world
from tests.accounts import people
from wallgent import redis


@pytest.fixture
def ada(acme):
    return people.person(organization=acme)


@pytest.fixture
def app(ada, django_capture_on_commit_callbacks):
    """Ada's authenticator app: its secret, and her recovery codes."""
    with django_capture_on_commit_callbacks(execute=True):
        found = people.add_app(people.signed_in(ada))
    world.forget_rates()  # and with them, which code was used
    return found


def first_step(**options):
    """A browser in which only the password was right."""
    browser = people.browser(**options)
    assert people.sign_in(browser).url == "/account/2fa/authenticate/"
    return browser


def second_step(browser, code):
    return browser.post("/account/2fa/authenticate/", {"code": code})


class TestApp:
    def test_is_asked_for_after_the_password(self, ada, app):
        secret, _ = app
        browser = first_step()
        page = browser.get("/account/2fa/authenticate/").text
        assert 'autocomplete="one-time-code"' in page
        people.assert_strict(page)
        assert not people.is_signed_in(browser)
        assert browser.get("/account/email/").status_code == 302

        assert second_step(browser, people.totp(secret)).url == "/"
        assert people.is_signed_in(browser)

    def test_leads_on_to_where_one_wanted_to_go(self, app):
        browser = people.browser()
        people.sign_in(browser, next="/account/sessions/")

        assert second_step(browser, people.totp(app[0])).url == "/account/sessions/"

    def test_a_code_works_once(self, app):
        code = people.totp(app[0])
        second_step(first_step(), code)

        answer = second_step(first_step(), code)
        assert "This code is not right." in answer.text

    def test_nor_again_while_clocks_may_differ(self, app):
        code = people.totp(app[0], ahead=1)
        second_step(first_step(), code)
        redis.client().delete(*redis.client().keys("*totp.used*"))  # as half a minute later

        answer = second_step(first_step(), code)

        assert "This code is not right." in answer.text
        [kept] = redis.client().keys("*code-used*")
        assert redis.client().pttl(kept) > 60_000

    def test_is_written_down_without_its_secret(self, ada, app):
        facts = people.facts("user.mfa_added")

        assert {fact.data["factor"] for fact in facts} >= {"totp"}
        assert app[0] not in str([fact.data for fact in facts])

    def test_secrets_are_encrypted_in_the_database(self, ada, app):
        secret, _ = app
        kept = str(list(Authenticator.objects.values_list("data", flat=True)))
        shown = Authenticator.objects.get(type="totp").wrap()

        assert secret not in kept
        assert shown.validate_code(people.totp(secret))

    def test_guesses_lock_as_those_of_a_password_do(self, ada, app):
        browser = first_step()
        for _ in range(4):
            assert second_step(browser, "000000").status_code == 200
        assert second_step(browser, "000000").status_code == 429

        assert second_step(browser, people.totp(app[0])).status_code == 429
        assert people.sign_in(people.browser()).status_code == 429
        assert not people.is_signed_in(browser)
        assert len(people.facts("user.locked_out")) == 1
        assert "000000" not in str(AccessAttempt.objects.values_list("post_data"))

    def test_is_removed_after_the_password(self, ada, app, django_capture_on_commit_callbacks):
        browser = first_step()
        second_step(browser, people.totp(app[0]))
        assert browser.post("/account/2fa/totp/deactivate/").url.startswith("/account/reauth")

        people.prove(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/2fa/totp/deactivate/")
        assert not Authenticator.objects.exists()
        assert "totp" in {fact.data["factor"] for fact in people.facts("user.mfa_removed")}
        assert people.sign_in(people.browser()).url == "/"

    def test_the_way_into_the_admin_asks_for_it(self, acme):
        boss = User.objects.create_superuser("boss@wallgent.example", people.PASSWORD)
        secret, _ = people.add_app(people.signed_in(boss))
        world.forget_rates()
        browser = people.browser()

        asked = browser.get("/admin/", follow=True).redirect_chain[-1][0]
        answer = browser.post(asked, {"login": boss.email, "password": people.PASSWORD})
        assert browser.get("/admin/").status_code == 302
        answer = second_step(browser, people.totp(secret))
        assert answer.url == "/admin/"
        assert "Wallgent support" in browser.get("/admin/").text

    def test_people_with_one_may_change_their_address(
        self, app, django_capture_on_commit_callbacks
    ):
        browser = first_step()
        second_step(browser, people.totp(app[0]))
        people.prove(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/email/", {"email": "ada@new.example", "action_add": ""})

        assert people.letters_to("ada@new.example")


class TestRecoveryCodes:
    def test_are_shown_once(self, ada):
        browser = people.signed_in(ada)
        _, codes = people.add_app(browser)
        again = browser.get("/account/2fa/recovery-codes/").text

        assert len(set(codes)) == 10
        assert not [code for code in codes if code in again]
        assert "cannot be shown again" in again
        assert browser.get("/account/2fa/recovery-codes/download/").status_code == 403

    def test_the_page_that_shows_them_offers_a_file(self, ada):
        browser = people.signed_in(ada)
        people.add_app(browser)
        browser.post("/account/2fa/recovery-codes/generate/")
        page = browser.get("/account/2fa/recovery-codes/")

        file = 'href="data:text/plain;charset=utf-8,' + "%0A".join(page.context["unused_codes"])
        assert file in page.text
        people.assert_strict(page.text)

    def test_each_signs_in_once(self, app):
        _, codes = app
        assert second_step(first_step(), codes[0]).url == "/"
        assert second_step(first_step(), codes[0]).status_code == 200
        assert second_step(first_step(), codes[1]).url == "/"

    def test_new_ones_end_the_old_and_are_written_down(
        self, ada, app, django_capture_on_commit_callbacks
    ):
        browser = first_step()
        second_step(browser, people.totp(app[0]))
        people.prove(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/2fa/recovery-codes/generate/")
        world.forget_rates()

        assert second_step(first_step(), app[1][0]).status_code == 200
        assert len(people.facts("user.recovery_codes_renewed")) == 1


class TestPasskeys:
    def test_the_page_of_sign_in_offers_one_without_inline_script(self, db):
        page = people.browser().get("/account/login/").text

        assert 'id="passkey_login"' in page
        assert "mfa/js/webauthn.js" in page
        people.assert_strict(page)

    def test_the_challenge_is_given_to_whoever_asks(self, db):
        asked = {"headers": {"Accept": "application/json"}}
        answer = people.browser().get("/account/2fa/webauthn/login/", **asked).json()

        assert answer["request_options"]["publicKey"]["userVerification"] == "required"
        assert len(answer["request_options"]["publicKey"]["challenge"]) >= 22

    @pytest.mark.parametrize(
        "credential",
        [
            *("", "null", "{}", "[]", "{", '{"id": 1}', '{"response": {"userHandle": "YWJj"}}'),
            *("x" * 9, "9" * 5_000, "[" * 100_000),
        ],
        ids=lambda text: text[:9],
    )
    def test_nonsense_signs_nobody_in(self, db, credential):
        browser = people.browser()
        browser.get("/account/2fa/webauthn/login/", headers={"Accept": "application/json"})
        answer = browser.post("/account/2fa/webauthn/login/", {"credential": credential})

        assert answer.status_code in (200, 302)
        assert not people.is_signed_in(browser)

    def test_one_is_added_under_our_name(self, ada):
        browser = people.signed_in(ada)
        people.prove(browser)
        page = browser.get("/account/2fa/webauthn/add/")
        options = page.context["js_data"]["creation_options"]["publicKey"]

        assert options["rp"]["name"] == "Wallgent"
        assert options["user"]["name"] == ada.email
        assert 'value="Passkey"' in page.text
        people.assert_strict(page.text)

    def test_those_of_others_cannot_be_touched(self, ada, acme):
        bob = people.person("bob@acme.example", acme)
        key = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "Bob's"})
        browser = people.signed_in(ada)
        people.prove(browser)

        for verb in ("remove", "edit"):
            path = f"/account/2fa/webauthn/keys/{key.pk}/{verb}/"
            assert browser.get(path).status_code == 404
            assert browser.post(path, {"name": "Mine"}).status_code == 404
        key.refresh_from_db()
        assert key.data["name"] == "Bob's"
