"""The forms of signing in, and of what one signs in with."""

import json

from allauth.account.forms import (
    AddEmailForm,
    ChangePasswordForm,
    LoginForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
    SetPasswordForm,
)
from allauth.account.forms import (
    ReauthenticateForm as PasswordForm,
)
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.core.cache import cache

from accounts.views.sign_in import AccountAdapter, end_some_day

ADVICE = "At least 12 characters. Several words are easy to remember."


class _InOurWords:
    """Labels and help as elsewhere; what to write is said there, not inside the field."""

    words: dict[str, tuple[str, str]] = {}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label, field.help_text = self.words.get(name, (field.label, field.help_text))


_NEW_PASSWORD = {
    "password1": ("New password", ADVICE),
    "password2": ("New password again", ""),
}


class ChangePassword(_InOurWords, ChangePasswordForm):
    """A new password in place of the present one."""

    words = {"oldpassword": ("Present password", ""), **_NEW_PASSWORD}


class FirstPassword(_InOurWords, SetPasswordForm):
    """A password for whoever has none."""

    words = _NEW_PASSWORD


class NewPassword(_InOurWords, ResetPasswordKeyForm):
    """A new password for whoever has forgotten it."""

    words = _NEW_PASSWORD


class ForgottenPassword(_InOurWords, ResetPasswordForm):
    """Where to send the link to."""

    words = {"email": ("E-mail address", "")}


class PasswordAgain(_InOurWords, PasswordForm):
    """The password once more, before something that matters."""

    words = {"password": ("Password", "")}


class NewApp(_InOurWords, ActivateTOTPForm):
    """The first code of an authenticator app."""

    words = {"code": ("Code", "")}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs |= {
            "autocomplete": "one-time-code",
            "inputmode": "numeric",
        }


class SignInForm(LoginForm):
    """E-mail address and password."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        email, password = self.fields["login"], self.fields["password"]
        email.label = "E-mail address"
        email.widget.attrs = {"autocomplete": "username", "type": "email", "autofocus": True}
        password.widget.attrs = {"autocomplete": "current-password"}
        password.help_text = ""

    def login(self, request, redirect_url=None):
        answer = super().login(request, redirect_url)
        end_some_day(request)  # each use would put off the end that allauth has set just now
        return answer


class _CountedCode:
    """Codes are guessed no more often than passwords, and both are counted together."""

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
        request, tried = context.request, {"email": self.user.email}
        if not AxesProxyHandler.is_allowed(request, tried):
            request.axes_locked_out, request.axes_credentials = True, tried
            raise forms.ValidationError(AccountAdapter.error_messages["too_many_login_attempts"])
        code = super().clean_code()
        if not _is_new(self.user, code):
            raise forms.ValidationError(AccountAdapter.error_messages["incorrect_code"])
        return code


def _is_new(user, code: str) -> bool:
    """Whether the code is used for the first time. allauth remembers it for half a minute only."""
    periods = 2 * app_settings.TOTP_TOLERANCE + 1  # before, during and after its own
    key = f"code-used:{user.id}:{normalize_user_code(code)}"
    return cache.add(key, 1, timeout=periods * app_settings.TOTP_PERIOD)


class CodeForm(_CountedCode, AuthenticateForm):
    """The second step of signing in."""


class CodeAgainForm(_CountedCode, ReauthenticateForm):
    """A code in place of the password, before something that matters."""


class _AnyJson(json.JSONDecoder):
    """Says of all it cannot read that it is no JSON: also of endless numbers and deep nesting."""

    def decode(self, text):
        try:
            return super().decode(text)
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from None


class _Key:
    """A passkey's answer comes from a browser's script, or from anybody: it may be anything."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["credential"].decoder = _AnyJson

    def clean_credential(self):
        try:
            read = getattr(super(), "clean_credential", lambda: self.cleaned_data["credential"])
            return read()
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._refusal() from None

    def clean(self):
        try:
            return super().clean()
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._refusal() from None

    def _refusal(self):
        return forms.ValidationError("The passkey did not work. Try again, or use another way.")


class KeySignInForm(_Key, LoginWebAuthnForm):
    """A passkey alone."""


class KeyForm(_Key, AuthenticateWebAuthnForm):
    """A passkey as the second step."""


class KeyAgainForm(_Key, ReauthenticateWebAuthnForm):
    """A passkey in place of the password, before something that matters."""


class AddKeyForm(_Key, AddWebAuthnForm):
    """A new passkey."""

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


class AddressForm(AddEmailForm):
    """Another e-mail address, which takes the present one's place once it is proved."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "New address"
        self.fields["email"].widget.attrs = {"autocomplete": "email", "type": "email"}

    def save(self, request):
        # In development nobody proved the present one. It would be dropped at once, and with it
        # what the person signs in with.
        present = EmailAddress.objects.filter(user=self.user, email=self.user.email)
        present.update(verified=True, primary=True)
        return super().save(request)
