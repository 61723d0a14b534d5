"""The API carries the least middleware there is; sessions, CSRF and the like belong to pages."""

import logging
import re
import time

from allauth.account.middleware import AccountMiddleware
from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django_htmx.middleware import HtmxMiddleware

from wallgent import ids, logs
from wallgent.http import error_pages
from wallgent.web import page_rates, preferences

log = logging.getLogger("wallgent.request")

_OWN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def is_api(request) -> bool:
    """Whether a program asks, and so gets JSON whatever happens."""
    return request.path_info.startswith("/v1/") or request.path_info == "/v1"


class RequestLog:
    """Gives each request an id, prints it in the answer, and logs one line an answer.

    The line holds the route, never the query, the body or a credential.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        started = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request.id = given if _OWN_ID.fullmatch(given) else ids.new("req")
        token = logs.request_id.set(request.id)
        try:
            response = self.get_response(request)
            response.headers["X-Request-Id"] = request.id
            actor = getattr(request, "actor", None)
            match = request.resolver_match
            log.info(
                "%s /%s %d",
                request.method,
                match.route if match else "?",
                response.status_code,
                extra={
                    "milliseconds": round((time.perf_counter() - started) * 1000, 1),
                    "organization": actor.organization.id if actor else None,
                    "actor": actor.id if actor else None,
                },
            )
            return response
        finally:
            logs.request_id.reset(token)


def _for_pages(middleware):
    """The same middleware, stepping aside for the API."""

    class PageMiddleware(middleware):
        def __call__(self, request):
            return self.get_response(request) if is_api(request) else super().__call__(request)

        if hasattr(middleware, "process_view"):

            def process_view(self, request, *view):
                return None if is_api(request) else super().process_view(request, *view)

    return PageMiddleware


PageSecurity = _for_pages(SecurityMiddleware)
PageSessions = _for_pages(SessionMiddleware)
PageCommon = _for_pages(CommonMiddleware)
PageCsrf = _for_pages(CsrfViewMiddleware)
PageAuthentication = _for_pages(AuthenticationMiddleware)
PageMessages = _for_pages(MessageMiddleware)
PageClickjacking = _for_pages(XFrameOptionsMiddleware)
PagePolicy = _for_pages(CSPMiddleware)
PageHtmx = _for_pages(HtmxMiddleware)
PageZone = _for_pages(preferences.ZoneMiddleware)
PageFaults = _for_pages(error_pages.FaultsMiddleware)
PageLockOut = _for_pages(AxesMiddleware)
PageRates = _for_pages(page_rates.PageRatesMiddleware)


class PageAccount:
    """As `_for_pages`, of a middleware that is a function."""

    def __init__(self, get_response):
        self.get_response = get_response
        self._account = AccountMiddleware(get_response)

    def __call__(self, request):
        return self.get_response(request) if is_api(request) else self._account(request)

    def process_exception(self, request, exception):
        return None if is_api(request) else self._account.process_exception(request, exception)
