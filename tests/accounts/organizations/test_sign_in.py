"""Sign-in, sign-out, lockout, and the pages of the user's account."""

from datetime import datetime, timedelta

import pytest
import redis as redis_package
from allauth.core.exceptions import ReauthenticationRequired
from axes.models import AccessAttempt
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.contrib.sessions.models import Session
from django.http import HttpResponse

from accounts.organizations.models import User
from tests import emailing, world
from tests.accounts import people
from wallgent import cache, clock, redis
from wallgent.http import client_ip, middleware
from wallgent.mail import emails

NEW = "a longer horse of another battery"


@pytest.fixture
def ada(acme):
    return people.person(organization=acme)


def fail(client, times, email="ada@acme.example", **headers):
    for _ in range(times):
        answer = people.sign_in(client, email, "wrong password", **headers)
    return answer


class TestSignIn:
    def test_redirects_to_the_dashboard_and_is_recorded(self, ada, acme):
        browser = people.browser()
        answer = people.sign_in(browser, "  ADA@acme.EXAMPLE ")

        assert (answer.status_code, answer.url) == (302, "/")
        assert people.is_signed_in(browser)
        (event,) = people.events("user.signed_in")
        assert (event.subject, event.organization_id, event.actor_id) == (ada.id, acme.id, ada.id)
        assert event.data == {"userId": ada.id, "environment": "SANDBOX"}
        assert event.origin.ip == "127.0.0.1"

    def test_is_recorded_in_each_organization_of_the_user(self, ada, globex):
        people.join(ada, globex, "VIEWER")
        people.sign_in(people.browser())

        assert {event.organization_id for event in people.events("user.signed_in")} == {
            membership.organization_id for membership in ada.memberships.all()
        }

    def test_session_ends_after_twelve_hours_despite_use(self, ada, acme):
        browser = people.signed_in(ada)
        ends = Session.objects.get().expire_date
        assert abs(ends - clock.real_now() - timedelta(hours=12)) < timedelta(minutes=1)

        for environment in ("production", "sandbox"):  # the session stores the environment
            browser.get(f"/{acme.id}/{environment}/wallets")
        assert Session.objects.get().expire_date == ends

    def test_expired_session_redirects_to_sign_in_and_back(self, ada, acme):
        page = f"/{acme.id}/sandbox/members"
        browser = people.signed_in(ada)
        Session.objects.all().delete()

        asked = browser.get(page)
        assert (asked.status_code, asked.url) == (302, f"/account/login/?next={page}")
        form = browser.get(asked.url).text
        assert f'name="next" value="{page}"' in form
        assert people.sign_in(browser, next=page).url == page

    @pytest.mark.parametrize(
        "elsewhere",
        ["https://evil.example/", "//evil.example/x", "javascript:alert(1)", "\\\\evil"],
    )
    def test_never_redirects_to_another_site(self, ada, elsewhere):
        assert people.sign_in(people.browser(), next=elsewhere).url == "/"

    @pytest.mark.parametrize("email", ["unknown@acme.example", "ada@acme.example"])
    def test_error_does_not_reveal_whether_an_account_exists(self, ada, email):
        answer = people.sign_in(people.browser(), email, "wrong password")

        assert answer.status_code == 200
        assert "The e-mail address or the password is not right." in answer.text

    def test_rotates_the_session_and_sets_an_http_only_cookie(self, ada):
        browser = people.browser()
        browser.get("/account/login/")
        browser.session.save()
        before = browser.cookies.get("sessionid")
        people.sign_in(browser)
        cookie = browser.cookies["sessionid"]

        assert before is None or before.value != cookie.value
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
        assert 12 * 3600 - 60 < cookie["max-age"] <= 12 * 3600

    def test_inactive_account_cannot_sign_in(self, ada):
        User.objects.update(is_active=False)
        browser = people.browser()

        assert "This account is closed" in people.follow(browser, people.sign_in(browser)).text
        assert not people.is_signed_in(browser)

    def test_form_without_csrf_token_is_refused(self, ada):
        browser = people.browser(enforce_csrf_checks=True)

        assert people.sign_in(browser).status_code == 403
        assert not people.is_signed_in(browser)

    @pytest.mark.parametrize(
        "email",
        ["", "a" * 400 + "@x.example", "a\0b@x.example", "<script>", "'; --", "٣@x.example"],
    )
    def test_malformed_email_shows_the_form_again(self, db, email):
        assert people.sign_in(people.browser(), email).status_code == 200

    def test_page_has_autocomplete_hints_and_no_inline_script(self, db):
        page = people.browser().get("/account/login/").text

        assert 'autocomplete="username"' in page
        assert 'autocomplete="current-password"' in page
        people.assert_csp_safe(page)


