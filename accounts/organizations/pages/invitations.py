"""The page that accepts an invitation, and the invitation a sign-up request comes from."""

from urllib.parse import urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve, reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.organizations.models import Invitation
from accounts.organizations.services import members
from wallgent.environments import Environment
from wallgent.errors import DomainError, InvalidState, NotFound
from wallgent.http.client_ip import client_ip

_GONE = 410


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request, token):
    """Show an invitation (GET) or accept it (POST)."""
    try:
        invitation = members.find_invitation(token)
    except NotFound:
        return render(request, "accounts/organizations/invitation_closed.html", status=404)
    user = request.user
    if not invitation.is_open:
        if user.is_authenticated and invitation.accepted_by_id == user.id:
            return redirect("home")  # the back button, or a second click
        return render(request, "accounts/organizations/invitation_closed.html", status=_GONE)
    if request.method != "POST":
        return _show(request, invitation)
    if not user.is_authenticated:
        return redirect_to_login(invitation_path(token))
    try:
        with transaction.atomic():
            member = members.accept(token, user=user, origin=request_origin(request))
    except InvalidState:
        return redirect(invitation_path(token))  # it was closed or accepted just now
    except DomainError as error:
        return _show(request, invitation, error=error)
    return redirect(
        "overview", organization=member.organization_id, environment=Environment.SANDBOX
    )


def _show(request, invitation: Invitation, error: DomainError | None = None):
    after = urlencode({REDIRECT_FIELD_NAME: request.path})
    context = {
        "invitation": invitation,
        "is_for_me": request.user.is_authenticated and request.user.email == invitation.email,
        "sign_in_url": f"{reverse('account_login')}?{after}",
        "sign_up_url": f"{reverse('account_signup')}?{after}",
        "error": error,
    }
    status = error.status if error else 200
    return render(request, "accounts/organizations/invitation.html", context, status=status)


def invitation_path(token: str) -> str:
    """Return the path of the page that accepts an invitation."""
    return reverse("invitation", args=[token])


def requested_invitation(request) -> tuple[str, Invitation] | None:
    """Return the token and invitation of the `next` URL, if it leads to an open invitation."""
    target = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME, "")
    try:
        match = resolve(urlsplit(target).path)
    except (Resolver404, ValueError):
        return None
    if match.url_name != "invitation":
        return None
    token = match.kwargs["token"]
    try:
        invitation = members.find_invitation(token)
    except NotFound:
        return None
    return (token, invitation) if invitation.is_open else None


def request_origin(request) -> dict[str, str]:
    """Return the ip, user_agent and request_id of a request, as an actor holds them."""
    return {
        "ip": client_ip(request),
        "user_agent": request.headers.get("User-Agent", ""),
        "request_id": request.id,
    }
