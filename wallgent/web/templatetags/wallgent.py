"""Template tags of all pages. Their markup is in templates/components/."""

import datetime
import hashlib
import io
from decimal import Decimal
from functools import cache
from pathlib import Path

import segno
from django import forms, template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from wallgent import clock
from wallgent import money as amounts
from wallgent.web import pages, preferences, statuses

register = template.Library()

_ICONS = Path(settings.BASE_DIR) / "templates" / "icons"
_CHECKBOXES = forms.CheckboxSelectMultiple
# By minimum number of characters, from what fits into a line on a phone of 360 pixels.
_LONG = {" money-longer": 23, " money-long": 14}
# What a User-Agent header has, most telling first: most browsers also claim to be others.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_CONTROLS = (
    (forms.CheckboxSelectMultiple, "choices", ""),
    (forms.RadioSelect, "choices", ""),
    (forms.CheckboxInput, "checkbox", "checkbox"),
    (forms.SelectMultiple, "control", "select"),
    (forms.Select, "control", "select"),
    (forms.Textarea, "control", "textarea"),
    (forms.ClearableFileInput, "control", "file-input"),
)


def _request_of(context):
    """Return the request, also inside an include with `only` and on error pages."""
    return getattr(context, "request", None) or context.get("request")


@register.simple_tag(takes_context=True)
def to(context, name, **arguments) -> str:
    """Return the path of a dashboard page in the current organization and environment."""
    return pages.to(_request_of(context), name, **arguments)


@register.simple_tag(takes_context=True)
def place(context, **elsewhere) -> str:
    """Return the path of the same list in another environment, else of an overview."""
    request = _request_of(context)
    match = request.resolver_match
    stays = "organization" not in elsewhere and set(match.kwargs) == {"organization", "environment"}
    return pages.to(request, match.view_name if stays else "overview", **elsewhere)


@register.simple_tag(takes_context=True)
def navigation(context) -> list:
    """Return the groups of sections for components/navigation.html."""
    return pages.navigation(_request_of(context))


@register.inclusion_tag("components/settings.html", takes_context=True)
def settings_pages(context) -> dict:
    """Render the settings' navigation: those of the organization and of the user's account."""
    request = _request_of(context)
    return {"path": request.path, "organization": pages.settings_navigation(request)}


@register.inclusion_tag("components/sandbox_bar.html", takes_context=True)
def sandbox_bar(context) -> dict:
    """Render the bar of the sandbox, with its clock."""
    request = _request_of(context)
    return {
        "now": clock.now(request.actor),
        "days_ahead": clock.offset(request.actor).days,
        "may_advance": request.actor.may("organizations:write"),
        "request": request,
    }


@register.inclusion_tag("components/locked_bar.html")
def locked_bar() -> dict:
    """Render whom to ask to activate production."""
    return {"contact": settings.SUPPORT_CONTACT}


@register.inclusion_tag("components/organizations.html", takes_context=True)
def organizations(context) -> dict:
    """Render the current organization and links to the user's others."""
    request = _request_of(context)
    current = request.actor.organization
    return {
        "name": current.name,
        "choices": [
            {
                "name": membership.organization.name,
                "url": pages.to(request, "overview", organization=membership.organization_id),
                "current": membership.organization_id == current.id,
            }
            for membership in request.memberships
        ],
    }


@register.simple_tag(takes_context=True)
def theme_attribute(context) -> SafeString:
    """Return the attribute of <html> with the viewer's theme, or "" to follow the device."""
    request = _request_of(context)
    theme = preferences.theme_of(request) if request else ""
    return format_html(' data-theme="{}"', theme) if theme else mark_safe("")


@register.inclusion_tag("components/theme.html", takes_context=True)
def theme_choice(context, labels: bool = False) -> dict:
    """Render buttons for the light theme, the dark theme and the device's own."""
    request = _request_of(context)
    return {
        "chosen": preferences.theme_of(request),
        "here": request.get_full_path() if request.method == "GET" else request.path,
        "csrf_token": context.get("csrf_token"),
        "labels": labels,
        "choices": [
            ("", "Device", "monitor"),
            ("light", "Light", "sun"),
            ("dark", "Dark", "moon"),
        ],
    }


@register.simple_tag
def asset(path: str) -> str:
    """Return the URL of a static file, which changes when the file does."""
    version = _digest(path) if not settings.DEVELOPMENT else _digest.__wrapped__(path)
    return f"{static(path)}?v={version}"


@cache
def _digest(path: str) -> str:
    return hashlib.sha256(Path(finders.find(path)).read_bytes()).hexdigest()[:12]


@register.simple_tag
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """Render an icon, hidden from screen readers unless it has a label."""
    meaning = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"')
    )
    return format_html(
        '<svg class="icon{}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
        ' stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>',
        f" icon-{size}" if size else "",
        meaning,
        _drawing(name),
    )


@cache
def _drawing(name: str) -> SafeString:
    return mark_safe((_ICONS / f"{name}.svg").read_text().strip())  # noqa: S308 - our own files


@register.simple_tag
def money(amount: Decimal | int, currency: str, direction: str = "", signed: bool = False):
    """Render an amount with its currency, without rounding: see `wallgent.money.display`.

    `direction` "in" or "out" adds a plus or a minus sign to a positive amount. `signed` takes the
    direction from the sign of the amount. A long amount gets a smaller font, because one that is
    broken across lines could be misread.
    """
    sign = {"in": "+", "out": "-"}.get(direction, "+" if signed else "")
    text = amounts.display(amount, currency, sign=sign)
    size = next((name for name, longer in _LONG.items() if len(text) > longer), "")
    income = " money-in" if text.startswith("+") else ""
    return format_html('<span class="money{}{}">{}</span>', income, size, text)


