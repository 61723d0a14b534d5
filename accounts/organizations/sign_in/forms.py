"""Forms for signing in, and for passwords, second factors and email addresses."""

import json
import time

from allauth.account import forms as account_forms
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import clear_totp_secret, generate_totp_secret
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from allauth.mfa.webauthn.internal.auth import clear_state
from axes.handlers.proxy import AxesProxyHandler
from django import forms

from accounts.organizations.services import one_time_codes
from accounts.organizations.sign_in.adapters import (
    AccountAdapter,
    attempt_address,
    attempted_email,
    set_fixed_expiry,
)
from wallgent import credentials
from wallgent.api.json import check_count
from wallgent.errors import ValidationError

_PENDING = "pending_app"  # session key of the secret of an app that is being set up
_PENDING_SECONDS = 30 * 60
ADVICE = "At least 12 characters. Several words are easy to remember."


class _Labels:
    """Sets our labels and help texts, and removes allauth's placeholders."""

    labels: dict[str, tuple[str, str]] = {}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label, field.help_text = self.labels.get(name, (field.label, field.help_text))


_NEW_PASSWORD = {
    "password1": ("New password", ADVICE),
    "password2": ("New password again", ""),
}


class ChangePasswordForm(_Labels, account_forms.ChangePasswordForm):
    """Changes a password, which must be entered first."""

    labels = {"oldpassword": ("Present password", ""), **_NEW_PASSWORD}


class SetPasswordForm(_Labels, account_forms.SetPasswordForm):
    """Sets a password for a user who has none."""

    labels = _NEW_PASSWORD


class ResetPasswordForm(_Labels, account_forms.ResetPasswordKeyForm):
    """Sets a new password for a user who opened the link of a reset email."""

    labels = _NEW_PASSWORD

    def clean(self):
        # Locked, so that of two concurrent uses of one link the second finds it used.
        user = one_time_codes.lock_user(self.user)
        if not account_forms.default_token_generator.check_token(user, self.temp_key):
            raise forms.ValidationError("This link was already used. Ask for a new one.")
        return super().clean()


class RequestPasswordResetForm(_Labels, account_forms.ResetPasswordForm):
    """Asks for the email address to which the reset link is sent."""

    labels = {"email": ("E-mail address", "")}


class PasswordReauthenticateForm(_Labels, account_forms.ReauthenticateForm):
    """Asks for the password again before a sensitive action."""

    labels = {"password": ("Password", "")}


class ActivateAppForm(_Labels, ActivateTOTPForm):
    """Asks for the first code of an authenticator app.

    The secret stays the same for half an hour, however often the page is loaded: the app may have
    scanned it from an earlier load. The session keeps it, encrypted, until the app is set up.
    """

    labels = {"code": ("Code", "")}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        session = context.request.session
        clear_totp_secret(context.request)  # allauth's own changes at each load
        pending = _pending_secret(session, self.user)
        self._is_expired = pending is None
        self.secret = pending or _new_secret(session, self.user)
        self.fields["code"].widget.attrs |= {
            "autocomplete": "one-time-code",
            "inputmode": "numeric",
        }

    def clean_code(self):
        if self._is_expired:
            raise forms.ValidationError(
                "The QR code expired. Scan the new one, then enter the code from your app."
            )
        return super().clean_code()


def _pending_secret(session, user) -> str | None:
    """Return the secret shown to this user in the last half hour, or None."""
    pending = session.get(_PENDING, {})
    if pending.get("user") != user.id or pending["until"] < time.time():
        return None
    try:
        return credentials.decrypt(pending["secret"].encode())
    except credentials.InvalidToken:
        return None


def _new_secret(session, user) -> str:
    secret = generate_totp_secret()
    session[_PENDING] = {
        "user": user.id,
        "secret": credentials.encrypt(secret).decode(),
        "until": time.time() + _PENDING_SECONDS,
    }
    return secret


def forget_pending_secret(session) -> None:
    """Delete the pending secret from the session, once the app is set up."""
    session.pop(_PENDING, None)