class TestSignOut:
    def test_requires_post(self, ada):
        browser = people.signed_in(ada)
        assert browser.get("/account/logout/").status_code == 200
        assert people.is_signed_in(browser)

        assert browser.post("/account/logout/").url == "/account/login/"
        assert not people.is_signed_in(browser)


@pytest.fixture
def proxies(settings):
    """Return a function that sets the trusted proxies."""

    def trust(*networks):
        settings.TRUSTED_PROXIES = list(networks)
        client_ip._trusted.cache_clear()

    yield trust
    client_ip._trusted.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_five_of_many_concurrent_guesses_are_checked(settings, monkeypatch):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
    ada = people.person(organization=world.make_organization("Acme"))
    checked = []
    check = User.check_password
    monkeypatch.setattr(
        User, "check_password", lambda self, text: checked.append(text) or check(self, text)
    )

    answers = world.in_parallel(9, lambda number: fail(people.browser(), 1, ada.email))

    assert len(checked) == 5
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 5


class TestLockout:
    def test_five_failures_lock_out_even_the_right_password(self, ada):
        browser = people.browser()
        assert fail(browser, 4).status_code == 200
        locked = fail(browser, 1)

        assert locked.status_code == 429
        assert "Try again in 15 minutes" in locked.text
        assert 890 < int(locked.headers["Retry-After"]) <= 901
        people.assert_csp_safe(locked.text)
        assert people.sign_in(browser).status_code == 429
        assert people.sign_in(browser, "ADA@ACME.example").status_code == 429
        assert not people.is_signed_in(browser)
        (event,) = people.events("user.locked_out")
        assert event.subject == ada.id

    def test_ends_after_fifteen_minutes_despite_further_tries(self, ada):
        browser = people.browser()
        fail(browser, 5)
        AccessAttempt.objects.update(attempt_time=clock.real_now() - timedelta(minutes=14))
        assert "Try again in 1 minute," in fail(browser, 1).text

        AccessAttempt.objects.update(attempt_time=clock.real_now() - timedelta(minutes=15))
        assert people.sign_in(browser).status_code == 302

    def test_applies_to_one_account_and_one_address(self, ada, acme):
        bob = people.person("bob@acme.example", acme)
        here, elsewhere = people.browser(), people.browser(REMOTE_ADDR="192.0.2.7")
        fail(here, 5)

        assert people.sign_in(here, bob.email).status_code == 302
        assert people.sign_in(elsewhere).status_code == 302

    def test_forwarding_headers_of_clients_are_ignored(self, ada):
        browser = people.browser()
        for number in range(5):
            claim = {"HTTP_X_FORWARDED_FOR": f"198.51.100.{number}"}
            browser.post(
                "/account/login/", {"login": ada.email, "password": "wrong password"}, **claim
            )

        assert people.sign_in(browser).status_code == 429

    @pytest.mark.parametrize(
        ("remote", "forwarded"),
        [
            ("", None),  # a unix socket
            ("", "203.0.113.7"),
            ("10.0.0.1", None),
            ("10.0.0.1", ""),
            ("10.0.0.1", "10.0.0.2, 10.0.0.3"),
            ("10.0.0.1", "unknown"),
            ("10.0.0.1", "203.0.113.7, x" * 100),
            ("fe80::1%eth0", None),
        ],
    )
    def test_counts_clients_with_a_proxy_or_unknown_address(
        self, ada, proxies, monkeypatch, remote, forwarded
    ):
        proxies("10.0.0.0/8")
        unreachable = redis_package.Redis(port=1, socket_connect_timeout=0.1)
        monkeypatch.setattr(redis, "client", lambda: unreachable)
        monkeypatch.setattr(redis, "_unavailable_until", 0)
        claim = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
        browser = people.browser(REMOTE_ADDR=remote, **claim)

        statuses = [fail(browser, 1).status_code for _ in range(7)]

        assert statuses == [200] * 4 + [429] * 3
        locked = people.sign_in(browser)
        assert locked.status_code == 429
        assert "Try again in 15 minutes" in locked.text

    def test_behind_a_proxy_the_forwarded_address_counts(self, ada, proxies):
        proxies("10.0.0.0/8")

        def behind(*hops):
            return people.browser(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=", ".join(hops))

        for claim in range(5):  # the first address of the chain is what the client sent
            fail(behind(f"198.51.100.{claim}", "203.0.113.7", "10.0.0.2"), 1)

        assert people.sign_in(behind("203.0.113.7:4711", "10.0.0.9")).status_code == 429
        assert people.sign_in(behind("203.0.113.8")).status_code == 302

    def test_ipv6_network_counts_as_one_address(self, ada):
        for number in range(5):
            fail(people.browser(REMOTE_ADDR=f"2001:db8:0:1::{number}"), 1)

        locked = people.sign_in(people.browser(REMOTE_ADDR="2001:db8:0:1:ffff::9"))
        assert locked.status_code == 429
        assert "Try again in 15 minutes" in locked.text
        assert people.sign_in(people.browser(REMOTE_ADDR="2001:db8:0:2::1")).status_code == 302

    def test_guesses_for_one_account_count_together_for_every_host_header(self, ada, settings):
        settings.ACCOUNT_RATE_LIMITS = {"login_failed": "2/900s/key"}

        answers = [
            people.sign_in(
                people.browser(REMOTE_ADDR=f"203.0.113.{port}", HTTP_HOST=f"testserver:{port}"),
                password="wrong",
            )
            for port in (1, 2, 3)
        ]

        limited = ["There were too many tries" in answer.text for answer in answers]
        assert limited == [False, False, True]

    def test_success_resets_the_failures(self, ada):
        browser = people.browser()
        fail(browser, 4)
        people.sign_in(browser)
        browser.post("/account/logout/")
        fail(browser, 4)

        assert people.sign_in(browser).status_code == 302

    def test_unknown_email_is_locked_out_alike(self, db):
        assert fail(people.browser(), 5, "unknown@acme.example").status_code == 429
        assert people.events("user.locked_out") == []

    def test_typed_values_are_not_stored(self, ada):
        fail(people.browser(), 2)

        stored = str(AccessAttempt.objects.values_list("get_data", "post_data"))
        assert "wrong password" not in stored
        assert ada.email not in stored


