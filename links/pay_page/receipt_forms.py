"""The forms of a claim's page."""

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from links.pay_page.forms import EMAIL_INPUT, PublicForm
from wallgent import money
from wallgent.errors import InvalidAmount
from wallgent.mail import addresses


class ReceiptForm(PublicForm):
    """The email address that a receipt is sent to."""

    email = forms.CharField(
        label=_("E-mail address"),
        max_length=addresses.MAX_LENGTH,
        error_messages={"required": _("Type where the receipt should go.")},
        widget=EMAIL_INPUT,
    )

    def clean_email(self):
        email = self.cleaned_data["email"].strip()
        try:
            validate_email(email)
        except ValidationError:
            raise ValidationError(
                _("This is not an e-mail address. One looks like you@example.com.")
            ) from None
        return email


class SimulateForm(PublicForm):
    """A simulated payment in USDC."""

    amount = forms.CharField(
        label=_("Amount"),
        max_length=40,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    chain = forms.ChoiceField(
        label=_("Network"),
        choices=[("ethereum", "Ethereum"), ("polygon", _("Polygon (a wrong one)"))],
    )

    def clean_amount(self):
        try:
            amount = money.read(self.cleaned_data["amount"].strip())
        except InvalidAmount:
            amount = money.ZERO
        if amount <= 0 or amount != amount.quantize(money.UNIT.scaleb(2)):
            raise ValidationError(_("Write an amount above zero with at most 6 decimals."))
        return amount
