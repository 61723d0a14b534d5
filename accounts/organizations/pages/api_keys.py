"""API keys on the dashboard: listed, made, shown once, revoked."""

from accounts.organizations.forms.api_keys import PERMISSIONS, ApiKeyForm, RevokeForm
from accounts.organizations.models import ApiKey
from accounts.organizations.services import api_keys
from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.events import timeline
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_MOST_CHOICES = 200

_COLUMNS = {
    "name": Column(label="Name", sort="name"),
    "prefix": Column(label="Key"),
    "scope": Column(label="May do"),
    "used": Column(label="Last used", sort="last_used_at", empty_last=True),
    "expires": Column(label="Expires", sort="expires_at", empty_last=True),
    "created": Column(label="Created", sort="pk"),
    "status": Column(label="Status"),
}
_EVERY = {name: text for words in PERMISSIONS.values() for name, text in words.items()}


@dashboard(GET="organizations:read")
def index(request):
    """The keys of this environment."""
    listing = Listing(
        request,
        ApiKey.objects.visible_to(request.actor),
        columns=_COLUMNS,
        default="-created",
    )
    context = {"listing": listing, "may_create": request.actor.may("organizations:write")}
    return pages.render(request, "accounts/organizations/api_keys.html", context)


@dashboard(GET="organizations:write", POST="organizations:write")
def new(request):
    """Make a key, and show its secret this once."""
    form = ApiKeyForm(
        request.POST if request.method == "POST" else None,
        granted=request.actor.permissions,
        wallets=_choices(request),
    )
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: _create(form, request.actor),
            done=lambda made: pages.to(request, "api-key", id=made[0].id),
            show=lambda made: _secret(request, *made),
        )
        if answer:
            return answer
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(
        request, "accounts/organizations/api_key_new.html", {"form": form}, status=status
    )


def _choices(request) -> list[Wallet]:
    own = Wallet.objects.visible_to(request.actor).exclude(account__state=Wallet.Status.CLOSED)
    found = list(own.order_by("name", "pk")[:_MOST_CHOICES])
    # A wallet's own page leads here with its id, however many there are.
    asked = {uuid for id in _asked(request) if (uuid := ids.parse(id, "wal"))}
    missing = asked - {ids.to_uuid(wallet.id) for wallet in found}
    return found + list(own.filter(pk__in=missing)) if missing else found


def _asked(request) -> list[str]:
    said = request.POST if request.method == "POST" else request.GET
    return said.getlist("wallet_scope")[:_MOST_CHOICES]


def _create(form: ApiKeyForm, actor) -> tuple[ApiKey, str]:
    said = form.cleaned_data
    return api_keys.create(
        actor=actor,
        name=said["name"],
        permissions=said["permissions"],
        wallet_scope=said["wallet_scope"] or None,
        allowed_ips=said["allowed_ips"],
        expires_at=said["expires_on"],
    )


def _secret(request, key: ApiKey, secret: str):
    context = {"key": key, "secret": secret}
    return pages.render(request, "accounts/organizations/api_key_secret.html", context)


@dashboard(GET="organizations:read")
def show(request, id):
    """What a key may do, and what happened to it."""
    key = api_keys.access(id, actor=request.actor)
    context = {
        "key": key,
        "permissions": [(name, _EVERY.get(name, "")) for name in key.permissions],
        "wallets": _scope(key, request.actor),
        "facts": timeline.of(key.id, actor=request.actor),
        "may_revoke": _is_revocable(key, request.actor),
    }
    return pages.render(request, "accounts/organizations/api_key.html", context)


def _scope(key: ApiKey, actor) -> list[Wallet] | None:
    if key.wallet_scope is None:
        return None
    wanted = [uuid for id in key.wallet_scope if (uuid := ids.parse(id, "wal"))]
    return list(Wallet.objects.visible_to(actor).filter(pk__in=wanted).order_by("name", "pk"))


def _is_revocable(key: ApiKey, actor) -> bool:
    return actor.may("organizations:write") and key.status != ApiKey.Status.REVOKED


@dashboard(GET="organizations:write", POST="organizations:write")
def revoke(request, id):
    """End a key, after a question."""
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
