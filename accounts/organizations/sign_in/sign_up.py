"""Signing up: a person and their organization, or the one that invites them, at once or not."""

from allauth.account import app_settings
from allauth.account.forms import SignupForm
from allauth.core import context
from django import forms
from django.contrib import messages
from django.contrib.auth import password_validation
from django.db import IntegrityError, transaction
from django.shortcuts import redirect

from accounts.organizations.models import Organization, User
from accounts.organizations.pages.invitations import invitation_of, origin_of, page_of
from accounts.organizations.services import users
from accounts.organizations.sign_in import adapters
from accounts.organizations.sign_in.forms import ADVICE
from wallgent.errors import DomainError


class _NameField(forms.CharField):
    """A name in any script, on one line."""

    def clean(self, value):
        return " ".join(super().clean(value).split())


class SignUpForm(SignupForm):
    """Name, address, password, and the organization's name unless one invites."""

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
        if found := invitation_of(context.request):
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
        if "password1" in cleaned:  # once more, now that the name is known
            person = User(email=cleaned.get("email", ""), name=cleaned.get("name", ""))
            try:
                password_validation.validate_password(cleaned["password1"], person)
            except forms.ValidationError as error:
                self.add_error("password1", error)
        return cleaned

    def try_save(self, request):
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:  # somebody took the address at the same moment
            self.account_already_exists = True
        except DomainError:  # somebody took the invitation back: its page says what to do
            return None, redirect(page_of(self.token))
        if app_settings.EMAIL_VERIFICATION == app_settings.EmailVerificationMethod.MANDATORY:
            return super().try_save(request)
        messages.error(request, adapters.AccountAdapter.error_messages["email_taken"])
        return None, redirect("account_login")

    def signup(self, request, user):
        users.settle_in(
            user,
            organization=self.cleaned_data.get("organization", ""),
            token=self.token,
            origin=origin_of(request),
        )
