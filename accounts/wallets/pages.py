"""Wallets on the dashboard: listed, opened, looked at, funded, renamed, frozen and closed."""

from decimal import Decimal

from django.db.models.functions import Lower

from accounts.activity import overview, statement_lines
from accounts.errors import SandboxOnly
from accounts.ledger import statements
from accounts.wallets import services as wallets
from accounts.wallets.forms import FreezeForm, FundForm, NewWalletForm, WalletFilters, WalletForm
from accounts.wallets.models import Wallet
from wallgent.environments import Environment
from wallgent.events import descriptions
from wallgent.events.models import Event
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.forms import PageForm
from wallgent.web.listing import Column, Listing

_COLUMNS = {
    "name": Column(label="Wallet", sort="called"),
    "status": Column(label="Status"),
    "available": Column(label="Available", numeric=True),
    "balance": Column(label="Balance", sort="account__balance", numeric=True),
    "created": Column(label="Opened", sort="pk"),
}
_ENTRIES = {
    "what": Column(label="What it was"),
    "at": Column(label="When", sort="line"),
    "amount": Column(label="Amount", numeric=True),
    "balance": Column(label="Balance after", numeric=True),
}
_HOLDS = {
    "what": Column(label="For"),
    "status": Column(label="Status"),
    "at": Column(label="Placed", sort="pk"),
    "expires": Column(label="Ends"),
    "amount": Column(label="Amount", numeric=True),
    "remaining": Column(label="Still held", numeric=True),
}
_FACTS = {"at": Column(label="When", sort="pk")}
_PART_LABELS = [("entries", "Entries"), ("holds", "Holds"), ("activity", "Activity")]
_QUICK_AMOUNTS = (("100.00", "100"), ("1000.00", "1,000"), ("10000.00", "10,000"))


@dashboard(GET="wallets:read")
def index(request):
    """All wallets of the organization in this environment."""
    listing = Listing(
        request,
        Wallet.objects.visible_to(request.actor).annotate(called=Lower("name")),
        columns=_COLUMNS,
        default="name",
        filters=WalletFilters,
    )
    context = {"listing": listing, "may_write": _may_write(request)}
    return pages.render(request, "accounts/wallets/wallets.html", context)


@dashboard(GET="wallets:read")
def show(request, id):
    """One wallet: its money, and by choice its entries, its holds, or what happened to it."""
    wallet = wallets.access(id, actor=request.actor)
    part = request.GET.get("show")
    part = part if part in _PARTS else "entries"
    listing, rows = _PARTS[part](request, wallet)
    context = {
        "wallet": wallet,
        "part": part,
        "parts": _PART_LABELS,
        "listing": listing,
        "rows": rows,
        "may": _possible(request, wallet),
    }
    return pages.render(request, "accounts/wallets/wallet.html", context)


def _entries(request, wallet: Wallet):
    entries = statements.lines(wallet.account_id)
    listing = Listing(request, entries, columns=_ENTRIES, default="-at")
    return listing, statement_lines.lines(listing.rows, actor=request.actor)


def _holds(request, wallet: Wallet):
    holds = statements.holds(wallet.account_id)
    listing = Listing(request, holds, columns=_HOLDS, default="-at")
    return listing, statement_lines.hold_rows(listing.rows)


def _facts(request, wallet: Wallet):
    facts = Event.objects.visible_to(request.actor).filter(subject=wallet.id)
    listing = Listing(request, facts, columns=_FACTS, default="-at")
    return listing, descriptions.happenings(listing.rows, actor=request.actor)


_PARTS = {"entries": _entries, "holds": _holds, "activity": _facts}


def _may_write(request) -> bool:
    """Whether buttons are offered. What is sent is judged anew."""
    return request.actor.may("wallets:write") and not overview.is_locked(request.actor)


def _possible(request, wallet: Wallet) -> dict[str, bool]:
    """What this person may do to the wallet as it is now."""
    status, actor = wallet.status, request.actor
    writes = _may_write(request) and status != Wallet.Status.CLOSED
    is_active = status == Wallet.Status.ACTIVE
    return {
        "send": is_active and _may_write(request) and actor.may("payments:write"),
        "fund": writes and is_active and wallet.environment == Environment.SANDBOX,
        "edit": writes,
        "freeze": writes and is_active,
        "unfreeze": writes and status == Wallet.Status.FROZEN,
        "close": writes and not wallet.is_default,
    }


@dashboard(GET="wallets:write", POST="wallets:write")
def new(request):
    """Open a wallet."""
    form = NewWalletForm(_sent(request))

    def work():
        said = form.cleaned_data
        return wallets.create(
            actor=request.actor,
            name=said["name"],
            agent_name=said["agent_name"],
            currency=said["currency"],
        )

    context = {
        "title": "New wallet",
        "lead": "A place to keep money of one currency, for the organization or for one agent.",
        "verb": "Create the wallet",
        "back": pages.to(request, "wallets"),
    }
    return _carried_out(request, form, work, say="The wallet is open.") or _form(
        request, form, context
    )


