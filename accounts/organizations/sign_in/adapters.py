"""How django-allauth and django-axes sign users in, and the events that record it."""

from datetime import timedelta

from allauth.account import signals as account_signals
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa import signals as factor_signals
from allauth.mfa.adapter import DefaultMFAAdapter
from axes.backends import AxesStandaloneBackend
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django import forms
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.organizations.models import User
from accounts.organizations.pages.invitations import request_origin, requested_invitation
from accounts.organizations.services import one_time_codes, users
from wallgent import clock, credentials, public_origin
from wallgent.http.client_ip import UNKNOWN, client_ip, client_network
from wallgent.mail import emails, plain_text
from wallgent.mail.models import Email

_EMAIL_LENGTH = User._meta.get_field("email").max_length
_USER_AGENT_LENGTH = 200
_GROUPED_SUBJECT = "Changes to your Wallgent account"
# How long the link in an email works. Other emails only say whether there is an account.
_LIFETIMES = {
    "account/email/email_confirmation": emails.DEADLINE,
    "account/email/email_confirmation_signup": emails.DEADLINE,
    "account/email/password_reset_key": timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT),
}
_ATTEMPT_LENGTH = AccessAttempt._meta.get_field("username").max_length


class AccountAdapter(DefaultAccountAdapter):
    """Account settings of django-allauth: sign-up, redirects, links and emails."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "The e-mail address or the password is not right.",
        "email_taken": "There is an account with this e-mail address. Sign in instead.",
        "enter_current_password": "This is not your present password.",
        "incorrect_code": "This code is not right. Codes change every 30 seconds.",
        "incorrect_password": "The password is not right.",
        "too_many_login_attempts": "There were too many tries. Wait a quarter of an hour.",
        "rate_limited": "There were too many tries. Wait a few minutes.",
    }

    def is_open_for_signup(self, request) -> bool:
        return settings.SIGNUP_OPEN or requested_invitation(request) is not None

    def clean_email(self, email: str) -> str:
        if len(email) > _EMAIL_LENGTH:
            raise forms.ValidationError(f"Write an address of at most {_EMAIL_LENGTH} characters.")
        return email

    def save_user(self, request, user, form, commit=True):
        user.name = form.cleaned_data["name"]
        return super().save_user(request, user, form, commit)

    def post_login(self, request, user, **login):
        set_fixed_expiry(request)
        response = super().post_login(request, user, **login)
        users.record_event("user.signed_in", user, origin=request_origin(request))
        return response

    def get_login_redirect_url(self, request) -> str:
        """Return the dashboard, or the admin for staff who belong to no organization."""
        if request.user.is_staff and not request.user.memberships.exists():
            return reverse("admin:index")
        return super().get_login_redirect_url(request)

    def get_client_ip(self, request) -> str:
        return client_ip(request) or UNKNOWN

    def _get_login_attempts_cache_key(self, request, **credentials) -> str:
        # allauth's key starts with the Host header, so another port would start another counter.
        return attempted_email(request, credentials)

    def is_safe_url(self, url: str) -> bool:
        """Accept only a path on this server, whatever host the request names."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    # Links in emails lead to our public address, whatever host the request names.

    def get_email_confirmation_url(self, request, emailconfirmation) -> str:
        return _public_url("account_confirm_email", emailconfirmation.key)

    def get_reset_password_from_key_url(self, key: str) -> str:
        id, _, secret = key.partition("-")
        # allauth's path takes no underscore; the id is also read without its prefix.
        uid = id.rpartition("_")[2]
        return _public_url("account_reset_password_from_key", uid, secret)

    def send_notification_mail(self, template_prefix, user, context=None, email=None) -> None:
        details = {"user": user, "account": user.email, "browser": _user_agent(self.request)}
        details |= {"ip": client_ip(self.request), "is_notice": True, **(context or {})}
        super().send_notification_mail(template_prefix, user, details, email)

    def send_mail(self, template_prefix: str, email: str, context: dict) -> None:
        user = context.get("user")
        details = context | {
            "email": email,
            # The recipient, not the user of the request, who may be another signed-in user.
            "user": user,
            "name": plain_text.without_links(user.name) if user else "",
            "origin": settings.PUBLIC_ORIGIN,
            "login_url": _public_url("account_login"),
            "signup_url": _public_url("account_signup"),
            "is_signup_open": settings.SIGNUP_OPEN,
        }
        if "key" not in context:  # otherwise it already holds a URL with the key
            details["password_reset_url"] = _public_url("account_reset_password")
        rendered = self.render_mail(template_prefix, email, details)
        message = {"to": email, "subject": rendered.subject, "text": rendered.body}
        if "is_notice" in context:
            emails.notify(**message, grouped_subject=_GROUPED_SUBJECT)
            return
        lifetime = _LIFETIMES.get(template_prefix)
        emails.queue(
            Email.Kind.ACCOUNT if lifetime else Email.Kind.HINT,
            **message,
            about=template_prefix,
            valid_until=lifetime and clock.real_now() + lifetime,
            drops_excess=True,  # the answer is the same with and without an account
        )