class TestWithoutRedis:
    @pytest.fixture(autouse=True)
    def _redis_unreachable(self, monkeypatch):
        unreachable = redis_package.Redis(port=1, socket_connect_timeout=0.1)
        monkeypatch.setattr(redis, "client", lambda: unreachable)
        monkeypatch.setattr(redis, "_unavailable_until", 0)

    def test_users_sign_in_and_guesses_are_still_counted(self, ada):
        browser = people.browser()
        assert people.sign_in(browser).status_code == 302
        browser.post("/account/logout/")

        assert fail(browser, 5).status_code == 429

    def test_cache_is_empty_and_blocks_no_user(self):
        store = cache.Cache("", {})
        store.set("key", [1.5])

        assert store.get("key", "none") == "none"
        assert store.add("key", 1) is True
        assert store.has_key("key") is False
        assert store.delete("key") is False
        assert store.touch("key", 5) is False


class TestCache:
    def test_stores_values_until_their_timeout(self):
        store = cache.Cache("", {})
        store.set("key", {"a": [1.5, "b"]}, timeout=60)

        assert store.get("key") == {"a": [1.5, "b"]}
        assert store.add("key", 1) is False
        assert store.has_key("key") is True
        assert store.touch("key", None) is True
        assert store.delete("key") is True
        assert store.get("key") is None
        store.set("key", 1, timeout=0)
        assert store.get("key") is None


