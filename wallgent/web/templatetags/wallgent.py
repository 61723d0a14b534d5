"""The tags that every page may use. Their markup is in templates/components/."""

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

from wallgent import money as amounts
from wallgent.web import pages, preferences
from wallgent.web.templatetags.statuses import Look, look_of

register = template.Library()

_ICONS = Path(settings.BASE_DIR) / "templates" / "icons"
_CHECKBOXES = forms.CheckboxSelectMultiple
_MINUS = "\N{MINUS SIGN}"
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
    """The request, also inside of an include with `only`, and on pages for faults."""
    return getattr(context, "request", None) or context.get("request")


@register.simple_tag(takes_context=True)
def to(context, name, **arguments) -> str:
    """The path of a dashboard page in the current organization and environment."""
    return pages.to(_request_of(context), name, **arguments)


@register.simple_tag(takes_context=True)
def place(context, **elsewhere) -> str:
    """The same list in another environment, or another organization's overview."""
    request = _request_of(context)
    match = request.resolver_match
    stays = "organization" not in elsewhere and set(match.kwargs) == {"organization", "environment"}
    return pages.to(request, match.view_name if stays else "overview", **elsewhere)


@register.inclusion_tag("components/organizations.html", takes_context=True)
def organizations(context) -> dict:
    """The organization one acts for, and the way to the others one belongs to."""
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
    """The viewer's theme on <html>; without one the device decides."""
    request = _request_of(context)
    theme = preferences.theme_of(request) if request else ""
    return format_html(' data-theme="{}"', theme) if theme else mark_safe("")


@register.inclusion_tag("components/theme.html", takes_context=True)
def theme_choice(context) -> dict:
    """Buttons for light, dark, and whatever the device says."""
    request = _request_of(context)
    return {
        "chosen": preferences.theme_of(request),
        "here": request.get_full_path() if request.method == "GET" else request.path,
        "csrf_token": context.get("csrf_token"),
        "choices": [
            ("", "Device", "monitor"),
            ("light", "Light", "sun"),
            ("dark", "Dark", "moon"),
        ],
    }


@register.simple_tag
def asset(path: str) -> str:
    """The address of a file of static/, which changes when the file does."""
    version = _digest(path) if not settings.DEVELOPMENT else _digest.__wrapped__(path)
    return f"{static(path)}?v={version}"


@cache
def _digest(path: str) -> str:
    return hashlib.sha256(Path(finders.find(path)).read_bytes()).hexdigest()[:12]


@register.simple_tag
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """An icon. It says nothing to screen readers unless it has a label."""
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
    """An amount with its currency, never rounded: 2 to 8 decimals, a comma each three digits.

    `direction` "in" or "out" adds a plus or a minus sign to a positive amount; `signed` takes both
    from the amount's own sign.
    """
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise TypeError(f"Money is a Decimal, not {type(amount).__name__}.")
    amount = Decimal(amount)
    if signed and amount:
        direction = "in" if amount > 0 else "out"
    is_negative = amount < 0 or (direction == "out" and amount != 0)
    sign = _MINUS if is_negative else "+" if direction == "in" and amount else ""
    return format_html(
        '<span class="money{}">{}{} <span class="money-unit">{}</span></span>',
        " money-in" if sign == "+" else "",
        sign,
        _grouped(abs(amount)),
        currency,
    )


def _grouped(amount: Decimal) -> str:
    whole, fraction = amounts.amount_text(amount).split(".")
    return f"{int(whole):,}.{fraction}"


@register.filter
def grouped(number: int) -> str:
    """A count of many things, with a comma each three digits."""
    return f"{number:,}"


@register.simple_tag
def when(moment: datetime.datetime | None, date_only: bool = False, none: str = "Never"):
    """A moment in the viewer's zone where it is known, else in UTC, which is then said."""
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
def status(value: str) -> dict:
    """The badge of a state of anything, in words, with an icon of its own."""
    look: Look = look_of(str(value or ""))
    return {"look": look}


@register.inclusion_tag("components/field.html")
def field(bound, prefix="", suffix="", columns=False, optional=True) -> dict:
    """A form's field: label, help, control and errors, tied together for screen readers.

    `optional` says so of a field that may stay empty; `columns` sets choices side by side.
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
        # Several checkboxes are a kind of RadioSelect to Django, but not the other way round.
        "choice_class": "checkbox" if isinstance(widget, _CHECKBOXES) else "radio",
    }


@register.inclusion_tag("components/errors.html")
def errors(form) -> dict:
    """What is wrong with a form, at its top: each problem leads to its field."""
    wrong = [bound for bound in form if bound.errors and not bound.is_hidden]
    hidden = [error for bound in form.hidden_fields() for error in bound.errors]
    return {"general": [*form.non_field_errors(), *hidden], "fields": wrong}


@register.inclusion_tag("components/copy.html")
def copy(text: str, label: str = "Copy", visible: bool = False) -> dict:
    """A button that copies a text and says so. Without a script it is not there."""
    return {"text": text, "label": label, "visible": visible}


@register.inclusion_tag("components/qr.html")
def qr(text: str, label: str = "") -> dict:
    """A text as a QR code, with the text itself beneath for whoever cannot scan it."""
    return {"text": text, "label": label, "drawing": qr_drawing(text)}


@register.simple_tag
def qr_drawing(text: str) -> SafeString:
    """A text as the drawing of a QR code, for markup that says itself what it is."""
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
    """Bars of money in and out (wallgent.charts.bars), and the same numbers as a table."""
    return {"chart": drawn, "title": title, "id": id}


@register.inclusion_tag("components/confirm.html", takes_context=True)
def confirm(context, url, label, title, text, **options) -> dict:
    """A button whose dialog asks once more. Without a script the link leads to the page `url`.

    Options: id (one on each page), verb (the button that does it, else `label`), danger, icon,
    form (its hidden fields are sent along), size ("sm").
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
