"""The languages of public pages, and how each formats money and times.

The browser's Accept-Language decides until the reader chooses a language, which a cookie keeps.
"""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.utils import dates, timezone, translation
from django.utils.translation.trans_real import parse_accept_lang_header

from wallgent import money

NAMES = {"en": "English", "es": "Español"}
COOKIE = "language"
_YEAR_SECONDS = 365 * 24 * 3600
# Regions in which Spanish has a decimal comma. The others have a point (CLDR 45).
_COMMA_REGIONS = {"", "AR", "BO", "CL", "CO", "CR", "EC", "ES", "GQ", "PY", "UY", "VE"}
_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Locale:
    """A language and the region that the reader's browser names with it."""

    code: str = "en"
    region: str = ""

    @property
    def has_comma(self) -> bool:
        """Whether the decimal separator is a comma."""
        return self.code == "es" and self.region in _COMMA_REGIONS

    def number(self, amount: Decimal) -> str:
        """Format an amount without rounding: 2 to 8 decimals, digits grouped by three."""
        whole, fraction = money.amount_text(abs(amount)).split(".")
        grouped, point = f"{int(whole):,}", "."
        if self.has_comma:
            # Spanish with points between thousands does not group four digits.
            grouped = grouped.replace(",", ".") if len(whole) > 4 else str(int(whole))
            point = ","
        return f"{'-' if amount < 0 else ''}{grouped}{point}{fraction}"

    def money(self, amount: Decimal, currency: str) -> str:
        """Format an amount with its currency, without a line break between them."""
        return f"{self.number(amount)}{_SPACE}{currency}"

    def day(self, moment: datetime.datetime) -> str:
        """Format a date in the current time zone, such as 3 Nov 2026, in the active language."""
        local = timezone.localtime(moment)
        month = dates.MONTHS_3[local.month].lower() if self.code == "es" else f"{local:%b}"
        return f"{local.day} {month} {local.year}"

    def minute(self, moment: datetime.datetime) -> str:
        """Format a minute in the current time zone. Adds "UTC" if that is the zone."""
        local = timezone.localtime(moment)
        zone = " UTC" if str(local.tzinfo) == "UTC" else ""
        return f"{self.day(moment)}, {local:%H:%M}{zone}"


_ENGLISH = Locale()
_current: ContextVar[Locale] = ContextVar("locale", default=_ENGLISH)


@contextmanager
def override(locale: Locale) -> Iterator[None]:
    """Use a reader's language for texts and amounts inside the block."""
    token = _current.set(locale)
    try:
        with translation.override(locale.code):
            yield
    finally:
        _current.reset(token)


def current() -> Locale:
    """Return the reader's locale on a public page, elsewhere English."""
    return _current.get()


def of(request) -> Locale:
    """Return a reader's locale: the chosen language, else the first that the browser accepts."""
    accepted = _accepted(request.headers.get("Accept-Language", ""))
    chosen = request.COOKIES.get(COOKIE, "")
    if chosen in NAMES:
        return next((locale for locale in accepted if locale.code == chosen), Locale(chosen))
    return accepted[0] if accepted else Locale()


def _accepted(header: str) -> list[Locale]:
    found = []
    for tag, quality in parse_accept_lang_header(header[:500]):
        code, *rest = tag.split("-")
        if code in NAMES and quality > 0:
            region = next((part.upper() for part in rest if len(part) in (2, 3)), "")
            found.append(Locale(code, region))
    return found


def save_choice(response, code: str) -> None:
    """Save the language that the reader chose in a cookie."""
    assert code in NAMES
    response.set_cookie(
        COOKIE,
        code,
        max_age=_YEAR_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
        httponly=True,
    )
