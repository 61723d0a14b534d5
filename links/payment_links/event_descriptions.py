"""How this app's facts are told to people."""

from accounts.event_descriptions import money_text
from accounts.organizations.models import LinkDirection
from wallgent.events import descriptions
from wallgent.events.descriptions import Names, Telling, printed


def declare_all() -> None:
    """Make them known, and the page of a link. Called once, at start."""
    descriptions.show("lnk", "payment-link")
    descriptions.show("lbt", "payment-link-batch")
    for type, telling in _TELLINGS.items():
        descriptions.tell(type, telling)


def _created(data: dict, names: Names) -> str:
    if data["direction"] == LinkDirection.SEND:
        return f"Link made that pays {money_text(data)} from {names.of(data['walletId'])}"
    return f"Link made that asks for {money_text(data)} into {names.of(data['walletId'])}"


def _link(deed: str):
    return lambda data, names: f"Link over {money_text(data)} {deed}"


def _settled(data: dict, names: Names) -> str:
    did = "paid out" if data["direction"] == LinkDirection.SEND else "paid"
    return f"Link over {money_text(data)} {did}"


def _reopened(data: dict, names: Names) -> str:
    return f"Link over {money_text(data)} open again: {printed(data['reason'])}"


def _sent(data: dict, names: Names) -> str:
    return f"Link sent to {printed(data['recipient'])}"


def _confirmed(data: dict, names: Names) -> str:
    return f"{data['rows']:,} links ordered by file"


_TELLINGS = {
    "payment_link.created": Telling(_created, "link"),
    "payment_link.claimed": Telling(_link("claimed"), "hand-coins", "info"),
    "payment_link.settled": Telling(_settled, "circle-check", "success"),
    "payment_link.expired": Telling(_link("expired"), "timer-off"),
    "payment_link.cancelled": Telling(_link("cancelled"), "circle-x"),
    "payment_link.sent": Telling(_sent, "mail", "info"),
    "payment_link_batch.confirmed": Telling(_confirmed, "list", "info"),
    "payment_link.reopened": Telling(_reopened, "undo-2", "warning"),
}
