"""What the forms of payment links read: texts, lists, addresses, wallet ids."""

import re
from datetime import date, datetime, time, timedelta

from django import forms
from django.core.validators import validate_email
from django.utils import timezone

from links.payment_links.models.payment_links import EMAIL_LENGTH
from links.payment_links.services import addresses
from wallgent import ids

_RECIPIENTS = 100  # lines in a restriction


class ProseField(forms.CharField):
    """A text of several lines. A line's end is one character, as in the browser's own count."""

    def to_python(self, value):
        return super().to_python(value).replace("\r\n", "\n")


class LineListField(forms.CharField):
    """Several short texts, one on each line: a list without repetitions."""

    def __init__(self, *, read, **options):
        widget = forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, max_length=60_000, **options)
        self._read = read

    def clean(self, value):
        lines = [line.strip() for line in re.split(r"[\r\n,;]+", super().clean(value))]
        found = list(dict.fromkeys(line for line in lines if line))
        if len(found) > _RECIPIENTS:
            raise forms.ValidationError(f"Give at most {_RECIPIENTS}.")
        return [self._read(line) for line in found]


_EARLIEST, _LATEST = date(1970, 1, 3), date(9999, 12, 29)  # zones reach a day beyond


def day() -> forms.DateInput:
    """A control for a day."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


def start_of(day: date) -> datetime:
    """When a day begins in the viewer's zone."""
    return timezone.make_aware(datetime.combine(min(max(day, _EARLIEST), _LATEST), time.min))


def end_of(day: date) -> datetime:
    """When the day after begins."""
    return start_of(min(day, _LATEST) + timedelta(days=1))


def email(line: str) -> str:
    address = addresses.normalized(line)
    try:
        validate_email(address)
    except forms.ValidationError:
        raise forms.ValidationError(f"“{line[:80]}” is not an e-mail address.") from None
    if len(address) > EMAIL_LENGTH:
        raise forms.ValidationError(f"“{line[:80]}…” is too long for an e-mail address.")
    return address


def wallet_id(line: str) -> str:
    if ids.parse(line, "wal") is None:
        raise forms.ValidationError(
            f"“{line[:80]}” is not a wallet id. One begins with wal_ and is 30 characters long."
        )
    return line
