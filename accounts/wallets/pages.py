"""Dashboard pages of wallets: list, creation, renaming, funding, freezing and closing."""

from decimal import Decimal

from django.db.models.functions import Lower

from accounts.wallets import services as wallets
from accounts.wallets.forms import FreezeForm, FundForm, NewWalletForm, WalletFilters, WalletForm
from accounts.wallets.models import SANDBOX_FUNDS_CEILING, Wallet
from wallgent import money
from wallgent.environments import Environment
from wallgent.errors import SandboxOnly
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.forms import PageForm
from wallgent.web.listing import Column, Listing

_COLUMNS = {
    "name": Column(label="Wallet", sort="name_lower"),
    "status": Column(label="Status"),
    "available": Column(label="Available", numeric=True),
    "balance": Column(label="Balance", sort="account__balance", numeric=True),
    "created": Column(label="Opened", sort="pk"),
}
_QUICK_AMOUNTS = (Decimal("100.00"), Decimal("1000.00"), Decimal("10000.00"))


@dashboard("wallets", GET="wallets:read")
def index(request):
    """List the wallets of the organization in this environment."""
    listing = Listing(
        request,
        Wallet.objects.visible_to(request.actor).annotate(name_lower=Lower("name")),
        columns=_COLUMNS,
        default="name",
        filters=WalletFilters,
    )
    context = {"listing": listing, "may_write": wallets.may_change(request.actor)}
    return pages.render(request, "accounts/wallets/wallets.html", context)


@dashboard("wallets", GET="wallets:write", POST="wallets:write")
def new(request):
    """Create a wallet."""
    form = NewWalletForm(_form_data(request))

    def change():
        data = form.cleaned_data
        return wallets.create(
            actor=request.actor,
            name=data["name"],
            agent_name=data["agent_name"],
            currency=data["currency"],
        )

    context = {
        "title": "New wallet",
        "lead": "A place to keep money of one currency, for the organization or for one agent.",
        "verb": "Create the wallet",
        "back": pages.to(request, "wallets"),
    }
    return _submit(request, form, change, say="The wallet is open.") or _render_form(
        request, form, context
    )


@dashboard("wallets", GET="wallets:write", POST="wallets:write")
def edit(request, id):
    """Rename a wallet or its agent."""
    wallet = wallets.access(id, actor=request.actor)
    current = {"name": wallet.name, "agent_name": wallet.agent_name}
    form = WalletForm(_form_data(request), initial=current)

    def change():
        changes = {name: form.cleaned_data[name] for name in current}
        changes = {name: value for name, value in changes.items() if value != current[name]}
        return wallets.update(wallet, actor=request.actor, **changes)

    context = {
        "title": "Rename wallet",
        "lead": "Its id and its address stay as they are.",
        "verb": "Save",
        "blocker": _closed(wallet),
    }
    return _submit(request, form, change, say="Saved.") or _render_form(
        request, form, context, wallet
    )


@dashboard("wallets", GET="wallets:write", POST="wallets:write")
def fund(request, id):
    """Add sandbox money to a wallet."""
    wallet = wallets.access(id, actor=request.actor)
    if wallet.environment != Environment.SANDBOX:
        raise SandboxOnly()
    form = FundForm(_form_data(request), initial={"amount": request.GET.get("amount", "")})

    def change():
        amount = form.cleaned_data["amount"]
        return wallets.fund(wallet, actor=request.actor, amount=amount)[1]

    remaining = wallets.remaining_funding(wallet)
    context = {
        "title": "Fund with sandbox money",
        "verb": "Fund",
        "remaining": remaining,
        "limit": wallets.FUND_CALL_LIMIT,
        "ceiling": SANDBOX_FUNDS_CEILING,
        "quick": [amount for amount in _QUICK_AMOUNTS if amount <= remaining],
        "blocker": _closed(wallet) or _frozen(wallet) or _funding_used_up(wallet, remaining),
    }
    return _submit(request, form, change, say="The money is there.") or _render_form(
        request, form, context, wallet, template="accounts/wallets/wallet_fund.html"
    )


