"""Second factors: authenticator apps, recovery codes and passkeys."""

import re
import time

import pytest
import redis as redis_package
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt

from accounts.organizations.models import User
from tests import world
from tests.accounts import people
from wallgent import redis


@pytest.fixture
def ada(acme):
    return people.person(organization=acme)


@pytest.fixture
def app(ada, django_capture_on_commit_callbacks):
    """Set up Ada's authenticator app; return its secret and her recovery codes."""
    with django_capture_on_commit_callbacks(execute=True):
        added = people.add_app(people.signed_in(ada))
    return added


def first_step(**options):
    """Return a browser in which only the password has been entered."""
    browser = people.browser(**options)
    assert people.sign_in(browser).url == "/account/2fa/authenticate/"
    return browser


def second_step(browser, code):
    return browser.post("/account/2fa/authenticate/", {"code": code})


@pytest.fixture
def without_redis(monkeypatch):
    unreachable = redis_package.Redis(port=1, socket_connect_timeout=0.1)
    monkeypatch.setattr(redis, "client", lambda: unreachable)
    monkeypatch.setattr(redis, "_unavailable_until", 0)


def set_up(browser, code):
    return browser.post("/account/2fa/totp/activate/", {"code": code})


def secret_on(page) -> str:
    """Return the secret shown on the setup page of an app."""
    return re.search(r">\s*([A-Z2-7]{32})\s*<", page.text)[1]


class TestAppSetup:
    PAGE = "/account/2fa/totp/activate/"

    @pytest.fixture
    def browser(self, ada):
        browser = people.signed_in(ada)
        people.reauthenticate(browser)
        return browser

    def test_secret_stays_the_same_over_reloads(self, browser):
        scanned = secret_on(browser.get(self.PAGE))
        assert [secret_on(browser.get(self.PAGE)) for _ in range(3)] == [scanned] * 3
        assert secret_on(set_up(browser, "000000")) == scanned

        browser.get(self.PAGE)
        assert set_up(browser, people.totp(scanned)).url == "/account/2fa/recovery-codes/"

    def test_secret_changes_after_half_an_hour(self, browser, monkeypatch):
        scanned = secret_on(browser.get(self.PAGE))
        later = time.time() + 30 * 60 + 1
        monkeypatch.setattr(time, "time", lambda: later)
        people.reauthenticate(browser)

        late = set_up(browser, people.totp(scanned))
        assert "The QR code expired. Scan the new one" in late.text
        assert secret_on(late) == secret_on(browser.get(self.PAGE)) != scanned
        assert set_up(browser, people.totp(secret_on(late))).status_code == 302

    def test_session_keeps_the_secret_encrypted_until_setup(self, browser):
        scanned = secret_on(browser.get(self.PAGE))
        session = str(dict(browser.session))
        assert "pending_app" in session
        assert scanned not in session

        set_up(browser, people.totp(scanned))
        assert "pending_app" not in str(dict(browser.session))

    def test_secret_belongs_to_the_user_who_was_shown_it(self, browser, acme):
        scanned = secret_on(browser.get(self.PAGE))
        people.person("bob@acme.example", acme)
        browser.post("/account/logout/")
        people.sign_in(browser, "bob@acme.example")
        people.reauthenticate(browser)

        assert secret_on(browser.get(self.PAGE)) != scanned

    @pytest.mark.parametrize("is_redis_away", [False, True])
    def test_setup_code_cannot_be_used_to_sign_in(self, browser, request, is_redis_away):
        if is_redis_away:
            request.getfixturevalue("without_redis")
        secret = secret_on(browser.get(self.PAGE))
        code = people.totp(secret)
        set_up(browser, code)

        assert "This code is not right." in second_step(first_step(), code).text
        assert second_step(first_step(), people.next_code(secret)).url == "/"

    def test_double_click_sets_up_one_app(self, browser):
        secret = secret_on(browser.get(self.PAGE))
        first, second = (set_up(browser, people.totp(secret)) for _ in range(2))

        assert first.url == second.url == "/account/2fa/recovery-codes/"
        assert len(browser.get(second.url).context["unused_codes"]) == 10
        assert Authenticator.objects.filter(type="totp").count() == 1


