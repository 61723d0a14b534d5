"""The theme and the time zone of a viewer, kept in cookies, so they need no account.

A zone's name is checked against the known zones, because loading a zone reads a file of that name.
"""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.http import HttpResponseRedirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from wallgent.http.middleware import for_pages

THEMES = ("light", "dark")
_YEAR_SECONDS = 365 * 24 * 3600


class ZoneMiddleware:
    """Activates the viewer's time zone from the cookie that page.js sets, else UTC."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        with timezone.override(zone_of(request)):
            return self.get_response(request)


PageZone = for_pages(ZoneMiddleware)


def zone_of(request) -> ZoneInfo:
    """Return the viewer's time zone. The admin shows UTC, like the logs."""
    name = request.COOKIES.get("timezone", "")
    if request.path_info.startswith("/admin/") or name not in _zones():
        name = "UTC"
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def theme_of(request) -> str:
    """Return the theme that the viewer chose, or "" to follow the device."""
    chosen = request.COOKIES.get("theme", "")
    return chosen if chosen in THEMES else ""


@require_POST
def theme(request):
    """Save the chosen theme and redirect to the page of the form."""
    response = HttpResponseRedirect(return_path(request))
    if request.POST.get("theme") in THEMES:
        response.set_cookie(
            "theme",
            request.POST["theme"],
            max_age=_YEAR_SECONDS,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


def return_path(request) -> str:
    """Return the page of ours that the request names as `next`, else the home page."""
    target = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return target if is_ours and target.isprintable() else "/"