@dashboard("wallets", GET="wallets:write", POST="wallets:write")
def freeze(request, id):
    """Freeze a wallet, so that no money leaves it."""
    wallet = wallets.access(id, actor=request.actor)
    form = FreezeForm(_form_data(request))

    def change():
        return wallets.freeze(wallet, actor=request.actor, reason=form.cleaned_data["reason"])

    context = {
        "title": "Freeze wallet",
        "effects": [
            "No money leaves it: payments out of it are refused, whoever sends them.",
            "Payment links that pay out of it cannot be claimed.",
            "Money can still come in, and what is held stays held.",
            "You can unfreeze it at any time.",
        ],
        "verb": "Freeze the wallet",
        "blocker": _closed(wallet) or _frozen(wallet, "It is frozen already."),
    }
    return _submit(request, form, change, say="The wallet is frozen.") or _render_form(
        request, form, context, wallet
    )


@dashboard("wallets", GET="wallets:write", POST="wallets:write")
def unfreeze(request, id):
    """Unfreeze a wallet."""
    wallet = wallets.access(id, actor=request.actor)
    form = PageForm(_form_data(request))
    is_active = wallet.status == Wallet.Status.ACTIVE
    context = {
        "title": "Unfreeze wallet",
        "effects": [
            "Money can leave it again at once, by anybody who may send it.",
            "Payment links that pay out of it can be claimed again.",
        ],
        "verb": "Unfreeze the wallet",
        "blocker": _closed(wallet) or ("It is not frozen." if is_active else ""),
    }
    return _submit(
        request,
        form,
        lambda: wallets.unfreeze(wallet, actor=request.actor),
        say="The wallet can be used again.",
    ) or _render_form(request, form, context, wallet)


@dashboard("wallets", GET="wallets:write", POST="wallets:write")
def close(request, id):
    """Close an empty wallet."""
    wallet = wallets.access(id, actor=request.actor)
    form = PageForm(_form_data(request))
    context = {
        "title": "Close wallet",
        "effects": [
            "Nothing can be paid into it or out of it any more.",
            "Its entries stay, and can be read as before.",
            "It cannot be opened again.",
        ],
        "verb": "Close the wallet",
        "is_destructive": True,
        "blocker": _closed(wallet) or wallets.closing_blocker(wallet),
    }
    return _submit(
        request,
        form,
        lambda: wallets.close(wallet, actor=request.actor),
        say="The wallet is closed.",
    ) or _render_form(request, form, context, wallet)


def _closed(wallet: Wallet) -> str:
    return "The wallet is closed." if wallet.status == Wallet.Status.CLOSED else ""


def _frozen(wallet: Wallet, why: str = "The wallet is frozen. Unfreeze it first.") -> str:
    return why if wallet.status == Wallet.Status.FROZEN else ""


def _funding_used_up(wallet: Wallet, remaining: Decimal) -> str:
    if remaining:
        return ""
    most = money.display(SANDBOX_FUNDS_CEILING, wallet.currency)
    return f"It was given the {most} that a sandbox wallet can be given in all."


def _form_data(request):
    return request.POST if request.method == "POST" else None


def _submit(request, form, change, *, say: str):
    """Run `change()` and redirect to the wallet it returns. None if the form is to be shown."""
    if not (form.is_bound and form.is_valid()):
        return None
    return pages.submit(
        request,
        form,
        change,
        done=lambda wallet: pages.to(request, "wallet", id=wallet.id),
        say=say,
    )


def _render_form(
    request, form, context, wallet=None, *, template="accounts/wallets/wallet_form.html"
):
    if wallet:
        context |= {"wallet": wallet, "back": pages.to(request, "wallet", id=wallet.id)}
    status = pages.UNPROCESSABLE if form.is_bound else 200
    return pages.render(request, template, {"form": form} | context, status=status)
