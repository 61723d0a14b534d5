"""The languages of public pages, and how each formats times. Money looks the same in all of them.

The browser's Accept-Language decides until the reader chooses a language, which a cookie keeps.
"""

import datetime

from django.conf import settings
from django.utils import dates, timezone, translation
from django.utils.translation.trans_real import parse_accept_lang_header

NAMES = {"en": "English", "es": "Español"}
COOKIE = "language"
_DEFAULT = "en"
_YEAR_SECONDS = 365 * 24 * 3600


def day(moment: datetime.datetime) -> str:
    """Format a date in the current time zone, such as 3 Nov 2026, in the active language."""
    local = timezone.localtime(moment)
    is_spanish = translation.get_language() == "es"
    month = dates.MONTHS_3[local.month].lower() if is_spanish else f"{local:%b}"
    return f"{local.day} {month} {local.year}"


def minute(moment: datetime.datetime) -> str:
    """Format a minute in the current time zone. Adds "UTC" if that is the zone."""
    local = timezone.localtime(moment)
    zone = " UTC" if str(local.tzinfo) == "UTC" else ""
    return f"{day(moment)}, {local:%H:%M}{zone}"


def of(request) -> str:
    """Return a reader's language: the chosen one, else the first that the browser accepts."""
    chosen = request.COOKIES.get(COOKIE, "")
    if chosen in NAMES:
        return chosen
    accepted = parse_accept_lang_header(request.headers.get("Accept-Language", "")[:500])
    codes = (tag.partition("-")[0] for tag, quality in accepted if quality > 0)
    return next((code for code in codes if code in NAMES), _DEFAULT)


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
