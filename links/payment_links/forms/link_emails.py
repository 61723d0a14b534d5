"""The form that sends a link by e-mail."""

from django import forms

from links.payment_links.forms import fields
from links.payment_links.models.payment_links import EMAIL_LENGTH
from wallgent.errors import DomainError
from wallgent.mail import emails
from wallgent.web.forms import PageForm

MESSAGE_LENGTH = 500


class LetterForm(PageForm):
    """Whom the link is sent to, and with which words."""

    email = forms.CharField(
        label="E-mail address",
        max_length=EMAIL_LENGTH,
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
        if emails.holds_address(message):
            raise forms.ValidationError(
                "Leave addresses of pages out. The letter holds the link, and no other."
            )
        return message

    def refuse(self, error: DomainError) -> None:
        is_about_address = error.code == "VALIDATION_ERROR"
        self.add_error("email" if is_about_address else None, error.message)