@dashboard(GET="wallets:write", POST="wallets:write")
def edit(request, id):
    """Rename a wallet or its agent."""
    wallet = wallets.access(id, actor=request.actor)
    now = {"name": wallet.name, "agent_name": wallet.agent_name}
    form = WalletForm(_sent(request), initial=now)

    def work():
        changes = {name: form.cleaned_data[name] for name in now}
        changes = {name: value for name, value in changes.items() if value != now[name]}
        return wallets.update(wallet, actor=request.actor, **changes)

    context = {
        "title": "Rename wallet",
        "lead": "Its id and its address stay as they are.",
        "verb": "Save",
        "hindrance": _closed(wallet),
    }
    return _carried_out(request, form, work, say="Saved.") or _form(request, form, context, wallet)


@dashboard(GET="wallets:write", POST="wallets:write")
def fund(request, id):
    """Give a sandbox wallet money out of nothing."""
    wallet = wallets.access(id, actor=request.actor)
    if wallet.environment != Environment.SANDBOX:
        raise SandboxOnly()
    form = FundForm(_sent(request), initial={"amount": request.GET.get("amount", "")})

    def work():
        amount = form.cleaned_data["amount"]
        return wallets.fund(wallet, actor=request.actor, amount=amount)[1]

    left = wallets.left_to_fund(wallet)
    context = {
        "title": "Fund with sandbox money",
        "verb": "Fund",
        "left": left,
        "quick": [
            {"text": text, "label": label}
            for text, label in _QUICK_AMOUNTS
            if Decimal(text) <= left
        ],
        "hindrance": _closed(wallet) or _frozen(wallet) or _used_up(left),
    }
    return _carried_out(request, form, work, say="The money is there.") or _form(
        request, form, context, wallet, template="accounts/wallets/wallet_fund.html"
    )


@dashboard(GET="wallets:write", POST="wallets:write")
def freeze(request, id):
    """Let no more money out."""
    wallet = wallets.access(id, actor=request.actor)
    form = FreezeForm(_sent(request))

    def work():
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
        "hindrance": _closed(wallet) or _frozen(wallet, "It is frozen already."),
    }
    return _carried_out(request, form, work, say="The wallet is frozen.") or _form(
        request, form, context, wallet
    )


@dashboard(GET="wallets:write", POST="wallets:write")
def unfreeze(request, id):
    """Let money out again."""
    wallet = wallets.access(id, actor=request.actor)
    form = PageForm(_sent(request))
    is_active = wallet.status == Wallet.Status.ACTIVE
    context = {
        "title": "Unfreeze wallet",
        "effects": [
            "Money can leave it again at once, by anybody who may send it.",
            "Payment links that pay out of it can be claimed again.",
        ],
        "verb": "Unfreeze the wallet",
        "hindrance": _closed(wallet) or ("It is not frozen." if is_active else ""),
    }
    return _carried_out(
        request,
        form,
        lambda: wallets.unfreeze(wallet, actor=request.actor),
        say="The wallet can be used again.",
    ) or _form(request, form, context, wallet)


@dashboard(GET="wallets:write", POST="wallets:write")
def close(request, id):
    """End an empty wallet."""
    wallet = wallets.access(id, actor=request.actor)
    form = PageForm(_sent(request))
    context = {
        "title": "Close wallet",
        "effects": [
            "Nothing can be paid into it or out of it any more.",
            "Its entries stay, and can be read as before.",
            "It cannot be opened again.",
        ],
        "verb": "Close the wallet",
        "is_grave": True,
        "hindrance": _closed(wallet) or wallets.closing_blocker(wallet),
    }
    return _carried_out(
        request,
        form,
        lambda: wallets.close(wallet, actor=request.actor),
        say="The wallet is closed.",
    ) or _form(request, form, context, wallet)


def _closed(wallet: Wallet) -> str:
    return "The wallet is closed." if wallet.status == Wallet.Status.CLOSED else ""


def _frozen(wallet: Wallet, why: str = "The wallet is frozen. Unfreeze it first.") -> str:
    return why if wallet.status == Wallet.Status.FROZEN else ""


def _used_up(left: Decimal) -> str:
    return "" if left else "It was given the 100,000 that a sandbox wallet can be given in all."


def _sent(request):
    return request.POST if request.method == "POST" else None


def _carried_out(request, form, work, *, say: str):
    """The way to the wallet that `work()` answers, or None while the form is to be shown."""
    if not (form.is_bound and form.is_valid()):
        return None
    return pages.submit(
        request, form, work, done=lambda wallet: pages.to(request, "wallet", id=wallet.id), say=say
    )


def _form(request, form, context, wallet=None, *, template="accounts/wallets/wallet_form.html"):
    if wallet:
        context |= {"wallet": wallet, "back": pages.to(request, "wallet", id=wallet.id)}
    status = pages.UNPROCESSABLE if form.is_bound else 200
    return pages.render(request, template, {"form": form} | context, status=status)
