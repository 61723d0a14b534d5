"""The forms of signing in, and of what one signs in with."""

import json
import time

from allauth.account.forms import (
    AddEmailForm,
    ChangePasswordForm,
    LoginForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
    SetPasswordForm,
    default_token_generator,
)
from allauth.account.forms import (
    ReauthenticateForm as PasswordForm,
)
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
    email_tried,
    end_some_day,
    tried_from,
)
from wallgent import credentials
from wallgent.api.json import check_count
from wallgent.errors import ValidationError

_PENDING = "pending_app"  # where a session keeps the secret of an app that is being set up
_PENDING_SECONDS = 30 * 60
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

    def clean(self):
        # Of two who use the same link at once, the second finds it used.
        person = one_time_codes.lock_person(self.user)
        if not default_token_generator.check_token(person, self.temp_key):
            raise forms.ValidationError("This link was already used. Ask for a new one.")
        return super().clean()


class ForgottenPassword(_InOurWords, ResetPasswordForm):
    """Where to send the link to."""

    words = {"email": ("E-mail address", "")}


class PasswordAgain(_InOurWords, PasswordForm):
    """The password once more, before something that matters."""

    words = {"password": ("Password", "")}


class NewApp(_InOurWords, ActivateTOTPForm):
    """The first code of an authenticator app.

    Its secret stays the same for half an hour, however often the page is loaded: the app may have
    scanned it from an earlier one. Until the app is set up the session keeps it, encrypted.
    """

    words = {"code": ("Code", "")}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        session = context.request.session
        clear_totp_secret(context.request)  # allauth's own, which is another one at each look
        kept = _pending_secret(session, self.user)
        self._is_late = kept is None
        self.secret = kept or _new_secret(session, self.user)
        self.fields["code"].widget.attrs |= {
            "autocomplete": "one-time-code",
            "inputmode": "numeric",
        }

    def clean_code(self):
        if self._is_late:
            raise forms.ValidationError(
                "The QR code expired. Scan the new one, then enter the code from your app."
            )
        return super().clean_code()


def _pending_secret(session, user) -> str | None:
    """The secret that this person was shown lately, if there is one."""
    kept = session.get(_PENDING, {})
    if kept.get("user") != user.id or kept["until"] < time.time():
        return None
    try:
        return credentials.decrypt(kept["secret"].encode())
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
    """Keep nothing of it, once the app is set up."""
    session.pop(_PENDING, None)


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
        one_time_codes.wait_for_turn(email_tried(request, tried), tried_from(request))
        if not AxesProxyHandler.is_allowed(request, tried):
            request.axes_locked_out, request.axes_credentials = True, tried
            raise forms.ValidationError(AccountAdapter.error_messages["too_many_login_attempts"])
        code = super().clean_code()
        # allauth remembers it for half a minute, and in Redis only. Recovery codes it uses up.
        is_app = self.authenticator.type == Authenticator.Type.TOTP
        if is_app and not one_time_codes.use(self.authenticator, code):
            self._emit_authentication_failed(self.authenticator)
            raise forms.ValidationError(AccountAdapter.error_messages["incorrect_code"])
        return code


class CodeForm(_CountedCode, AuthenticateForm):
    """The second step of signing in."""


class CodeAgainForm(_CountedCode, ReauthenticateForm):
    """A code in place of the password, before something that matters."""


class _AnyJson(json.JSONDecoder):
    """Says of all it cannot read that it is no JSON: also of endless numbers and deep nesting."""

    def decode(self, text):
        try:
            check_count(text.encode())
            return super().decode(text)
        except (ValueError, RecursionError, ValidationError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from None


class _Key:
    """A passkey's answer comes from a browser's script, or from anybody: it may be anything.

    A challenge is good for one answer, right or wrong: the page comes back with a new one.
    """

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
        finally:
            clear_state()

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
