"""Template tags of public pages: times in the reader's language."""

import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from wallgent import clock
from wallgent.web import languages

register = template.Library()


@register.simple_tag
def moment(at: datetime.datetime) -> SafeString:
    """Render a minute in the reader's time zone if it is known, else in UTC, which is named."""
    return format_html(
        '<time datetime="{}" data-when="minute" data-zone="{}">{}</time>',
        at.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        timezone.localtime(at).tzinfo,
        languages.minute(at),
    )


@register.simple_tag
def countdown(at: datetime.datetime, owner) -> SafeString:
    """Render a deadline by its owner's clock. A script counts down the remaining time."""
    left = max(0, int((at - clock.now(owner)).total_seconds()))
    return format_html('<span data-countdown="{}">{}</span>', left, moment(at))
