"""Organizations on the dashboard: their settings, and a new one."""

import hashlib
import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.controls.services import approvals
from accounts.organizations.forms.organizations import NewOrganizationForm, OrganizationForm
from accounts.organizations.services import members, organizations
from wallgent import service_runner
from wallgent.api import idempotency, throttling
from wallgent.environments import Environment
from wallgent.errors import DomainError
from wallgent.web import pages
from wallgent.web.access import dashboard

NEW_PER_MINUTE = 5


@dashboard(GET="organizations:read", POST="organizations:write")
def settings(request):
    """What the organization is called, what it may do, and how far it is."""
    organization = request.actor.organization
    form = OrganizationForm(
        request.POST if request.method == "POST" else None,
        initial={
            "name": organization.name,
            "default_link_direction": organization.default_link_direction,
            "pay_requests": _accepting(organization),
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
        "figures": _figures(organization.limits),
        "accepting": [Environment(place).label.lower() for place in _accepting(organization)],
        "may_change": request.actor.may("organizations:write"),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "accounts/organizations/organization.html", context, status=status)


def _accepting(organization) -> list[str]:
    """The environments in which strangers may ask it to pay."""
    accepts = approvals.organization_accepts_pay_requests
    return [place for place in Environment.values if accepts(organization, place)]


def _figures(limits) -> dict[str, str]:
    wallets = "Any number" if limits.wallets is None else f"{limits.wallets:,} beside the main ones"
    return {
        "API reads": f"{limits.reads_per_minute:,} a minute",
        "API writes": f"{limits.writes_per_minute:,} a minute",
        "Wallets": wallets,
    }


def _change(actor, said: dict) -> None:
    organization = actor.organization
    organizations.update(organization, actor=actor, name=said["name"])
    direction = said["default_link_direction"]
    organizations.set_link_direction(organization, actor=actor, direction=direction)
    organizations.accept_pay_requests(
        organization,
        actor=actor,
        sandbox=Environment.SANDBOX in said["pay_requests"],
        production=Environment.PRODUCTION in said["pay_requests"],
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request):
    """Found an organization, and be its owner."""
    form = NewOrganizationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            throttling.check(subject=f"organizations:{request.user.id}", limit=NEW_PER_MINUTE)
            return redirect(_found(request, form))
        except DomainError as refusal:
            form.refuse(refusal)
    status = pages.UNPROCESSABLE if form.errors else 200
    return render(
        request, "accounts/organizations/organization_new.html", {"form": form}, status=status
    )


def _found(request, form: NewOrganizationForm) -> str:
    """Where the new organization is; sending the form again leads to the same one."""

    def once():
        organization = organizations.create(
            name=form.cleaned_data["name"], email=request.user.email, owner=request.user
        )
        # A key belongs to an organization, so this one comes after it and undoes a second one.
        claim = _claim(request, organization, form)
        claim.take()
        place = {"organization": organization.id, "environment": Environment.SANDBOX}
        path = reverse("overview", kwargs=place)
        claim.keep(HttpResponse(path, status=303))
        return path

    try:
        return service_runner.run(
            once, actor=None
        )  # there is nobody yet whom a refusal would concern
    except idempotency.Replayed as replayed:
        return replayed.answer.content.decode()


class _OwnClaim(idempotency.Claim):
    """A key in the scope of a person: until now they had no organization for it."""

    @property
    def id(self) -> uuid.UUID:
        said = f"{self.actor.id}\n{self.path}\n{self.key}".encode()
        return uuid.UUID(bytes=hashlib.sha256(said).digest()[:16])


def _claim(request, organization, form: NewOrganizationForm) -> idempotency.Claim:
    return _OwnClaim(
        actor=members.acting_for(organization, request.user),
        key=form.cleaned_data["submission"],
        method="POST",
        path=request.path_info,
        content=form.cleaned_data["name"],
    )
