"""Base classes of page forms. They check the form of input; services check the rules."""

import re

from django import forms

from wallgent import ids, money
from wallgent.errors import DomainError, IdempotencyKeyReuse, InvalidAmount

# Commas between thousands only, because "12,5" may mean 12.5 or 125.
_THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", re.ASCII)


class PageForm(forms.Form):
    """A form that is carried out at most once: `submission` is its one-time key."""

    required_css_class = "required"
    # Field names by the names that errors use. Errors about other fields are shown above the form.
    refusal_fields: dict[str, str] = {}

    submission = forms.RegexField(r"^sub_[0-9A-HJKMNP-TV-Z]{26}$", widget=forms.HiddenInput)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["submission"].initial = ids.new("sub")
        # A page from an older version, or a program, sends no key. An error about a hidden field
        # would not be visible, so the form gets a new key.
        if self.is_bound and not self.data.get(self.add_prefix("submission")):
            self.renew()

    def renew(self) -> None:
        """Set a new one-time key, so that the next submission is a new one."""
        self.data = self.data.copy()
        self.data[self.add_prefix("submission")] = ids.new("sub")

    def refuse(self, error: DomainError) -> None:
        """Show a service's error beside the field it names, or above the form."""
        if isinstance(error, IdempotencyKeyReuse):
            self.renew()
            self.add_error(
                None,
                "You sent this form before with other details, and that was carried out. Look at"
                " what it did; if you want this as well, send it again.",
            )
            return
        names = [self.refusal_fields.get(name, name) for name in error.details.get("fields", {})]
        if isinstance(error, InvalidAmount) and "amount" in self.fields:
            names = ["amount"]
        field = next((name for name in names if name in self.fields), None)
        self.add_error(field, error.message)


class AmountField(forms.CharField):
    """A positive amount of money with at most 8 decimals, as a Decimal."""

    def __init__(self, **options):
        # A number input changes its value on scrolling and drops text that it cannot read.
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