class TestPassword:
    def change(self, browser, old=people.PASSWORD, new=NEW):
        form = {"oldpassword": old, "password1": new, "password2": new}
        return browser.post("/account/password/change/", form)

    def test_change_ends_all_other_sessions_and_is_recorded(self, ada):
        here, elsewhere = people.signed_in(ada), people.signed_in(ada)
        key = here.session.session_key

        assert self.change(here).status_code == 302
        assert here.get("/account/email/").status_code == 200
        assert here.session.session_key != key
        assert elsewhere.get("/account/password/change/").status_code == 302
        (event,) = people.events("user.password_changed")
        assert event.subject == ada.id
        assert people.sign_in(people.browser(), password=NEW).status_code == 302

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("wrong", NEW, "This is not your present password."),
            (people.PASSWORD, "short", "at least 12 characters"),
            (people.PASSWORD, "123456789012", "entirely numeric"),
            (people.PASSWORD, "ada.lovelace", "too similar"),
        ],
    )
    def test_refused_change_shows_the_reason(self, ada, old, new, message):
        answer = self.change(people.signed_in(ada), old, new)

        assert (answer.status_code, message in answer.text) == (200, True)
        assert people.events("user.password_changed") == []

    def test_reset_email_leads_to_a_new_password(
        self, ada, django_capture_on_commit_callbacks, settings
    ):
        settings.PUBLIC_ORIGIN = "https://pay.example.com"
        browser, other = people.browser(), people.signed_in(ada)
        with django_capture_on_commit_callbacks(execute=True):
            asked = browser.post(
                "/account/password/reset/", {"email": ada.email}, headers={"Host": "evil.example"}
            )
        assert "Look into your mailbox" in people.follow(browser, asked).text
        (email,) = people.emails_to(ada.email)
        assert "https://pay.example.com/account/password/reset/key/" in email.body
        assert "evil.example" not in email.body

        form = browser.get(people.link_in(email), follow=True)
        done = browser.post(form.request["PATH_INFO"], {"password1": NEW, "password2": NEW})
        assert "Your password is changed" in people.follow(browser, done).text
        assert other.get("/account/password/change/").status_code == 302
        assert len(people.events("user.password_changed")) == 1
        assert people.sign_in(people.browser(), password=NEW).status_code == 302
        again = people.browser().get(people.link_in(email), follow=True)
        assert "no longer valid" in again.text

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_uses_of_one_reset_link_succeed_once(self):
        ada = people.person(organization=world.make_organization("Acme"))
        people.browser().post("/account/password/reset/", {"email": ada.email})
        (email,) = people.emails_to(ada.email)
        browsers = [people.browser() for _ in range(3)]
        pages = [browser.get(people.link_in(email), follow=True) for browser in browsers]

        def choose(number):
            new = {"password1": f"{NEW} {number}", "password2": f"{NEW} {number}"}
            return browsers[number].post(pages[number].request["PATH_INFO"], new)

        answers = world.in_parallel(3, choose)

        (won,) = [number for number, answer in enumerate(answers) if answer.status_code == 302]
        assert people.sign_in(people.browser(), password=f"{NEW} {won}").status_code == 302

    def test_reset_link_expires_after_two_hours(
        self, ada, django_capture_on_commit_callbacks, monkeypatch
    ):
        with django_capture_on_commit_callbacks(execute=True):
            people.browser().post("/account/password/reset/", {"email": ada.email})
        (email,) = people.emails_to(ada.email)
        assert "within two hours" in email.body

        for minutes, is_valid in ((119, True), (121, False)):
            then = datetime.now() + timedelta(minutes=minutes)
            monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda _, then=then: then)
            page = people.browser().get(people.link_in(email), follow=True)
            assert ("no longer valid" not in page.text) is is_valid

    def test_unknown_email_gets_the_same_page(self, db, django_capture_on_commit_callbacks):
        browser = people.browser()
        with django_capture_on_commit_callbacks(execute=True):
            asked = browser.post("/account/password/reset/", {"email": "unknown@acme.example"})

        assert "Look into your mailbox" in people.follow(browser, asked).text
        (email,) = people.emails_to("unknown@acme.example")
        assert "There is no" in email.subject

    @pytest.mark.parametrize("address", ["ada@acme.example", "unknown@acme.example"])
    def test_many_requests_send_few_emails_and_get_the_same_page(self, ada, address):
        pages = []
        for _ in range(8):
            world.reset_rate_limits()
            browser = people.browser()
            asked = browser.post("/account/password/reset/", {"email": address})
            pages.append(people.follow(browser, asked).text)

        assert all("Look into your mailbox" in page for page in pages)
        assert len(people.emails_to(address)) == 3

    def test_nothing_that_others_send_silences_account_email(self, ada):
        for kind in ("LINK", "RECEIPT", "INVITATION", "CODE", "CODE"):
            emails.queue(kind, to=ada.email, subject="", text="", environment="PRODUCTION")
        people.browser().post("/account/password/reset/", {"email": ada.email})
        self.change(people.signed_in(ada))

        *_, reset, notice = people.emails_to(ada.email)
        assert reset.subject == "Reset your password"
        assert notice.subject == "Your password was changed"

    def test_change_works_without_a_mail_server(
        self, ada, settings, django_capture_on_commit_callbacks
    ):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        with django_capture_on_commit_callbacks(execute=True):
            answer = self.change(people.signed_in(ada))

        assert answer.status_code == 302


