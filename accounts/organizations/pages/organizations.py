"""Dashboard pages of organizations: settings and creation."""

import hashlib
import uuid

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.organizations.forms.organizations import NewOrganizationForm, OrganizationForm
from accounts.organizations.services import members, organizations
from wallgent import service_runner
from wallgent.api import idempotency, throttling
from wallgent.environments import Environment
from wallgent.errors import DomainError
from wallgent.web import pages
from wallgent.web.access import dashboard

CREATIONS_PER_MINUTE = 5


@dashboard("organization", GET="organizations:read", POST="organizations:write")
def settings(request):
    """Show and change the name and settings; show limits and activation."""
    organization = request.actor.organization
    form = OrganizationForm(
        request.POST if request.method == "POST" else None,
        initial={
            "name": organization.name,
            "default_link_direction": organization.default_link_direction,
            "pay_requests": _pay_request_environments(organization),
        },
    )
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: _change(request.actor, form.cleaned_data),
            done=lambda _: pages.to(request, "organization"),
            say="Saved.",
        )
        if answer:
            return answer
    context = {
        "form": form,
        "limits": organization.limits,
        "figures": _limit_texts(organization.limits),
        "accepting": [
            Environment(name).label.lower() for name in _pay_request_environments(organization)
        ],
        "may_change": request.actor.may("organizations:write"),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "accounts/organizations/organization.html", context, status=status)


def _pay_request_environments(organization) -> list[str]:
    """Return the environments in which it accepts pay requests."""
    accepts = organizations.accepts_pay_requests
    return [name for name in Environment.values if accepts(organization, name)]


def _limit_texts(limits) -> dict[str, str]:
    wallets = "Any number" if limits.wallets is None else f"{limits.wallets:,} beside the main ones"
    return {
        "API reads": f"{limits.reads_per_minute:,} a minute",
        "API writes": f"{limits.writes_per_minute:,} a minute",
        "Wallets": wallets,
    }


def _change(actor, data: dict) -> None:
    organization = actor.organization
    organizations.update(organization, actor=actor, name=data["name"])
    direction = data["default_link_direction"]
    organizations.set_link_direction(organization, actor=actor, direction=direction)
    organizations.accept_pay_requests(
        organization,
        actor=actor,
        sandbox=Environment.SANDBOX in data["pay_requests"],
        production=Environment.PRODUCTION in data["pay_requests"],
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request):
    """Create an organization owned by the user."""
    form = NewOrganizationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            throttling.check(subject=f"organizations:{request.user.id}", limit=CREATIONS_PER_MINUTE)
            return redirect(_create_once(request, form))
        except DomainError as refusal:
            form.refuse(refusal)
    status = pages.UNPROCESSABLE if form.errors else 200
    return render(
        request, "accounts/organizations/organization_new.html", {"form": form}, status=status
    )


def _create_once(request, form: NewOrganizationForm) -> str:
    """Return the path of the new organization. Sending the form again returns the same one."""

    def create():
        organization = organizations.create(
            name=form.cleaned_data["name"], email=request.user.email, owner=request.user
        )
        # A key belongs to an organization, so it is claimed after the organization is created. A
        # repeated key rolls the second organization back.
        key = _idempotency_key(request, organization, form)
        if earlier := key.claim():
            transaction.set_rollback(True)
            return earlier.answer.content.decode()
        parameters = {"organization": organization.id, "environment": Environment.SANDBOX}
        path = reverse("overview", kwargs=parameters)
        key.store(HttpResponse(path, status=303))
        return path

    return service_runner.run(create, actor=None)  # no organization yet to record a refusal


class _UserKey(idempotency.IdempotencyKey):
    """An idempotency key in the scope of a user, who had no organization before."""

    @property
    def id(self) -> uuid.UUID:
        text = f"{self.actor.id}\n{self.path}\n{self.key}".encode()
        return uuid.UUID(bytes=hashlib.sha256(text).digest()[:16])


def _idempotency_key(
    request, organization, form: NewOrganizationForm
) -> idempotency.IdempotencyKey:
    return _UserKey(
        actor=members.user_actor(organization, request.user),
        key=form.cleaned_data["submission"],
        method="POST",
        path=request.path_info,
        content=form.cleaned_data["name"],
    )
