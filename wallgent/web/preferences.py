"""What a viewer chose, or their browser told: colours and time zone. Cookies, so no account needed.

A zone's name is looked up among the zones there are, so nothing hostile reaches the disk.
"""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.http import HttpResponseRedirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

THEMES = ("light", "dark")
_YEAR_SECONDS = 365 * 24 * 3600


class ZoneMiddleware:
    """Shows and reads times in the viewer's zone, which page.js puts into a cookie; else in UTC."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        with timezone.override(zone_of(request)):
            return self.get_response(request)


def zone_of(request) -> ZoneInfo:
    """The viewer's zone. Support staff look at UTC, as the logs do."""
    name = request.COOKIES.get("timezone", "")
    if request.path_info.startswith("/admin/") or name not in _zones():
        name = "UTC"
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def theme_of(request) -> str:
    """The theme that the viewer chose, or nothing: then the device decides."""
    chosen = request.COOKIES.get("theme", "")
    return chosen if chosen in THEMES else ""


@require_POST
def theme(request):
    """Keep the chosen theme and go back to where the viewer was."""
    response = HttpResponseRedirect(_back(request))
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


def _back(request) -> str:
    """The page that the form stood on, if it is one of ours."""
    target = request.POST.get("next", "")
    return target if url_has_allowed_host_and_scheme(target, allowed_hosts=None) else "/"