class TestEmailAddress:
    def test_changes_once_the_new_one_is_verified(self, ada, django_capture_on_commit_callbacks):
        browser = people.signed_in(ada)
        people.reauthenticate(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/email/", {"email": "Ada@New.example", "action_add": ""})
        ada.refresh_from_db()
        assert ada.email == "ada@acme.example"

        (email,) = people.emails_to("ada@new.example")
        link = people.link_in(email)
        assert browser.get(link).status_code == 200
        browser.post(link)
        ada.refresh_from_db()
        assert ada.email == "ada@new.example"
        (event,) = people.events("user.email_changed")
        assert "example" not in str(event.data)
        assert people.sign_in(people.browser(), "ada@new.example").status_code == 302
        assert people.sign_in(people.browser()).status_code == 200

    def test_change_requires_the_password_first(self, ada, django_capture_on_commit_callbacks):
        browser = people.signed_in(ada)
        form = {"email": "ada@new.example", "action_add": ""}
        with django_capture_on_commit_callbacks(execute=True):
            asked = browser.post("/account/email/", form)
            assert asked.url == "/account/reauthenticate/?next=%2Faccount%2Femail%2F"
            browser.post(asked.url, {"password": "wrong password"})
        assert not people.emails_to("ada@new.example")

        with django_capture_on_commit_callbacks(execute=True):
            browser.post(asked.url, {"password": people.PASSWORD})
        assert people.emails_to("ada@new.example")

    def test_link_confirms_only_the_current_new_address_once(
        self, ada, django_capture_on_commit_callbacks
    ):
        browser = people.signed_in(ada)
        people.reauthenticate(browser)
        links = {}
        for email in ("mine@new.example", "hers@new.example"):
            with django_capture_on_commit_callbacks(execute=True):
                browser.post("/account/email/", {"email": email, "action_add": ""})
            (message,) = people.emails_to(email)
            links[email] = people.link_in(message)

        browser.post(links["mine@new.example"])  # of an address that was replaced
        ada.refresh_from_db()
        assert ada.email == "ada@acme.example"

        browser.post(links["hers@new.example"])
        browser.post(links["hers@new.example"])
        ada.refresh_from_db()
        assert ada.email == "hers@new.example"
        assert len(people.events("user.email_changed")) == 1

    def test_email_of_another_user_cannot_be_used(
        self, ada, acme, django_capture_on_commit_callbacks
    ):
        people.person("bob@acme.example", acme)
        browser = people.signed_in(ada)
        people.reauthenticate(browser)
        with django_capture_on_commit_callbacks(execute=True):
            browser.post("/account/email/", {"email": "bob@acme.example", "action_add": ""})
        for email in people.emails_to("bob@acme.example"):
            browser.post(people.link_in(email))

        ada.refresh_from_db()
        assert ada.email == "ada@acme.example"


class TestSessions:
    def test_other_sessions_are_listed_and_ended(self, ada):
        here, elsewhere = people.signed_in(ada), people.signed_in(ada)
        page = here.get("/account/sessions/").text
        assert (page.count("Unknown browser"), page.count("this device")) == (2, 1)
        people.assert_csp_safe(page)

        here.post("/account/sessions/")
        assert here.get("/account/sessions/").status_code == 200
        assert elsewhere.get("/account/sessions/").status_code == 302


class TestPages:
    PATHS = [
        *("login/", "signup/", "password/reset/", "password/reset/done/", "confirm-email/"),
        *("password/reset/key/done/", "confirm-email/none/", "password/reset/key/x-y/"),
        "inactive/",
    ]

    @pytest.mark.parametrize("path", PATHS)
    def test_public_pages_open_in_our_layout(self, db, path):
        answer = people.browser().get(f"/account/{path}")

        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]
        assert 'class="shell"' in answer.text
        people.assert_csp_safe(answer.text)

    OWN = [
        *("email/", "password/change/", "logout/", "sessions/", "2fa/", "2fa/totp/activate/"),
        *("2fa/webauthn/", "2fa/webauthn/add/", "reauthenticate/"),
    ]

    @pytest.mark.parametrize("path", OWN)
    def test_account_pages_require_sign_in(self, ada, path):
        asked = people.browser().get(f"/account/{path}")
        assert asked.status_code == 302

        browser = people.signed_in(ada)
        people.reauthenticate(browser)
        answer = browser.get(f"/account/{path}")
        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]
        assert '<main class="shell' in answer.text or 'class="page"' in answer.text
        people.assert_csp_safe(answer.text)

    def test_unknown_page_is_not_found(self, db):
        assert people.browser().get("/account/nothing/").status_code == 404
        assert people.browser().get("/account/").url == "/account/login/"

    def test_too_many_requests_show_our_page(self, db, settings):
        settings.ACCOUNT_RATE_LIMITS = {"signup": "1/m/ip"}
        browser = people.browser()
        browser.post("/account/signup/", {})
        answer = browser.post("/account/signup/", {})

        assert answer.status_code == 429
        assert "Too many tries" in answer.text
        people.assert_csp_safe(answer.text)


def test_api_ignores_sessions(ada):
    answer = people.signed_in(ada).get("/v1/wallets")

    assert world.error_of(answer) == "UNAUTHORIZED"
    assert not emailing.outbox()


class TestMiddleware:
    """Ours subclass those of django-allauth and django-axes, whose checks look for their names."""

    def test_account_middleware_skips_the_api(self, rf):
        step = middleware.PageAccount(lambda request: HttpResponse())
        page, call = rf.get("/account/login/"), rf.get("/v1/wallets")
        for request in (page, call):
            step(request)

        assert hasattr(page, "allauth")
        assert not hasattr(call, "allauth")
        assert step.process_exception(call, ReauthenticationRequired()) is None

    def test_lockout_middleware_skips_the_api(self, rf):
        answer, call = HttpResponse(), rf.get("/v1/wallets")
        call.axes_locked_out = True

        assert middleware.PageLockOut(lambda request: answer)(call) is answer
