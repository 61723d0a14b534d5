"""The door of a payment link's public pages: found, throttled, in the visitor's language.

The slug is a secret that whoever got the link knows. What a visitor has said on the way, and the
right to see what became of it, is kept in their session; a GET changes nothing.
"""

import json
import logging
from dataclasses import dataclass
from functools import cached_property, wraps

from django.http import Http404, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.shortcuts import render
from django.template import loader
from django.urls import reverse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext

from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    claim_status,
    claims,
    email_verification,
    payment_links,
    restrictions,
)
from wallgent import credentials
from wallgent.api import throttling
from wallgent.errors import NotFound, RateLimitExceeded
from wallgent.http.client_ip import client_network
from wallgent.web import languages, page_rates

log = logging.getLogger("wallgent.http.error_pages")

# A minute, of one address and link, or claim: an office may share the address.
READS = 1_200
WRITES = 300
UNKNOWN = 60  # of one address, over all slugs that lead nowhere

_SESSION = "pay"
_REMEMBERED = 20  # links that a session knows something about


@dataclass
class Visit:
    """Somebody who looks at a link: their request, and what they have said before."""

    request: object
    link: PaymentLink
    claim: Claim | None = None  # whose token stands in the path

    @cached_property
    def said(self) -> dict:
        return dict(self.request.session.get(_SESSION, {}).get(self.link.id, {}))

    @property
    def email(self) -> str:
        return self.said.get("email", "")

    @property
    def is_proven(self) -> bool:
        """Whether the visitor has shown that they read that address's mail, where a link asks."""
        return not email_verification.is_needed(self.link) or bool(self.said.get("proven"))

    @property
    def visitor(self) -> str:
        """Who types codes here: this session."""
        return email_verification.visitor_of_session(self.request.session.session_key or "")

    @property
    def actor(self):
        """Nobody in particular, where the link is."""
        return claims.public_actor(self.link, request_id=self.request.id)

    def remember(self, **said) -> None:
        """Keep this for the visitor's next page; what is None is forgotten."""
        self.said |= said
        self.said = {name: value for name, value in self.said.items() if value is not None}
        known = self.request.session.get(_SESSION, {})
        known.pop(self.link.id, None)
        latest = list(known.items())[1 - _REMEMBERED :]
        self.request.session[_SESSION] = dict([*latest, (self.link.id, self.said)])

    def path(self, name: str = "pay", **path) -> str:
        return reverse(name, kwargs={"slug": self.link.slug} | path)

    def claim_path(self, claim: Claim) -> str:
        """Where whoever made a claim sees what becomes of it: the token in it is theirs."""
        return self.path("pay-receipt", token=claim_status.token_of(claim))

    def seal(self, what: str, said: dict) -> str:
        """A draft or a mandate, unreadable to whoever sees their session, and for this link."""
        return credentials.encrypt(json.dumps([self.link.id, what, said])).decode()

    def unseal(self, what: str, sealed: str) -> dict | None:
        """What `seal` was given, as the same thing for this very link; else None."""
        try:
            link_id, sealed_as, said = json.loads(credentials.decrypt(sealed.encode()))
        except (credentials.InvalidToken, ValueError):
            return None
        return said if (link_id, sealed_as) == (self.link.id, what) else None

    def redirect_to(self, name: str = "pay") -> HttpResponseRedirect:
        return redirect_to(self.path(name))

    def render(self, template: str, context: dict, *, status: int = 200) -> HttpResponse:
        """A page of the link, with what every one of them shows."""
        link = self.link
        named = self.said.get("wallet", "")
        is_met = restrictions.is_met(link, email=self.email, wallet_id=named) and self.is_proven
        shown = {
            "link": link,
            "view": payment_links.public_view(link),
            "environment": link.environment,
            # Who sends is withheld from whoever the link is not for.
            "sender": link.organization.name if is_met else None,
            "is_unverified": link.organization.production_activated_at is None,
            "path": self.path(),
            "here": self.request.path,  # what the choice of a language comes back to, by a GET
            "languages": languages.NAMES.items(),
        }
        return render(self.request, template, shown | context, status=status)


def redirect_to(path: str) -> HttpResponseRedirect:
    """Lead there by a GET, whatever was sent."""
    response = HttpResponseRedirect(path)
    response.status_code = 303
    return response


def link_page(*methods: str):
    """Make `view(visit)` a public page of a link or claim: found, throttled, and kept nowhere."""

    def decorate(view):
        def found(request, **path):
            return view(_find(request, **path))

        return public(*methods)(found)

    return decorate


def public(*methods: str):
    """Make `view(request, **path)` a page for strangers, in their language."""

    def decorate(view):
        @wraps(view)
        def page(request, **path):
            if request.method not in (*methods, "HEAD"):
                return HttpResponseNotAllowed([*methods, "HEAD"])
            request.locale = languages.of(request)
            with languages.speaking(request.locale):
                response = _answer(view, request, path)
            add_never_cache_headers(response)
            patch_vary_headers(response, ["Accept-Language", "Cookie"])
            response.headers["Content-Language"] = request.locale.code
            response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
            response.headers["Referrer-Policy"] = "no-referrer"
            return response

        page.csrf_exempt = True  # it looks itself, to refuse in the reader's language
        return page_rates.has_own_limits(page)

    return decorate


class _Csrf(CsrfViewMiddleware):
    """Says why a form is not our own, or None."""

    def _reject(self, request, reason):
        return reason


_csrf = _Csrf(lambda request: None)


def _answer(view, request, path) -> HttpResponse:
    if reason := _csrf.process_view(request, None, (), {}):
        log.warning("forged or stale form: %s", reason)
        return _fault(
            request,
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
        return _fault(
            request,
            404,
            gettext("This link leads nowhere"),
            gettext("Check that the whole address was copied, or ask whoever sent it to you."),
        )
    except RateLimitExceeded as error:
        words = gettext("Wait a minute, then try again. Nothing was lost.")
        if request.method == "POST":
            words = gettext(
                "Wait a minute, then reload this page. Your browser asks whether to send once more"
                " what you typed; nothing is done twice."
            )
        response = _fault(request, 429, gettext("Too many tries"), words)
        response.headers["Retry-After"] = error.headers["Retry-After"]
        return response


def _fault(request, status: int, title: str, text: str) -> HttpResponse:
    context = {
        "request": request,
        "title": title,
        "text": text,
        "here": request.path,
        "languages": languages.NAMES.items(),
        "csrf_token": get_token(request) if request.method == "GET" else "",
    }
    html = loader.get_template("links/pay_page/fault.html").render(context)
    return HttpResponse(html, status=status)


def _find(request, slug: str, token: str = "") -> Visit:
    network = client_network(request)
    try:
        link = payment_links.find_by_slug(slug)
        claim = claim_status.find(link, token) if token else None
    except NotFound:
        throttling.check(subject=f"pay:unknown:{network}", limit=UNKNOWN)
        raise
    kind, limit = ("w", WRITES) if request.method == "POST" else ("r", READS)
    # The page of a claim asks for news as long as it is open: that must not lock out the others
    # of an office.
    what = claim.id if claim else link.id
    throttling.check(subject=f"pay:{kind}:{network}:{what}", limit=limit)
    return Visit(request, link, claim)
