"""The way into every dashboard page: a member, their role, one organization, one environment."""

from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils.cache import add_never_cache_headers
from django_htmx.http import HttpResponseClientRedirect

from accounts.errors import KybRequired
from accounts.organizations import permissions
from wallgent.environments import Environment
from wallgent.errors import DomainError, EnvironmentMismatch, NotFound
from wallgent.http import error_pages
from wallgent.web import page_rates, pages

_PLACE = "place"  # the session remembers where one last looked


def dashboard(**needed: str):
    """Make `view(request, …)` a dashboard page; `needed` names, for each method, the permission.

    Whoever is not signed in is asked to; to whoever is not a member the organization does not
    exist. The view finds `request.actor`, `request.membership` and `request.memberships`.
    """

    def decorate(view):
        @wraps(view)
        def page(request, organization, environment, **path):
            if request.method not in needed and request.method != "HEAD":
                return HttpResponseNotAllowed(needed)
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            try:
                _enter(request, organization, environment)
                if refusal := page_rates.refuse_organization(request):
                    return refusal
                permission = needed.get(request.method, needed.get("GET"))
                request.actor.require(permission)
                if request.method == "POST":
                    _check_write(request, permission)
                response = view(request, **path)
            except DomainError as error:
                response = _refusal(request, error)
            add_never_cache_headers(response)
            return response

        return page

    return decorate


def home(request):
    """Where a person who comes to the front door belongs."""
    if not request.user.is_authenticated:
        return _to_sign_in(request)
    memberships = list(_memberships(request.user))
    places = {membership.organization_id for membership in memberships}
    organization, environment = request.session.get(_PLACE, ("", Environment.SANDBOX))
    if organization not in places:
        if not memberships:
            return redirect("admin:index" if request.user.is_staff else "organization-new")
        organization, environment = memberships[0].organization_id, Environment.SANDBOX
    return redirect("overview", organization=organization, environment=environment)


def _memberships(user):
    return user.memberships.select_related("organization").order_by("organization__name", "pk")


def _to_sign_in(request):
    # A form cannot be sent again after signing in, so its page is shown.
    response = redirect_to_login(request.get_full_path())
    return HttpResponseClientRedirect(response.url) if request.htmx else response


def _enter(request, organization: str, environment: str) -> None:
    request.memberships = list(_memberships(request.user))
    membership = next((m for m in request.memberships if m.organization_id == organization), None)
    if membership is None:
        raise Http404
    request.membership = membership
    request.actor = pages.actor_of(
        request, membership.organization, environment, permissions.OF_ROLE[membership.role]
    )
    if request.session.get(_PLACE) != [organization, environment]:
        request.session[_PLACE] = [organization, environment]


def _check_write(request, permission: str) -> None:
    actor = request.actor
    # The organization itself and its people are the same in both environments.
    if (
        actor.environment == Environment.PRODUCTION
        and actor.organization.production_activated_at is None
        and not permission.startswith("organizations:")
    ):
        raise KybRequired()


def _refusal(request, error: DomainError):
    if isinstance(error, NotFound | EnvironmentMismatch):
        raise Http404 from error
    title, _ = error_pages.WORDS.get(error.status, ("This was not possible", ""))
    words = {"title": title, "text": error.message}
    response = pages.render(request, "refused.html", words, status=error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response
