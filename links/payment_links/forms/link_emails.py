"""The form that sends a link by email."""

from django import forms

from links.payment_links.forms import fields
from wallgent.errors import DomainError
from wallgent.mail import addresses, plain_text
from wallgent.web.forms import PageForm

MESSAGE_LENGTH = 500


class LinkEmailForm(PageForm):
    """The recipient of the link and a message to them."""

    email = forms.CharField(
        label="E-mail address",
        max_length=addresses.MAX_LENGTH,
        error_messages={"required": "Type the address that the link is to be sent to."},
        widget=forms.TextInput(
            attrs={"type": "email", "inputmode": "email", "autocomplete": "off"}
        ),
    )
    message = fields.ProseField(
        label="Message",
        required=False,
        max_length=MESSAGE_LENGTH,
        help_text="A few words of your own. They are quoted, with your organization's name.",
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
    )

    def clean_email(self):
        return fields.email(self.cleaned_data["email"])

    def clean_message(self):
        message = self.cleaned_data["message"]
        if plain_text.contains_url(message):
            raise forms.ValidationError(
                "Leave addresses of pages out. The letter holds the link, and no other."
            )
        return message

    def refuse(self, error: DomainError) -> None:
        is_about_address = error.code == "VALIDATION_ERROR"
        self.add_error("email" if is_about_address else None, error.message)
