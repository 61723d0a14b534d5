"""Pages for visitors without an account: language, CSRF check, headers, rate limits, session data.

The URL of such a page contains a secret. A GET request changes nothing; what a visitor enters on
the way is kept in their session.
"""

import json
import logging
from collections.abc import Callable
from functools import cached_property, wraps
from typing import ClassVar

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.template import loader
from django.utils import translation
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext

from wallgent import credentials
from wallgent.api import throttling
from wallgent.errors import NotFound, RateLimitExceeded
from wallgent.http.client_ip import client_network
from wallgent.http.middleware import has_own_limits
from wallgent.web import languages, pages, preferences

log = logging.getLogger("wallgent.http.error_pages")

# Per minute, of one network and object: an office may share the network.
READS = 1_200
WRITES = 300
UNKNOWN = 60  # of one network, for all URLs that do not exist

_SUBJECTS_KEPT = 20  # of one kind, in one session


class PublicVisit:
    """A visitor's request for the public pages of one object, and what the session knows of it."""

    request: HttpRequest
    session_name: ClassVar[str]  # the session's key for all objects of this kind

    @property
    def subject_id(self) -> str:
        """The ID of the object."""
        raise NotImplementedError

    @cached_property
    def session_data(self) -> dict:
        """What the visitor entered on earlier pages of this object."""
        return dict(self.request.session.get(self.session_name, {}).get(self.subject_id, {}))

    def save_step(self, **data) -> None:
        """Keep data in the session for the visitor's next page. A value of None removes the key.

        The session keeps the data of the objects visited last.
        """
        updated = self.session_data | data
        self.session_data = {name: value for name, value in updated.items() if value is not None}
        saved = self.request.session.get(self.session_name, {})
        saved.pop(self.subject_id, None)
        latest = list(saved.items())[1 - _SUBJECTS_KEPT :]
        self.request.session[self.session_name] = dict(
            [*latest, (self.subject_id, self.session_data)]
        )

    def seal(self, kind: str, data: dict) -> str:
        """Encrypt data for the session or a hidden field, bound to its kind and this object."""
        return credentials.encrypt(json.dumps([self.subject_id, kind, data])).decode()

    def unseal(self, kind: str, sealed: str) -> dict | None:
        """Return what was sealed as this kind for this object, or None."""
        try:
            subject_id, sealed_kind, data = json.loads(credentials.decrypt(sealed.encode()))
        except (credentials.InvalidToken, ValueError):
            return None
        return data if (subject_id, sealed_kind) == (self.subject_id, kind) else None


def check_rate(request, *, name: str, subject_id: str) -> None:
    """Count a request for a page of an object. Raises RateLimitExceeded.

    `name` is the kind of page, under which its limits are counted.
    """
    kind, limit = ("w", WRITES) if request.method == "POST" else ("r", READS)
    throttling.check(subject=f"{name}:{kind}:{client_network(request)}:{subject_id}", limit=limit)


def check_unknown_rate(request, *, name: str) -> None:
    """Count a request for an object that does not exist. Raises RateLimitExceeded."""
    throttling.check(subject=f"{name}:unknown:{client_network(request)}", limit=UNKNOWN)


def public_page(*methods: str, error_template: str) -> Callable:
    """Make `view(request, **path)` a public page in the reader's language.

    The page is neither cached nor indexed and sends no referrer. `error_template` shows a `title`
    and a `text` where the view cannot answer.
    """

    def decorate(view):
        @wraps(view)
        def page(request, **path):
            if request.method not in (*methods, "HEAD"):
                return HttpResponseNotAllowed([*methods, "HEAD"])
            language = languages.of(request)
            with translation.override(language):
                response = _answer(view, request, path, error_template)
            add_never_cache_headers(response)
            patch_vary_headers(response, ["Accept-Language", "Cookie"])
            response.headers["Content-Language"] = language
            response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
            response.headers["Referrer-Policy"] = "no-referrer"
            return response

        # The page checks the token itself, so that a refusal is in the reader's language.
        page.csrf_exempt = True
        return has_own_limits(page)

    return decorate


def language_context(request) -> dict:
    """Return what layouts/public.html needs for the choice of a language."""
    # After the choice the browser loads the same path again, by GET.
    return {"here": request.path, "languages": languages.NAMES.items()}


def choose_language(request, *, prefix: str) -> HttpResponse:
    """Keep the language that a reader chose, and return to their page below `prefix`."""
    target = preferences.return_path(request)
    response = pages.redirect_to(target if target.startswith(prefix) else "/")
    if request.POST.get("language") in languages.NAMES:
        languages.save_choice(response, request.POST["language"])
    return response


class _Csrf(CsrfViewMiddleware):
    """Returns the reason for a refusal where Django's middleware answers with its own page."""

    def _reject(self, request, reason):
        return reason


_csrf = _Csrf(lambda request: None)


def _answer(view, request, path: dict, error_template: str) -> HttpResponse:
    if reason := _csrf.process_view(request, None, (), {}):
        log.warning("forged or stale form: %s", reason)
        return _error_page(
            request,
            error_template,
            403,
            gettext("This page was open for too long"),
            gettext(
                "Nothing was done. Open the link once more and type it again. If you see this"
                " again, let your browser keep cookies of this site."
            ),
        )
    try:
        return view(request, **path)
    except (NotFound, Http404):
        return _error_page(
            request,
            error_template,
            404,
            gettext("This link leads nowhere"),
            gettext("Check that the whole address was copied, or ask whoever sent it to you."),
        )
    except RateLimitExceeded as error:
        text = gettext("Wait a minute, then try again. Nothing was lost.")
        if request.method == "POST":
            text = gettext(
                "Wait a minute, then reload this page. Your browser asks whether to send once more"
                " what you typed; nothing is done twice."
            )
        response = _error_page(request, error_template, 429, gettext("Too many tries"), text)
        response.headers["Retry-After"] = error.headers["Retry-After"]
        return response


def _error_page(request, template: str, status: int, title: str, text: str) -> HttpResponse:
    context = language_context(request) | {
        "request": request,
        "title": title,
        "text": text,
        "csrf_token": get_token(request) if request.method == "GET" else "",
    }
    return HttpResponse(loader.get_template(template).render(context), status=status)
