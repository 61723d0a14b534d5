"""Middleware. Sessions, CSRF and the like are only for pages; the API has a minimum."""

import logging
import re
import time
from collections.abc import Callable

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

log = logging.getLogger("wallgent.request")

_CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def is_api(request) -> bool:
    """Return whether the request is for the API, which always responds in JSON."""
    return request.path_info.startswith("/v1/") or request.path_info == "/v1"


class RequestLog:
    """Gives each request an id, returns it in a header, and logs one line per response.

    The line has the route, and never the query, the body or a credential.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        started = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request.id = given if _CLIENT_REQUEST_ID.fullmatch(given) else ids.new("req")
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


def has_own_limits(view: Callable) -> Callable:
    """Leave a view out of the limits for all pages: it counts by itself, or must always answer."""
    view.has_own_limits = True
    return view


def for_pages(middleware):
    """Return a subclass of the middleware that skips requests to the API."""

    class PageMiddleware(middleware):
        def __call__(self, request):
            return self.get_response(request) if is_api(request) else super().__call__(request)

        if hasattr(middleware, "process_view"):

            def process_view(self, request, *view):
                return None if is_api(request) else super().process_view(request, *view)

    return PageMiddleware


PageSecurity = for_pages(SecurityMiddleware)
PageSessions = for_pages(SessionMiddleware)
PageCommon = for_pages(CommonMiddleware)
PageCsrf = for_pages(CsrfViewMiddleware)
PageAuthentication = for_pages(AuthenticationMiddleware)
PageMessages = for_pages(MessageMiddleware)
PageClickjacking = for_pages(XFrameOptionsMiddleware)
PagePolicy = for_pages(CSPMiddleware)
PageHtmx = for_pages(HtmxMiddleware)
PageErrors = for_pages(error_pages.ErrorPagesMiddleware)
PageLockOut = for_pages(AxesMiddleware)


class PageAccount:
    """`for_pages` for django-allauth's middleware, which is a function."""

    def __init__(self, get_response):
        self.get_response = get_response
        self._account = AccountMiddleware(get_response)

    def __call__(self, request):
        return self.get_response(request) if is_api(request) else self._account(request)

    def process_exception(self, request, exception):
        return None if is_api(request) else self._account.process_exception(request, exception)
