"""Sign-up: creates a user who joins a new organization or the inviting one, atomically."""

from allauth.account import app_settings
from allauth.account.forms import SignupForm
from allauth.core import context
from django import forms
from django.contrib import messages
from django.contrib.auth import password_validation
from django.db import IntegrityError, transaction
from django.shortcuts import redirect

from accounts.organizations.models import Organization, User
from accounts.organizations.pages.invitations import (
    invitation_path,
    request_origin,
    requested_invitation,
)
from accounts.organizations.services import users
from accounts.organizations.sign_in import adapters
from accounts.organizations.sign_in.forms import ADVICE
from wallgent.errors import DomainError


class _NameField(forms.CharField):
    """A name in any script, with line breaks and runs of spaces made one space."""

    def clean(self, value):
        return " ".join(super().clean(value).split())


class SignUpForm(SignupForm):
    """Asks for name, email, password, and an organization name unless the user is invited."""

    name = _NameField(
        label="Your name",
        max_length=User._meta.get_field("name").max_length,
        widget=forms.TextInput(attrs={"autocomplete": "name", "autofocus": True}),
    )
    organization = _NameField(
        label="Organization",
        max_length=Organization._meta.get_field("name").max_length,
        help_text="Its wallets, keys and people belong together. You can invite others later.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    field_order = ["name", "organization", "email", "password1"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.token, self.invitation = "", None
        if found := requested_invitation(context.request):
            self.token, self.invitation = found
            del self.fields["organization"]
        email, password = self.fields["email"], self.fields["password1"]
        email.label = "E-mail address"
        email.widget.attrs = {"autocomplete": "username", "type": "email"}
        if self.invitation:
            email.initial = self.invitation.email
            email.widget.attrs["readonly"] = True
        password.widget.attrs = {"autocomplete": "new-password"}
        password.help_text = ADVICE

    def clean_email(self):
        email = super().clean_email()
        if self.invitation and email != self.invitation.email:
            raise forms.ValidationError(f"This invitation is for {self.invitation.email}.")
        return email

    def clean(self):
        cleaned = super().clean()
        if "password1" in cleaned:  # again, now that the name is known
            user = User(email=cleaned.get("email", ""), name=cleaned.get("name", ""))
            try:
                password_validation.validate_password(cleaned["password1"], user)
            except forms.ValidationError as error:
                self.add_error("password1", error)
        return cleaned

    def try_save(self, request):
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:  # another sign-up used the address at the same time
            self.account_already_exists = True
        except DomainError:  # the invitation was revoked: its page says what to do
            return None, redirect(invitation_path(self.token))
        if app_settings.EMAIL_VERIFICATION == app_settings.EmailVerificationMethod.MANDATORY:
            return super().try_save(request)
        messages.error(request, adapters.AccountAdapter.error_messages["email_taken"])
        return None, redirect("account_login")

    def signup(self, request, user):
        users.join_organization(
            user,
            organization=self.cleaned_data.get("organization", ""),
            token=self.token,
            origin=request_origin(request),
        )
