"""Money and times as the reader of a page for strangers writes them (wallgent.languages)."""

import datetime
from decimal import Decimal

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from wallgent import clock
from wallgent.web import languages

register = template.Library()

# From how many characters on; what a phone of 360 pixels has room for in a line.
_LONG = {" money-longer": 22, " money-long": 13}


def _locale(context) -> languages.Locale:
    request = getattr(context, "request", None) or context.get("request")
    return getattr(request, "locale", None) or languages.Locale()


@register.simple_tag(takes_context=True)
def amount(context, value: Decimal, currency: str) -> SafeString:
    """An amount with its currency, never rounded. A long one is smaller where it is large.

    Broken at the end of a line it could be read as less.
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
    """The same as plain text, for a sentence."""
    return _locale(context).money(value, currency)


@register.simple_tag(takes_context=True)
def moment(context, at: datetime.datetime) -> SafeString:
    """A minute in the reader's zone where it is known, else in UTC, which is then said."""
    return format_html(
        '<time datetime="{}" data-when="minute" data-zone="{}">{}</time>',
        at.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        timezone.localtime(at).tzinfo,
        _locale(context).minute(at),
    )


@register.simple_tag(takes_context=True)
def countdown(context, at: datetime.datetime, owner) -> SafeString:
    """Until when something waits, by its owner's clock. A script counts the time that is left."""
    left = max(0, int((at - clock.now(owner)).total_seconds()))
    return format_html('<span data-countdown="{}">{}</span>', left, moment(context, at))