class SignInForm(account_forms.LoginForm):
    """Signs in with an email address and a password."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        email, password = self.fields["login"], self.fields["password"]
        email.label = "E-mail address"
        email.widget.attrs = {"autocomplete": "username", "type": "email", "autofocus": True}
        password.widget.attrs = {"autocomplete": "current-password"}
        password.help_text = ""

    def login(self, request, redirect_url=None):
        answer = super().login(request, redirect_url)
        set_fixed_expiry(request)  # allauth has just set an expiry that each use would extend
        return answer


class _CountedCode:
    """Limits guesses of codes: they count together with guesses of the password."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs = {
            "autocomplete": "one-time-code",
            "inputmode": "text",  # a recovery code may follow
            "autocapitalize": "off",
            "spellcheck": "false",
            "autofocus": True,
        }

    def clean_code(self):
        request, credentials = context.request, {"email": self.user.email}
        one_time_codes.lock_attempts(
            attempted_email(request, credentials), attempt_address(request)
        )
        if not AxesProxyHandler.is_allowed(request, credentials):
            request.axes_locked_out, request.axes_credentials = True, credentials
            raise forms.ValidationError(AccountAdapter.error_messages["too_many_login_attempts"])
        code = super().clean_code()
        # allauth remembers a used code for 30 seconds, and only in Redis. It deletes used recovery
        # codes itself.
        is_app = self.authenticator.type == Authenticator.Type.TOTP
        if is_app and not one_time_codes.use(self.authenticator, code):
            self._emit_authentication_failed(self.authenticator)
            raise forms.ValidationError(AccountAdapter.error_messages["incorrect_code"])
        return code


class CodeForm(_CountedCode, AuthenticateForm):
    """Asks for a code as the second step of signing in."""


class CodeReauthenticateForm(_CountedCode, ReauthenticateForm):
    """Asks for a code in place of the password before a sensitive action."""


class _StrictJsonDecoder(json.JSONDecoder):
    """Raises JSONDecodeError for every text it cannot read.

    Very long numbers and deep nesting would raise ValueError and RecursionError.
    """

    def decode(self, text):
        try:
            check_count(text.encode())
            return super().decode(text)
        except (ValueError, RecursionError, ValidationError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from None


class _Passkey:
    """Reads the response of a passkey, which may be any JSON that a client sends.

    A challenge is valid for one response, right or wrong: the page then shows a new one.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["credential"].decoder = _StrictJsonDecoder

    def clean_credential(self):
        try:
            read = getattr(super(), "clean_credential", lambda: self.cleaned_data["credential"])
            return read()
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._error() from None

    def clean(self):
        try:
            return super().clean()
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._error() from None
        finally:
            clear_state()

    def _error(self):
        return forms.ValidationError("The passkey did not work. Try again, or use another way.")


class PasskeySignInForm(_Passkey, LoginWebAuthnForm):
    """Signs in with a passkey alone."""


class PasskeyForm(_Passkey, AuthenticateWebAuthnForm):
    """Asks for a passkey as the second step of signing in."""


class PasskeyReauthenticateForm(_Passkey, ReauthenticateWebAuthnForm):
    """Asks for a passkey in place of the password before a sensitive action."""


class AddPasskeyForm(_Passkey, AddWebAuthnForm):
    """Adds a passkey."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = "So that you tell it from others."
        self.fields["name"].max_length = 100
        self.fields["name"].widget.attrs = {"maxlength": 100, "autocomplete": "off"}
        passwordless = self.fields["passwordless"]
        passwordless.label = "Sign in with it alone"
        passwordless.help_text = (
            "Without a password. The device asks for your finger, your face or a PIN instead."
        )
        passwordless.initial = True


class ChangeEmailForm(account_forms.AddEmailForm):
    """Asks for a new email address, which replaces the current one once it is verified."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "New address"
        self.fields["email"].widget.attrs = {"autocomplete": "email", "type": "email"}

    def save(self, request):
        # In development the current address was never verified. allauth would delete it at once,
        # and the user could not sign in with it.
        current = EmailAddress.objects.filter(user=self.user, email=self.user.email)
        current.update(verified=True, primary=True)
        return super().save(request)