def _user_agent(request) -> str:
    """Return the User-Agent header, shortened, for use in an email. Empty if it holds a link."""
    return plain_text.without_links(request.headers.get("User-Agent", "")[:_USER_AGENT_LENGTH])


def _public_url(name: str, *arguments: str) -> str:
    return public_origin.url(reverse(name, args=arguments))


class MfaAdapter(DefaultMFAAdapter):
    """Second factors of django-allauth, with secrets encrypted at rest."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": AccountAdapter.error_messages["incorrect_code"],
    }

    def encrypt(self, text: str) -> str:
        return credentials.encrypt(text).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return credentials.decrypt(encrypted_text.encode())

    def generate_authenticator_name(self, user, type) -> str:
        count = user.authenticator_set.filter(type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"

    def _get_site_name(self) -> str:
        return settings.MFA_TOTP_ISSUER


class LockoutBackend(AxesStandaloneBackend):
    """Locks out an account and address after too many failures.

    Concurrent guesses wait for each other, so each is counted before the next is checked.
    """

    def authenticate(self, request, username=None, password=None, **credentials):
        attempt = {"username": username, **credentials}
        one_time_codes.lock_attempts(attempted_email(request, attempt), attempt_address(request))
        return super().authenticate(request, username, password, **credentials)


def set_fixed_expiry(request) -> None:
    """Set a fixed end of the session, which use does not extend."""
    request.session.set_expiry(timedelta(seconds=settings.SESSION_COOKIE_AGE))


def attempted_email(request, credentials: dict | None) -> str:
    """Return the email address of a sign-in attempt, in lower case without spaces around it."""
    attempt = credentials or {}
    text = attempt.get("email") or attempt.get("username") or ""
    return text.strip().lower()[:_ATTEMPT_LENGTH]


def attempt_address(request) -> str:
    """Return the client's IP address, or the first address of its network for IPv6.

    Never empty: an empty address would match no row in PostgreSQL, so nothing would be counted.
    """
    return client_network(request).partition("/")[0]


def lockout_response(request, response, credentials):
    """Return the page shown after too many failures, with the time of the next try."""
    failures = AccessAttempt.objects.filter(
        username=attempted_email(request, credentials), ip_address=attempt_address(request)
    )
    now = clock.real_now()
    last = max((failure.attempt_time for failure in failures), default=now)
    until = last + settings.AXES_COOLOFF_TIME
    wait = max(until - now, timedelta(seconds=1))
    seconds = int(wait.total_seconds()) + 1
    page = render(
        request,
        "account/locked_out.html",
        {"until": until, "minutes": -(-seconds // 60)},
        status=settings.AXES_HTTP_RESPONSE_CODE,
    )
    page.headers["Retry-After"] = str(seconds)
    page.headers["Cache-Control"] = "no-store"
    return page


def connect() -> None:
    """Record the signals of django-allauth and django-axes as events. Called once, at startup."""
    for signal in ("password_changed", "password_set", "password_reset"):
        getattr(account_signals, signal).connect(_password_changed)
    account_signals.email_changed.connect(_email_changed)
    factor_signals.authenticator_added.connect(_factor_added)
    factor_signals.authenticator_removed.connect(_factor_removed)
    factor_signals.authenticator_reset.connect(_factor_renewed)
    factor_signals.authentication_failed.connect(_code_failed)
    user_locked_out.connect(_locked_out)


def _password_changed(request, user, **_):
    users.record_event("user.password_changed", user, origin=request_origin(request))


def _email_changed(request, user, from_email_address, **_):
    if from_email_address:  # otherwise the first address was confirmed
        users.record_event("user.email_changed", user, origin=request_origin(request))


def _factor_added(request, user, authenticator, **_):
    users.record_event(
        "user.mfa_added", user, origin=request_origin(request), factor=authenticator.type
    )


def _factor_removed(request, user, authenticator, **_):
    users.record_event(
        "user.mfa_removed", user, origin=request_origin(request), factor=authenticator.type
    )


def _factor_renewed(request, user, **_):
    users.record_event("user.recovery_codes_renewed", user, origin=request_origin(request))


def _code_failed(sender, request, user, **_):
    user_login_failed.send(sender, credentials={"email": user.email}, request=request)


def _locked_out(request, username, **_):
    if request.axes_failures_since_start is None:
        return  # it was locked already
    if user := User.objects.filter(email=username).first():
        users.record_event("user.locked_out", user, origin=request_origin(request))
