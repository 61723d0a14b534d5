"""The language of public pages, and its formats of money and times."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone, translation

from wallgent.web import languages
from wallgent.web.languages import Locale

NBSP = "\N{NO-BREAK SPACE}"


def reader(header="", cookie=None):
    request = RequestFactory().get("/", headers={"Accept-Language": header} if header else {})
    if cookie is not None:
        request.COOKIES[languages.COOKIE] = cookie
    return languages.of(request)


class TestLocaleOfReader:
    @pytest.mark.parametrize(
        ("header", "locale"),
        [
            ("", Locale("en")),
            ("es", Locale("es")),
            ("es-MX,es;q=0.9,en;q=0.8", Locale("es", "MX")),
            ("de, es;q=0.5, en;q=0.9", Locale("en")),
            ("en;q=0, es;q=0.1", Locale("es")),
            ("es-419", Locale("es", "419")),
            ("ES-es", Locale("es", "ES")),
            ("zh-Hant-TW", Locale("en")),
            ("est", Locale("en")),
            ("*", Locale("en")),
            ("\x00;q=nonsense, ,,;", Locale("en")),
            ("es" * 5000, Locale("en")),
        ],
    )
    def test_accept_language_decides(self, header, locale):
        assert reader(header) == locale

    def test_chosen_language_replaces_the_browsers(self):
        assert reader("en-US", cookie="es") == Locale("es")
        assert reader("en-US, es-MX;q=0.3", cookie="es") == Locale("es", "MX")
        assert reader("es-ES", cookie="en") == Locale("en")
        assert reader("es-ES", cookie="xx") == Locale("es", "ES")

    def test_choice_is_saved_in_a_cookie(self):
        response = HttpResponse()
        languages.save_choice(response, "es")

        assert response.cookies[languages.COOKIE].value == "es"


class TestMoney:
    @pytest.mark.parametrize(
        ("locale", "amount", "text"),
        [
            (Locale("en"), "1234567.5", "1,234,567.50"),
            (Locale("es"), "1234567.5", "1.234.567,50"),
            (Locale("es", "ES"), "1234.5", "1234,50"),
            (Locale("es", "MX"), "1234.5", "1,234.50"),
            (Locale("es", "419"), "0.125", "0.125"),
            (Locale("es", "AR"), "0.00000001", "0,00000001"),
            (Locale("es"), "-25", "-25,00"),
        ],
    )
    def test_amount_has_the_readers_format(self, locale, amount, text):
        assert locale.number(Decimal(amount)) == text

    def test_amount_is_not_broken_before_its_currency(self):
        assert Locale("es").money(Decimal("12.5"), "USD") == f"12,50{NBSP}USD"


class TestTime:
    AT = datetime(2026, 1, 3, 17, 5, tzinfo=UTC)

    def test_time_without_a_zone_is_named_utc(self):
        assert Locale("en").minute(self.AT) == "3 Jan 2026, 17:05 UTC"

    def test_time_is_in_the_readers_zone_and_language(self):
        with timezone.override(ZoneInfo("America/Mexico_City")), translation.override("es"):
            assert Locale("es", "MX").minute(self.AT) == "3 ene 2026, 11:05"
