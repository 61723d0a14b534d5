"""Forms of pages: they check form, services decide."""

import re

from django import forms

from wallgent import ids, money
from wallgent.errors import DomainError, IdempotencyKeyReuse, InvalidAmount

# Commas between thousands, and nowhere else: "12,5" is a question, not 125.
_THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", re.ASCII)


class PageForm(forms.Form):
    """A form that is carried out once: `submission` is its one-time key."""

    required_css_class = "required"
    # The fields that a refusal's own names mean; what is not named is shown above the form.
    refusal_fields: dict[str, str] = {}

    submission = forms.RegexField(r"^sub_[0-9A-HJKMNP-TV-Z]{26}$", widget=forms.HiddenInput)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["submission"].initial = ids.new("sub")
        # A page kept from before, or a program: give it a key rather than an error nobody sees.
        if self.is_bound and not self.data.get(self.add_prefix("submission")):
            self.renew()

    def renew(self) -> None:
        """Take a new one-time key: the next submission is another one."""
        self.data = self.data.copy()
        self.data[self.add_prefix("submission")] = ids.new("sub")

    def refuse(self, error: DomainError) -> None:
        """Show why the service refused, beside the field it names or above the form."""
        if isinstance(error, IdempotencyKeyReuse):
            self.renew()
            self.add_error(
                None,
                "You sent this form before with other details, and that was carried out. Look at"
                " what it did; if you want this as well, send it again.",
            )
            return
        named = [self.refusal_fields.get(name, name) for name in error.details.get("fields", {})]
        if isinstance(error, InvalidAmount) and "amount" in self.fields:
            named = ["amount"]
        field = next((name for name in named if name in self.fields), None)
        self.add_error(field, error.message)


class AmountField(forms.CharField):
    """A positive amount of money with at most 8 decimals, as a person types it: a Decimal."""

    def __init__(self, **options):
        # A number input would step, scroll, and drop what it cannot read.
        attributes = {"inputmode": "decimal", "autocomplete": "off"}
        super().__init__(max_length=40, widget=forms.TextInput(attrs=attributes), **options)

    def clean(self, value):
        text = super().clean(value)
        if not text:
            return None
        text = text.removeprefix("$").strip()
        try:
            amount = money.read(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
        except InvalidAmount:
            amount = money.ZERO
        if amount <= 0:
            raise forms.ValidationError(
                "Write an amount above zero, such as 25.00, with at most 8 decimals."
            )
        return amount
