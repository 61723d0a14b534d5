"""Access to the public pages of a payment link: finds the link and the claim, limits requests.

The slug in the path is a secret that people who received the link know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    claim_status,
    claims,
    email_verification,
    payment_links,
    restrictions,
)
from wallgent.actors import Actor
from wallgent.errors import NotFound
from wallgent.web import pages, public_pages

_NAME = "pay"  # of the session data and the rate limits

public = partial(public_pages.public_page, error_template="links/pay_page/fault.html")


@dataclass
class Visit(public_pages.PublicVisit):
    """A visitor's request for a link's page, and what they entered on earlier pages."""

    session_name = _NAME

    request: HttpRequest
    link: PaymentLink
    claim: Claim | None = None  # the claim whose token is in the path

    @property
    def subject_id(self) -> str:
        return self.link.id

    @property
    def email(self) -> str:
        """The email address that the visitor entered, or ""."""
        return self.session_data.get("email", "")

    @property
    def is_verified(self) -> bool:
        """Whether the visitor entered the code sent to their address, or the link needs none."""
        return not email_verification.is_needed(self.link) or bool(self.session_data.get("proven"))

    @property
    def visitor(self) -> str:
        """The digest under which the visitor's wrong codes are counted."""
        return email_verification.visitor_of_session(self.request.session.session_key or "")

    @property
    def actor(self) -> Actor:
        """The public actor in the link's organization and environment."""
        return claims.public_actor(self.link, request_id=self.request.id)

    def path(self, name: str = "pay", **path) -> str:
        """Return the path of a page of this link, by its URL name."""
        return reverse(name, kwargs={"slug": self.link.slug} | path)

    def claim_path(self, claim: Claim) -> str:
        """Return the path of a claim's status page. Its token is the claimant's secret."""
        return self.path("pay-receipt", token=claim_status.token_of(claim))

    def redirect_to(self, name: str = "pay") -> HttpResponseRedirect:
        """Redirect to a page of this link, by its URL name."""
        return pages.redirect_to(self.path(name))

    def render(self, template: str, context: dict, *, status: int = 200) -> HttpResponse:
        """Render a page of the link, with the context that all of them share."""
        link = self.link
        wallet_id = self.session_data.get("wallet", "")
        is_met = restrictions.allows_claimant(link, email=self.email, wallet_id=wallet_id)
        shared = public_pages.language_context(self.request) | {
            "link": link,
            "view": payment_links.public_view(link),
            "environment": link.environment,
            # The sender's name is withheld from visitors whom the link is not for.
            "sender": link.organization.name if is_met and self.is_verified else None,
            "is_unverified": link.organization.production_activated_at is None,
            "path": self.path(),
        }
        return render(self.request, template, shared | context, status=status)


def link_page(*methods: str) -> Callable:
    """Make `view(visit)` a public page of a link or claim."""

    def decorate(view):
        def page(request, **path):
            return view(_visit(request, **path))

        return public(*methods)(page)

    return decorate


def _visit(request, slug: str, token: str = "") -> Visit:
    """Find the link and the claim of a path. Raises NotFound, RateLimitExceeded."""
    try:
        link = payment_links.find_by_slug(slug)
        claim = claim_status.find_by_token(link, token) if token else None
    except NotFound:
        public_pages.check_unknown_rate(request, name=_NAME)
        raise
    # A claim has limits of its own: its page polls while the claim is open, and must not use up
    # the limit of other visitors in the same network.
    public_pages.check_rate(request, name=_NAME, subject_id=claim.id if claim else link.id)
    return Visit(request, link, claim)
