"""Public pages of any kind of object. Those of payment links prove the rest over HTTP."""

import pytest
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpResponse
from django.test import RequestFactory

from wallgent.errors import NotFound, RateLimitExceeded
from wallgent.web import public_pages


class Visit(public_pages.PublicVisit):
    session_name = "checkout"

    def __init__(self, request, subject_id):
        self.request, self._id = request, subject_id

    @property
    def subject_id(self):
        return self._id


@pytest.fixture
def request_of():
    session = SessionStore()

    def request_of(method="GET", **headers):
        request = RequestFactory().generic(method, "/checkout/x", headers=headers)
        request.session = session
        return request

    return request_of


class TestSessionData:
    def test_next_request_finds_what_was_saved_for_the_same_object(self, request_of):
        Visit(request_of(), "one").save_step(email="ada@example.com", draft="sealed")
        Visit(request_of(), "one").save_step(draft=None, claim="clm_1")

        saved = Visit(request_of(), "one").session_data
        assert saved == {"email": "ada@example.com", "claim": "clm_1"}
        assert Visit(request_of(), "two").session_data == {}

    def test_session_keeps_the_objects_visited_last(self, request_of):
        for number in range(21):
            Visit(request_of(), str(number)).save_step(email="ada@example.com")

        assert Visit(request_of(), "0").session_data == {}
        assert Visit(request_of(), "1").session_data
        assert Visit(request_of(), "20").session_data


class TestSealing:
    def test_sealed_data_opens_as_its_kind_for_its_object_only(self, request_of):
        visit = Visit(request_of(), "one")
        sealed = visit.seal("draft", {"account_number": "123456"})

        assert "123456" not in sealed
        assert visit.unseal("draft", sealed) == {"account_number": "123456"}
        assert visit.unseal("mandate", sealed) is None
        assert Visit(request_of(), "two").unseal("draft", sealed) is None
        assert visit.unseal("draft", f"{sealed}x") is None


class TestPublicPage:
    @staticmethod
    def page(view, *methods):
        return public_pages.public_page(*methods, error_template="links/pay_page/fault.html")(view)

    def test_is_neither_cached_nor_indexed_and_names_its_language(self, request_of):
        page = self.page(lambda request: HttpResponse("Hola"), "GET")

        answer = page(request_of(**{"Accept-Language": "es"}))

        assert answer.headers["Content-Language"] == "es"
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Robots-Tag"].startswith("noindex")
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))

    def test_form_without_a_token_is_refused_in_the_readers_language(self, request_of):
        page = self.page(lambda request: HttpResponse("done"), "POST")

        answer = page(request_of("POST", **{"Accept-Language": "es"}))

        assert answer.status_code == 403
        assert b"done" not in answer.content
        assert answer.headers["Content-Language"] == "es"

    def test_other_methods_are_refused(self, request_of):
        assert (
            self.page(lambda request: HttpResponse(), "GET")(request_of("POST")).status_code == 405
        )

    def test_errors_of_the_view_become_pages(self, request_of):
        def refuse(error):
            def view(request):
                raise error

            return self.page(view, "GET")(request_of())

        too_many = RateLimitExceeded()
        too_many.headers = {"Retry-After": "30"}

        assert refuse(NotFound()).status_code == 404
        assert refuse(too_many).status_code == 429
        assert refuse(too_many).headers["Retry-After"] == "30"


class TestRates:
    def test_each_object_has_limits_of_its_own(self, request_of, monkeypatch):
        monkeypatch.setattr(public_pages, "READS", 1)
        public_pages.check_rate(request_of(), name="checkout", subject_id="one")

        with pytest.raises(RateLimitExceeded):
            public_pages.check_rate(request_of(), name="checkout", subject_id="one")
        public_pages.check_rate(request_of(), name="checkout", subject_id="two")
        public_pages.check_rate(request_of(), name="invoice", subject_id="one")
        public_pages.check_rate(request_of("POST"), name="checkout", subject_id="one")

    def test_all_unknown_urls_share_one_limit(self, request_of, monkeypatch):
        monkeypatch.setattr(public_pages, "UNKNOWN", 1)
        public_pages.check_unknown_rate(request_of(), name="checkout")

        with pytest.raises(RateLimitExceeded):
            public_pages.check_unknown_rate(request_of(), name="checkout")
