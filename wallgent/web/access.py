"""Access to dashboard pages: sign-in, membership, permission, organization and environment."""

from functools import wraps

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils.cache import add_never_cache_headers
from django.utils.module_loading import import_string
from django_htmx.http import HttpResponseClientRedirect

from wallgent.environments import Environment
from wallgent.errors import DomainError, EnvironmentMismatch, KybRequired, NotFound
from wallgent.http import error_pages
from wallgent.web import page_rates, pages

SETTINGS = "organization"  # the section of all settings, also those of the user's account
_PLACE = "place"  # the session's key for the organization and environment viewed last


def dashboard(section: str, /, **needed: str):
    """Make `view(request, …)` a dashboard page; `needed` names the permission for each method.

    `section` is the entry of the navigation that the page belongs to. Visitors are asked to sign
    in. To people who are not members the organization does not exist. Sets `request.actor`,
    `request.membership`, `request.memberships` and `request.section`.
    """

    def decorate(view):
        @wraps(view)
        def page(request, organization, environment, **path):
            if request.method not in needed and request.method != "HEAD":
                return HttpResponseNotAllowed(needed)
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            request.section = section
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
    """Redirect to the organization and environment that the user viewed last."""
    if not request.user.is_authenticated:
        return _to_sign_in(request)
    if place := _last_place(request, _memberships(request.user)):
        return redirect("overview", **place)
    return redirect("admin:index" if request.user.is_staff else "organization-new")


def account_page(view):
    """Show a page of the user's account in the dashboard of the organization viewed last.

    `request.layout` is the template around the page: without a membership, a plain card.
    """

    @wraps(view)
    def page(request, *args, **kwargs):
        request.layout, request.section = "layouts/account.html", SETTINGS
        if request.user.is_authenticated:
            memberships = _memberships(request.user)
            if place := _last_place(request, memberships):
                _act(request, memberships, **place)
                request.layout = "layouts/dashboard.html"
        return view(request, *args, **kwargs)

    return page


def _last_place(request, memberships: list) -> dict[str, str] | None:
    """Return the organization and environment viewed last; None without a membership."""
    organization, environment = request.session.get(_PLACE, ("", Environment.SANDBOX))
    if organization not in {membership.organization_id for membership in memberships}:
        if not memberships:
            return None
        organization, environment = memberships[0].organization_id, Environment.SANDBOX
    return {"organization": organization, "environment": environment}


def _memberships(user) -> list:
    """Return memberships with `organization`, `organization_id` and `permissions`."""
    return import_string(settings.MEMBERSHIPS_OF)(user)


def _to_sign_in(request):
    # A form cannot be sent again after signing in, so the user returns to its page.
    response = redirect_to_login(request.get_full_path())
    return HttpResponseClientRedirect(response.url) if request.htmx else response


def _enter(request, organization: str, environment: str) -> None:
    _act(request, _memberships(request.user), organization, environment)
    if request.session.get(_PLACE) != [organization, environment]:
        request.session[_PLACE] = [organization, environment]


def _act(request, memberships: list, organization: str, environment: str) -> None:
    """Set the user's membership and actor. Raises Http404 for people who are not members."""
    membership = next((m for m in memberships if m.organization_id == organization), None)
    if membership is None:
        raise Http404
    request.memberships, request.membership = memberships, membership
    request.actor = pages.actor_of(
        request, membership.organization, environment, membership.permissions
    )


def _check_write(request, permission: str) -> None:
    # The organization and its members are shared by both environments.
    if request.actor.is_locked and not permission.startswith("organizations:"):
        raise KybRequired()


def _refusal(request, error: DomainError):
    if isinstance(error, NotFound | EnvironmentMismatch):
        raise Http404 from error
    title, _ = error_pages.MESSAGES.get(error.status, ("This was not possible", ""))
    context = {"title": title, "text": error.message}
    response = pages.render(request, "refused.html", context, status=error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response