@register.filter("money")
def money_text(amount: Decimal | int, currency: str) -> str:
    """Return an amount with its currency as plain text, for sentences and attributes."""
    return amounts.display(amount, currency)


@register.filter
def grouped(number: int) -> str:
    """Format a count with a comma between groups of three digits."""
    return f"{number:,}"


@register.filter
def browser_name(user_agent: str) -> str:
    """Return the browser and the system that a User-Agent header names, such as Chrome on Linux."""
    browser, system = (
        next((name for mark, name in marks if mark in user_agent), "")
        for marks in (_BROWSERS, _SYSTEMS)
    )
    return f"{browser or 'Unknown browser'}{f' on {system}' if system else ''}"


@register.simple_tag
def when(moment: datetime.datetime | None, date_only: bool = False, none: str = "Never"):
    """Render a time in the viewer's time zone if it is known, else in UTC, which is named."""
    if not moment:
        return none
    local = timezone.localtime(moment)
    is_utc = str(local.tzinfo) == "UTC"
    day = f"{local.day} {local:%b %Y}"
    text = day if date_only else f"{day}, {local:%H:%M}{' UTC' if is_utc else ''}"
    return format_html(
        '<time datetime="{}" title="{}" data-when="{}" data-zone="{}">{}</time>',
        moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        f"{local.day} {local:%B %Y, %H:%M:%S %Z}",
        "date" if date_only else "minute",
        local.tzinfo,
        text,
    )


@register.inclusion_tag("components/status.html")
def status(word: str) -> dict:
    """Render the badge of a status: its word and icon. `word` is the label of the status."""
    return {"look": statuses.look_of(word)}


@register.inclusion_tag("components/field.html")
def field(bound, prefix="", suffix="", columns=False, optional=True) -> dict:
    """Render a form field: label, help, control and errors, linked for screen readers.

    `optional` marks a field that may stay empty; `columns` shows choices side by side.
    """
    widget = bound.field.widget
    kind, css = next(
        ((kind, css) for cls, kind, css in _CONTROLS if isinstance(widget, cls)),
        ("control", "input"),
    )
    if widget.is_hidden:
        kind = "hidden"
    attributes = {"class": f"{widget.attrs.get('class', '')} {css}".strip()} if css else {}
    return {
        "field": bound,
        "kind": kind,
        "control": bound.as_widget(attrs=attributes),
        "described": " ".join(
            f"{bound.auto_id}_{part}"
            for part, there in (("helptext", bound.help_text), ("error", bound.errors))
            if there
        ),
        "is_optional": optional and not bound.field.required and kind == "control",
        "prefix": prefix,
        "suffix": suffix,
        "columns": columns,
        # Django derives CheckboxSelectMultiple from RadioSelect, so that class is checked.
        "choice_class": "checkbox" if isinstance(widget, _CHECKBOXES) else "radio",
    }


@register.inclusion_tag("components/errors.html")
def errors(form) -> dict:
    """Render a form's error summary, in which each error links to its field."""
    invalid = [bound for bound in form if bound.errors and not bound.is_hidden]
    hidden = [error for bound in form.hidden_fields() for error in bound.errors]
    return {"general": [*form.non_field_errors(), *hidden], "fields": invalid}


@register.inclusion_tag("components/copy.html")
def copy(text: str, label: str = "Copy", visible: bool = False) -> dict:
    """Render a button that copies a text. It is hidden without a script."""
    return {"text": text, "label": label, "visible": visible}


@register.inclusion_tag("components/qr.html")
def qr(text: str, label: str = "") -> dict:
    """Render a text as a QR code, with the text below it for people who cannot scan it."""
    return {"text": text, "label": label, "drawing": qr_drawing(text)}


@register.simple_tag
def qr_drawing(text: str) -> SafeString:
    """Return the SVG of a QR code, for markup that has its own label."""
    drawn = io.BytesIO()
    segno.make(text, micro=False, error="m").save(
        drawn,
        kind="svg",
        xmldecl=False,
        svgns=False,
        omitsize=True,
        border=0,
        svgclass=None,
        lineclass=None,
        dark="#000",
        light="#fff",
    )
    return mark_safe(drawn.getvalue().decode())  # noqa: S308


@register.inclusion_tag("components/chart.html")
def chart(drawn, title: str, id: str = "chart") -> dict:
    """Render bars of money in and out (`charts.bars`), and the same numbers as a table."""
    return {"chart": drawn, "title": title, "id": id}


@register.inclusion_tag("components/confirm.html", takes_context=True)
def confirm(context, url, label, title, text, **options) -> dict:
    """Render a button with a confirmation dialog. Without a script it is a link to the page `url`.

    Options: id (unique on the page), verb (the label of the confirming button, else `label`),
    danger, icon, form (whose hidden fields are sent too), size ("sm").
    """
    return {
        "url": url,
        "label": label,
        "title": title,
        "text": text,
        "id": options.get("id", "confirm"),
        "verb": options.get("verb", label),
        "csrf_token": context.get("csrf_token"),
        **{name: options.get(name) for name in ("danger", "icon", "form", "size")},
    }
