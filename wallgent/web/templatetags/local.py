"""Template tags of public pages: money and times in the reader's locale."""

import datetime
from decimal import Decimal

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from wallgent import clock
from wallgent.web import languages

register = template.Library()

# By minimum number of characters, from what fits into a line on a phone of 360 pixels.
_LONG = {" money-longer": 22, " money-long": 13}


def _locale(context) -> languages.Locale:
    request = getattr(context, "request", None) or context.get("request")
    return getattr(request, "locale", None) or languages.Locale()


@register.simple_tag(takes_context=True)
def amount(context, value: Decimal, currency: str) -> SafeString:
    """Render an amount with its currency, without rounding.

    A long amount gets a smaller font, because one that is broken across lines could be misread.
    """
    number = _locale(context).number(value)
    size = next((name for name, longer in _LONG.items() if len(number) > longer), "")
    return format_html(
        '<span class="money{}">{} <span class="money-unit">{}</span></span>',
        size,
        number,
        currency,
    )


@register.simple_tag(takes_context=True)
def amount_words(context, value: Decimal, currency: str) -> str:
    """Return an amount with its currency as plain text."""
    return _locale(context).money(value, currency)


@register.simple_tag(takes_context=True)
def moment(context, at: datetime.datetime) -> SafeString:
    """Render a minute in the reader's time zone if it is known, else in UTC, which is named."""
    return format_html(
        '<time datetime="{}" data-when="minute" data-zone="{}">{}</time>',
        at.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        timezone.localtime(at).tzinfo,
        _locale(context).minute(at),
    )


@register.simple_tag(takes_context=True)
def countdown(context, at: datetime.datetime, owner) -> SafeString:
    """Render a deadline by its owner's clock. A script counts down the remaining time."""
    left = max(0, int((at - clock.now(owner)).total_seconds()))
    return format_html('<span data-countdown="{}">{}</span>', left, moment(context, at))
