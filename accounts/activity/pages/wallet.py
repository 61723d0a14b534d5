"""The page of a wallet: its balance, and its entries, holds or activity."""

from accounts.activity import statement_lines
from accounts.ledger import movements, statements
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent.events import descriptions, timeline
from wallgent.events.models import Event
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

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


_ACTIVITY = {"at": Column(label="When", sort="pk")}


_PART_LABELS = [("entries", "Entries"), ("holds", "Holds"), ("activity", "Activity")]


@dashboard("wallets", GET="wallets:read")
def show(request, id):
    """Show a wallet with its entries, or with its holds or activity (`?show=`)."""
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
        "may": wallets.possible_actions(wallet, actor=request.actor),
    }
    return pages.render(request, "accounts/activity/wallet.html", context)


def _entries(request, wallet: Wallet):
    entries = statements.lines(wallet.account_id)
    listing = Listing(request, entries, columns=_ENTRIES, default="-at")
    return listing, statement_lines.lines(listing.rows, actor=request.actor)


def _holds(request, wallet: Wallet):
    holds = statements.holds(wallet.account_id)
    listing = Listing(request, holds, columns=_HOLDS, default="-at")
    rows = [
        {
            "hold": hold,
            "label": movements.of(hold.reason, is_hold=True).label,
            "page": descriptions.page_of(hold.reference),
            "status": statements.hold_status(hold),
        }
        for hold in listing.rows
    ]
    return listing, rows


def _activity(request, wallet: Wallet):
    events = Event.objects.visible_to(request.actor).filter(subject=wallet.id)
    listing = Listing(request, events, columns=_ACTIVITY, default="-at")
    return listing, timeline.activities(listing.rows, actor=request.actor)


_PARTS = {"entries": _entries, "holds": _holds, "activity": _activity}