class TestApp:
    def test_is_required_after_the_password(self, ada, app):
        secret, _ = app
        browser = first_step()
        page = browser.get("/account/2fa/authenticate/").text
        assert 'autocomplete="one-time-code"' in page
        people.assert_csp_safe(page)
        assert not people.is_signed_in(browser)
        assert browser.get("/account/email/").status_code == 302

        assert second_step(browser, people.next_code(secret)).url == "/"
        assert people.is_signed_in(browser)

    def test_redirects_to_the_next_page(self, app):
        browser = people.browser()
        people.sign_in(browser, next="/account/sessions/")

        assert second_step(browser, people.next_code(app[0])).url == "/account/sessions/"

    def test_code_works_once(self, app):
        code = people.next_code(app[0])
        second_step(first_step(), code)

        answer = second_step(first_step(), code)
        assert "This code is not right." in answer.text

    def test_code_works_once_even_without_the_state_in_redis(self, app):
        code = people.next_code(app[0])
        second_step(first_step(), code)
        world.reset_rate_limits()  # also deletes the used codes in Redis

        answer = second_step(first_step(), code)

        assert "This code is not right." in answer.text

    def test_code_is_refused_after_a_later_one_also_for_reauthentication(self, app, without_redis):
        older, newer = people.totp(app[0]), people.next_code(app[0])
        browser = first_step()
        second_step(browser, newer)

        for code in (older, newer):
            again = browser.post("/account/2fa/reauthenticate/", {"code": code})
            assert "This code is not right." in again.text
            assert "This code is not right." in second_step(first_step(), code).text

    def test_used_code_counts_as_a_failure(self, app, without_redis):
        code = people.next_code(app[0])
        second_step(first_step(), code)
        browser = first_step()

        answers = [second_step(browser, code).status_code for _ in range(5)]

        assert answers == [200, 200, 200, 200, 429]

    def test_is_recorded_without_its_secret(self, ada, app):
        events = people.events("user.mfa_added")

        assert {event.data["factor"] for event in events} >= {"totp"}
        assert app[0] not in str([event.data for event in events])

    def test_secrets_are_encrypted_in_the_database(self, ada, app):
        secret, _ = app
        stored = str(list(Authenticator.objects.values_list("data", flat=True)))
        shown = Authenticator.objects.get(type="totp").wrap()

        assert secret not in stored
        assert shown.validate_code(people.totp(secret))

    def test_guesses_of_codes_lock_the_account(self, ada, app):
        browser = first_step()
        for _ in range(4):
            assert second_step(browser, "000000").status_code == 200
        assert second_step(browser, "000000").status_code == 429

        assert second_step(browser, people.next_code(app[0])).status_code == 429
        assert people.sign_in(people.browser()).status_code == 429
        assert not people.is_signed_in(browser)
        assert len(people.events("user.locked_out")) == 1
        assert "000000" not in str(AccessAttempt.objects.values_list("post_data"))

    def test_removal_requires_the_password(self, ada, app, django_capture_on_commit_callbacks):
        browser = first_step()
        second_step(browser, people.next_code(app[0]))
        assert browser.post("/account/2fa/totp/deactivate/").url.startswith("/account/reauth")

        people.reauthenticate(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/2fa/totp/deactivate/")
        assert not Authenticator.objects.exists()
        assert "totp" in {event.data["factor"] for event in people.events("user.mfa_removed")}
        assert people.sign_in(people.browser()).url == "/"

    def test_admin_sign_in_requires_it(self, acme):
        admin = User.objects.create_superuser("boss@wallgent.example", people.PASSWORD)
        secret, _ = people.add_app(people.signed_in(admin))
        browser = people.browser()

        login = browser.get("/admin/", follow=True).redirect_chain[-1][0]
        answer = browser.post(login, {"login": admin.email, "password": people.PASSWORD})
        assert browser.get("/admin/").status_code == 302
        answer = second_step(browser, people.next_code(secret))
        assert answer.url == "/admin/"
        assert "Wallgent support" in browser.get("/admin/").text

    def test_users_with_an_app_may_change_their_email(
        self, app, django_capture_on_commit_callbacks
    ):
        browser = first_step()
        second_step(browser, people.next_code(app[0]))
        people.reauthenticate(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/email/", {"email": "ada@new.example", "action_add": ""})

        assert people.emails_to("ada@new.example")


class TestRecoveryCodes:
    def test_are_shown_once(self, ada):
        browser = people.signed_in(ada)
        _, codes = people.add_app(browser)
        again = browser.get("/account/2fa/recovery-codes/").text

        assert len(set(codes)) == 10
        assert not [code for code in codes if code in again]
        assert "cannot be shown again" in again
        assert browser.get("/account/2fa/recovery-codes/download/").status_code == 403

    def test_page_offers_a_file_to_download(self, ada):
        browser = people.signed_in(ada)
        people.add_app(browser)
        browser.post("/account/2fa/recovery-codes/generate/")
        page = browser.get("/account/2fa/recovery-codes/")

        file = 'href="data:text/plain;charset=utf-8,' + "%0A".join(page.context["unused_codes"])
        assert file in page.text
        people.assert_csp_safe(page.text)

    def test_each_code_signs_in_once(self, app):
        _, codes = app
        assert second_step(first_step(), codes[0]).url == "/"
        assert second_step(first_step(), codes[0]).status_code == 200
        assert second_step(first_step(), codes[1]).url == "/"

    def test_each_code_is_used_up_without_redis(self, app, without_redis):
        _, codes = app
        assert second_step(first_step(), codes[0]).url == "/"
        assert second_step(first_step(), codes[0]).status_code == 200

    def test_new_codes_replace_the_old_and_are_recorded(
        self, ada, app, django_capture_on_commit_callbacks
    ):
        browser = first_step()
        second_step(browser, people.next_code(app[0]))
        people.reauthenticate(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/2fa/recovery-codes/generate/")
        world.reset_rate_limits()

        assert second_step(first_step(), app[1][0]).status_code == 200
        assert len(people.events("user.recovery_codes_renewed")) == 1


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """Concurrent requests without Redis, so that PostgreSQL alone prevents reuse."""

    @pytest.mark.parametrize("kind", ["totp", "recovery_codes"])
    def test_one_code_signs_in_once(self, without_redis, kind):
        ada = people.person(organization=world.make_organization("Acme"))
        secret, codes = people.add_app(people.signed_in(ada))
        code = people.next_code(secret) if kind == "totp" else codes[0]
        browsers = [first_step(REMOTE_ADDR=f"203.0.113.{number}") for number in range(4)]

        answers = world.in_parallel(4, lambda number: second_step(browsers[number], code))

        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 302]
        assert sum(map(people.is_signed_in, browsers)) == 1

    def test_concurrent_clicks_set_up_one_app(self):
        browser = people.signed_in(people.person(organization=world.make_organization("Acme")))
        people.reauthenticate(browser)
        secret = secret_on(browser.get("/account/2fa/totp/activate/"))
        cookies = browser.cookies

        def click(_):
            tab = people.browser()
            tab.cookies = cookies
            return set_up(tab, people.totp(secret))

        answers = world.in_parallel(3, click)

        assert {answer.status_code for answer in answers} == {302}
        assert {answer.url for answer in answers} == {"/account/2fa/recovery-codes/"}
        assert Authenticator.objects.filter(type="totp").count() == 1


class TestPasskeys:
    def test_sign_in_page_offers_a_passkey(self, db):
        page = people.browser().get("/account/login/").text

        assert 'id="passkey_login"' in page
        assert "mfa/js/webauthn.js" in page
        people.assert_csp_safe(page)

    def test_challenge_is_public(self, db):
        options = {"headers": {"Accept": "application/json"}}
        answer = people.browser().get("/account/2fa/webauthn/login/", **options).json()

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
    def test_malformed_response_does_not_sign_in(self, db, credential):
        browser = people.browser()
        browser.get("/account/2fa/webauthn/login/", headers={"Accept": "application/json"})
        answer = browser.post("/account/2fa/webauthn/login/", {"credential": credential})

        assert answer.status_code in (200, 302)
        assert not people.is_signed_in(browser)

    def test_challenge_is_valid_for_one_response(self, db):
        browser = people.browser()
        browser.get("/account/2fa/webauthn/login/", headers={"Accept": "application/json"})
        assert browser.session["mfa.webauthn.state"]

        browser.post("/account/2fa/webauthn/login/", {"credential": '{"id": "wrong"}'})

        assert "mfa.webauthn.state" not in browser.session

    def test_is_added_for_wallgent(self, ada):
        browser = people.signed_in(ada)
        people.reauthenticate(browser)
        page = browser.get("/account/2fa/webauthn/add/")
        options = page.context["js_data"]["creation_options"]["publicKey"]

        assert options["rp"]["name"] == "Wallgent"
        assert options["user"]["name"] == ada.email
        assert 'value="Passkey"' in page.text
        people.assert_csp_safe(page.text)

    def test_passkeys_of_others_cannot_be_changed(self, ada, acme):
        bob = people.person("bob@acme.example", acme)
        key = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "Bob's"})
        browser = people.signed_in(ada)
        people.reauthenticate(browser)

        for verb in ("remove", "edit"):
            path = f"/account/2fa/webauthn/keys/{key.pk}/{verb}/"
            assert browser.get(path).status_code == 404
            assert browser.post(path, {"name": "Mine"}).status_code == 404
        key.refresh_from_db()
        assert key.data["name"] == "Bob's"
