"""Signing in: where django-allauth and django-axes ask us how."""

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
from accounts.organizations.pages.invitations import invitation_of, origin_of
from accounts.organizations.services import one_time_codes, users
from wallgent import clock, credentials, public_origin
from wallgent.http.client_ip import UNKNOWN, client_ip, client_network
from wallgent.mail import emails

_EMAIL_LENGTH = User._meta.get_field("email").max_length
_AGENT_LENGTH = 200
_TRIED_LENGTH = AccessAttempt._meta.get_field("username").max_length


class AccountAdapter(DefaultAccountAdapter):
    """What django-allauth leaves to a project to decide."""

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
        return settings.SIGNUP_OPEN or invitation_of(request) is not None

    def clean_email(self, email: str) -> str:
        if len(email) > _EMAIL_LENGTH:
            raise forms.ValidationError(f"Write an address of at most {_EMAIL_LENGTH} characters.")
        return email

    def save_user(self, request, user, form, commit=True):
        user.name = form.cleaned_data["name"]
        return super().save_user(request, user, form, commit)

    def post_login(self, request, user, **login):
        end_some_day(request)
        response = super().post_login(request, user, **login)
        users.record("user.signed_in", user, origin=origin_of(request))
        return response

    def get_login_redirect_url(self, request) -> str:
        """The dashboard; support staff without an organization go to their own pages."""
        if request.user.is_staff and not request.user.memberships.exists():
            return reverse("admin:index")
        return super().get_login_redirect_url(request)

    def get_client_ip(self, request) -> str:
        return client_ip(request) or UNKNOWN

    def _get_login_attempts_cache_key(self, request, **credentials) -> str:
        # allauth's begins with the Host header: another port in it would be another counter.
        return email_tried(request, credentials)

    def is_safe_url(self, url: str) -> bool:
        """Only a path of our own, on whatever host it was asked for."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    # Links in emails lead to our public address, whatever host name a request claims.

    def get_email_confirmation_url(self, request, emailconfirmation) -> str:
        return _public("account_confirm_email", emailconfirmation.key)

    def get_reset_password_from_key_url(self, key: str) -> str:
        id, _, secret = key.partition("-")
        uid = id.rpartition("_")[2]  # allauth's path takes no underscore, and ours reads it so, too
        return _public("account_reset_password_from_key", uid, secret)

    def send_notification_mail(self, template_prefix, user, context=None, email=None) -> None:
        about = {"user": user, "account": user.email, "browser": _browser(self.request)}
        about |= {"ip": client_ip(self.request), **(context or {})}
        super().send_notification_mail(template_prefix, user, about, email)

    def send_mail(self, template_prefix: str, email: str, context: dict) -> None:
        user = context.get("user")
        shown = context | {
            "email": email,
            # Of whom it is for: the request may come from anyone else who is signed in.
            "user": user,
            "name": emails.without_links(user.name) if user else "",
            "origin": settings.PUBLIC_ORIGIN,
            "login_url": _public("account_login"),
            "signup_url": _public("account_signup"),
            "is_signup_open": settings.SIGNUP_OPEN,
        }
        if "key" not in context:  # else it is the one that holds the key
            shown["password_reset_url"] = _public("account_reset_password")
        emails.send(self.render_mail(template_prefix, email, shown))


def _browser(request) -> str:
    """What a browser says it is, as far as an email may repeat it."""
    return emails.without_links(request.headers.get("User-Agent", "")[:_AGENT_LENGTH])


def _public(name: str, *arguments: str) -> str:
    return public_origin.url(reverse(name, args=arguments))


class FactorAdapter(DefaultMFAAdapter):
    """Second factors, their secrets encrypted at rest."""

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


class LockOut(AxesStandaloneBackend):
    """Keeps out who failed too often. Of many guesses at once, each is counted before the next."""

    def authenticate(self, request, username=None, password=None, **credentials):
        tried = {"username": username, **credentials}
        one_time_codes.wait_for_turn(email_tried(request, tried), tried_from(request))
        return super().authenticate(request, username, password, **credentials)


def end_some_day(request) -> None:
    """Let the session end at an hour that is fixed now, however much it is used until then."""
    request.session.set_expiry(timedelta(seconds=settings.SESSION_COOKIE_AGE))


def email_tried(request, credentials: dict | None) -> str:
    """Whose account somebody tries to get into, spelled in one way."""
    tried = credentials or {}
    text = tried.get("email") or tried.get("username") or ""
    return text.strip().lower()[:_TRIED_LENGTH]


def tried_from(request) -> str:
    """Where somebody tries it from: of IPv6 the first address of their network, for all of it.

    Never empty: what has no address would match nothing in PostgreSQL, and count nothing.
    """
    return client_network(request).partition("/")[0]


def locked_out(request, response, credentials):
    """The page after too many failures; it says when to try again."""
    failures = AccessAttempt.objects.filter(
        username=email_tried(request, credentials), ip_address=tried_from(request)
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
    """Hear from django-allauth and django-axes what people did. Called once, at start."""
    for signal in ("password_changed", "password_set", "password_reset"):
        getattr(account_signals, signal).connect(_password_changed)
    account_signals.email_changed.connect(_email_changed)
    factor_signals.authenticator_added.connect(_factor_added)
    factor_signals.authenticator_removed.connect(_factor_removed)
    factor_signals.authenticator_reset.connect(_factor_renewed)
    factor_signals.authentication_failed.connect(_code_failed)
    user_locked_out.connect(_locked_out)


def _password_changed(request, user, **_):
    users.record("user.password_changed", user, origin=origin_of(request))


def _email_changed(request, user, from_email_address, **_):
    if from_email_address:  # else it was confirmed for the first time
        users.record("user.email_changed", user, origin=origin_of(request))


def _factor_added(request, user, authenticator, **_):
    users.record("user.mfa_added", user, origin=origin_of(request), factor=authenticator.type)


def _factor_removed(request, user, authenticator, **_):
    users.record("user.mfa_removed", user, origin=origin_of(request), factor=authenticator.type)


def _factor_renewed(request, user, **_):
    users.record("user.recovery_codes_renewed", user, origin=origin_of(request))


def _code_failed(sender, request, user, **_):
    tried = {"email": user.email}
    user_login_failed.send(sender, credentials=tried, request=request)


def _locked_out(request, username, **_):
    if request.axes_failures_since_start is None:
        return  # it was locked before: nothing new
    if user := User.objects.filter(email=username).first():
        users.record("user.locked_out", user, origin=origin_of(request))
