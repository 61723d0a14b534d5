"""The languages of pages for strangers, and how each writes money and times.

The browser says which one (Accept-Language) until the reader chooses: then a cookie does.
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
# Where Spanish is written with a decimal comma; elsewhere in America it is a point (CLDR 45).
_COMMA = {"", "AR", "BO", "CL", "CO", "CR", "EC", "ES", "GQ", "PY", "UY", "VE"}
_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Locale:
    """A language, and the region that the reader's browser names with it."""

    code: str = "en"
    region: str = ""

    @property
    def has_comma(self) -> bool:
        """Whether decimals stand behind a comma."""
        return self.code == "es" and self.region in _COMMA

    def number(self, amount: Decimal) -> str:
        """An amount, never rounded: 2 to 8 decimals, grouped by three."""
        whole, fraction = money.amount_text(abs(amount)).split(".")
        grouped, point = f"{int(whole):,}", "."
        if self.has_comma:
            # Four digits stay together in Spanish with points between thousands.
            grouped = grouped.replace(",", ".") if len(whole) > 4 else str(int(whole))
            point = ","
        return f"{'-' if amount < 0 else ''}{grouped}{point}{fraction}"

    def money(self, amount: Decimal, currency: str) -> str:
        """An amount with its currency, in one piece."""
        return f"{self.number(amount)}{_SPACE}{currency}"

    def day(self, moment: datetime.datetime) -> str:
        """A day in the current zone, such as 3 Nov 2026. Months are in the active language."""
        local = timezone.localtime(moment)
        month = dates.MONTHS_3[local.month].lower() if self.code == "es" else f"{local:%b}"
        return f"{local.day} {month} {local.year}"

    def minute(self, moment: datetime.datetime) -> str:
        """A minute in the current zone, which is named where it is UTC."""
        local = timezone.localtime(moment)
        zone = " UTC" if str(local.tzinfo) == "UTC" else ""
        return f"{self.day(moment)}, {local:%H:%M}{zone}"


_ENGLISH = Locale()
_spoken: ContextVar[Locale] = ContextVar("locale", default=_ENGLISH)


@contextmanager
def speaking(locale: Locale) -> Iterator[None]:
    """Words, and the amounts among them, are the reader's while this lasts."""
    token = _spoken.set(locale)
    try:
        with translation.override(locale.code):
            yield
    finally:
        _spoken.reset(token)


def spoken() -> Locale:
    """The reader's, on a page for strangers; elsewhere English."""
    return _spoken.get()


def of(request) -> Locale:
    """The language of a reader: chosen, else the first of their browser's that there is."""
    wished = _wished(request.headers.get("Accept-Language", ""))
    chosen = request.COOKIES.get(COOKIE, "")
    if chosen in NAMES:
        return next((locale for locale in wished if locale.code == chosen), Locale(chosen))
    return wished[0] if wished else Locale()


def _wished(header: str) -> list[Locale]:
    found = []
    for tag, quality in parse_accept_lang_header(header[:500]):
        code, *rest = tag.split("-")
        if code in NAMES and quality > 0:
            region = next((part.upper() for part in rest if len(part) in (2, 3)), "")
            found.append(Locale(code, region))
    return found


def remember(response, code: str) -> None:
    """Keep the language that the reader chose."""
    assert code in NAMES
    response.set_cookie(
        COOKIE,
        code,
        max_age=_YEAR_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
        httponly=True,
    )
