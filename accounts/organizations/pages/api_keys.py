"""Dashboard pages of API keys: list, creation, details and revocation."""

from accounts.organizations.forms.api_keys import PERMISSIONS, ApiKeyForm, RevokeForm
from accounts.organizations.models import ApiKey
from accounts.organizations.services import api_keys, wallet_lookup
from wallgent.events import timeline
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_MAX_CHOICES = 200

_COLUMNS = {
    "name": Column(label="Name", sort="name"),
    "prefix": Column(label="Key"),
    "scope": Column(label="May do"),
    "used": Column(label="Last used", sort="last_used_at", empty_last=True),
    "expires": Column(label="Expires", sort="expires_at", empty_last=True),
    "created": Column(label="Created", sort="pk"),
    "status": Column(label="Status"),
}
_DESCRIPTIONS = {name: text for group in PERMISSIONS.values() for name, text in group.items()}


@dashboard("api-keys", GET="organizations:read")
def index(request):
    """List the keys of this environment."""
    listing = Listing(
        request,
        ApiKey.objects.visible_to(request.actor),
        columns=_COLUMNS,
        default="-created",
    )
    context = {"listing": listing, "may_create": request.actor.may("organizations:write")}
    return pages.render(request, "accounts/organizations/api_keys.html", context)


@dashboard("api-keys", GET="organizations:write", POST="organizations:write")
def new(request):
    """Create a key and show its secret once."""
    form = ApiKeyForm(
        request.POST if request.method == "POST" else None,
        granted=request.actor.permissions,
        wallets=wallet_lookup.wallets().choices(request.actor, _selected_wallets(request)),
    )
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: _create(form, request.actor),
            done=lambda created: pages.to(request, "api-key", id=created[0].id),
            show=lambda created: _secret(request, *created),
        )
        if answer:
            return answer
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(
        request, "accounts/organizations/api_key_new.html", {"form": form}, status=status
    )


def _selected_wallets(request) -> list[str]:
    data = request.POST if request.method == "POST" else request.GET
    return data.getlist("wallet_scope")[:_MAX_CHOICES]


def _create(form: ApiKeyForm, actor) -> tuple[ApiKey, str]:
    data = form.cleaned_data
    return api_keys.create(
        actor=actor,
        name=data["name"],
        permissions=data["permissions"],
        wallet_scope=data["wallet_scope"] or None,
        allowed_ips=data["allowed_ips"],
        expires_at=data["expires_on"],
    )


def _secret(request, key: ApiKey, secret: str):
    context = {"key": key, "secret": secret}
    return pages.render(request, "accounts/organizations/api_key_secret.html", context)


@dashboard("api-keys", GET="organizations:read")
def show(request, id):
    """Show what a key may do, and its timeline."""
    key = api_keys.access(id, actor=request.actor)
    context = {
        "key": key,
        "permissions": [(name, _DESCRIPTIONS.get(name, "")) for name in key.permissions],
        "wallets": _scope_wallets(key, request.actor),
        "facts": timeline.of(key.id, actor=request.actor),
        "may_revoke": _is_revocable(key, request.actor),
    }
    return pages.render(request, "accounts/organizations/api_key.html", context)


def _scope_wallets(key: ApiKey, actor) -> list | None:
    if key.wallet_scope is None:
        return None
    return wallet_lookup.wallets().by_ids(actor, key.wallet_scope)


def _is_revocable(key: ApiKey, actor) -> bool:
    return actor.may("organizations:write") and key.status != ApiKey.Status.REVOKED


@dashboard("api-keys", GET="organizations:write", POST="organizations:write")
def revoke(request, id):
    """Revoke a key, after confirmation."""
    key = api_keys.access(id, actor=request.actor)
    form = RevokeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: api_keys.revoke(key, actor=request.actor),
            done=lambda key: pages.to(request, "api-key", id=key.id),
            say="The key is revoked. Calls that use it are refused from now on.",
        )
        if answer:
            return answer
    context = {"form": form, "key": key, "may_revoke": _is_revocable(key, request.actor)}
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(
        request, "accounts/organizations/api_key_revoke.html", context, status=status
    )
