"""Fields and parsers for the forms of payment links."""

import re
from datetime import date, datetime, time, timedelta

from django import forms
from django.core.validators import validate_email
from django.utils import timezone

from links.payment_links.models.payment_links import EMAIL_LENGTH
from wallgent import ids
from wallgent.mail import addresses

_RECIPIENTS = 100  # lines in a restriction


class ProseField(forms.CharField):
    """A text of several lines. Line breaks count as one character, as in the browser."""

    def to_python(self, value):
        return super().to_python(value).replace("\r\n", "\n")


class LineListField(forms.CharField):
    """A list of short texts, one per line, without duplicates. `parse` converts each of them."""

    def __init__(self, *, parse, **options):
        widget = forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, max_length=60_000, **options)
        self._parse = parse

    def clean(self, value):
        lines = [line.strip() for line in re.split(r"[\r\n,;]+", super().clean(value))]
        unique = list(dict.fromkeys(line for line in lines if line))
        if len(unique) > _RECIPIENTS:
            raise forms.ValidationError(f"Give at most {_RECIPIENTS}.")
        return [self._parse(line) for line in unique]


_EARLIEST, _LATEST = date(1970, 1, 3), date(9999, 12, 29)  # time zones shift by up to a day


def day() -> forms.DateInput:
    """A widget for a date."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


def start_of(day: date) -> datetime:
    """The start of a day in the viewer's time zone."""
    return timezone.make_aware(datetime.combine(min(max(day, _EARLIEST), _LATEST), time.min))


def end_of(day: date) -> datetime:
    """The start of the next day in the viewer's time zone."""
    return start_of(min(day, _LATEST) + timedelta(days=1))


def email(line: str) -> str:
    """Parse an email. Raises ValidationError."""
    address = addresses.normalize(line)
    try:
        validate_email(address)
    except forms.ValidationError:
        raise forms.ValidationError(f"“{line[:80]}” is not an e-mail address.") from None
    if len(address) > EMAIL_LENGTH:
        raise forms.ValidationError(f"“{line[:80]}…” is too long for an e-mail address.")
    return address


def wallet_id(line: str) -> str:
    """Parse a wallet id. Raises ValidationError."""
    if ids.parse(line, "wal") is None:
        raise forms.ValidationError(
            f"“{line[:80]}” is not a wallet id. One begins with wal_ and is 30 characters long."
        )
    return line
