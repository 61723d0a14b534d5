"""The language of public pages, and its formats of times."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone, translation

from wallgent.web import languages


def reader(header="", cookie=None):
    request = RequestFactory().get("/", headers={"Accept-Language": header} if header else {})
    if cookie is not None:
        request.COOKIES[languages.COOKIE] = cookie
    return languages.of(request)


class TestLanguageOfReader:
    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("", "en"),
            ("es", "es"),
            ("es-MX,es;q=0.9,en;q=0.8", "es"),
            ("de, es;q=0.5, en;q=0.9", "en"),
            ("en;q=0, es;q=0.1", "es"),
            ("es-419", "es"),
            ("ES-es", "es"),
            ("zh-Hant-TW", "en"),
            ("est", "en"),
            ("*", "en"),
            ("\x00;q=nonsense, ,,;", "en"),
            ("es" * 5000, "en"),
        ],
    )
    def test_accept_language_decides(self, header, language):
        assert reader(header) == language

    def test_chosen_language_replaces_the_browsers(self):
        assert reader("en-US", cookie="es") == "es"
        assert reader("es-ES", cookie="en") == "en"
        assert reader("es-ES", cookie="xx") == "es"

    def test_choice_is_saved_in_a_cookie(self):
        response = HttpResponse()
        languages.save_choice(response, "es")

        assert response.cookies[languages.COOKIE].value == "es"


class TestTime:
    AT = datetime(2026, 1, 3, 17, 5, tzinfo=UTC)

    def test_time_without_a_zone_is_named_utc(self):
        assert languages.minute(self.AT) == "3 Jan 2026, 17:05 UTC"

    def test_time_is_in_the_readers_zone_and_language(self):
        with timezone.override(ZoneInfo("America/Mexico_City")), translation.override("es"):
            assert languages.minute(self.AT) == "3 ene 2026, 11:05"
