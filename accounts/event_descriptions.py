"""How this app's facts are told to people."""

from accounts.transfers.models import RailType, Transfer
from wallgent.events import descriptions
from wallgent.events.descriptions import Names, Telling


def declare_all() -> None:
    """Make them known, and which page shows which thing. Called once, at start."""
    for type, telling in _TELLINGS.items():
        descriptions.tell(type, telling)
    for prefix, page in (
        ("wal", "wallet"),
        ("txn", "payment"),
        ("key", "api-key"),
        ("apr", "approval"),
    ):
        descriptions.show(prefix, page)


def money_text(data: dict) -> str:
    """The amount a fact names, such as 1,250.00 USD."""
    whole, _, decimals = data["amount"].partition(".")
    return f"{int(whole):,}.{decimals} {data['currency']}"


def _paid(data: dict, names: Names) -> str:
    sender, recipient = names.of(data["from"]), names.of(data["to"])
    if names.owns(data["from"]) and names.owns(data["to"]):
        return f"{money_text(data)} moved from {sender} to {recipient}"
    if names.owns(data["from"]):
        return f"{money_text(data)} paid from {sender} to {recipient}"
    return f"{money_text(data)} received in {recipient} from {sender}"


def _payment_failed(data: dict, names: Names) -> str:
    return _with_reason(f"Payment of {money_text(data)} from {names.of(data['from'])} failed", data)


def _payment_reversed(data: dict, names: Names) -> str:
    if names.owns(data["from"]):
        return _with_reason(f"{money_text(data)} given back to {names.of(data['from'])}", data)
    return _with_reason(f"{money_text(data)} given back from {names.of(data['to'])}", data)


def _with_reason(sentence: str, data: dict) -> str:
    return f"{sentence}: {data['reason']}" if data.get("reason") else sentence


def _asked(data: dict, names: Names) -> str:
    to, of = names.of(data["to"]), names.of(data["from"])
    return f"{to} asks for {money_text(data)} from {of}"


def _decided(deed: str):
    return lambda data, names: _with_reason(f"Request to pay {deed}", data)


def _wallet(deed: str):
    return lambda data, names: f"Wallet {names.of(data['walletId'])} {deed}"


def _wallet_frozen(data: dict, names: Names) -> str:
    return _with_reason(f"Wallet {names.of(data['walletId'])} frozen", data)


def _wallet_funded(data: dict, names: Names) -> str:
    if data["source"] != "sandbox":
        return f"{money_text(data)} arrived in {names.of(data['walletId'])}"
    return f"{money_text(data)} of sandbox money funded into {names.of(data['walletId'])}"


def _wallet_charged(data: dict, names: Names) -> str:
    wallet, closed = names.of(data["walletId"]), names.of(data["closedWalletId"])
    return f"{money_text(data)} charged to {wallet}: a deposit into closed wallet {closed} returned"


def _transfer(out: str, into: str):
    def sentence(data: dict, names: Names) -> str:
        is_out = data["direction"] == Transfer.Direction.WITHDRAWAL
        rail = RailType(data["railType"]).label
        deed = f"{money_text(data)} {out if is_out else into} {names.of(data['walletId'])}"
        reason = data.get("failureReason")
        return f"{deed} by {rail}: {reason}" if reason else f"{deed} by {rail}"

    return sentence


def _asked_about(data: dict, names: Names) -> str:
    return f"Rail asked how far {money_text(data)} has come"


def _suspended(data: dict, names: Names) -> str:
    wallet = names.of(data["walletId"])
    return f"{money_text(data)} kept aside, as {wallet} could not take it: write to support"


def _clock_advanced(data: dict, names: Names) -> str:
    days, seconds = divmod(data["bySeconds"], 24 * 3600)
    hours, minutes = divmod(seconds // 60, 60)
    parts = ((days, "days"), (hours, "hours"), (minutes, "minutes"), (seconds % 60, "seconds"))
    by = ", ".join(f"{count} {unit}" for count, unit in parts if count)
    return f"Sandbox clock moved forward by {by}"


def _api_key(deed: str):
    return lambda data, names: f"API key {descriptions.printed(data['name'])} {deed}"


def _organization(deed: str):
    return lambda data, names: f"Organization {descriptions.printed(data['name'])} {deed}"


def _role(deed: str):
    return lambda data, names: f"{deed} as {data['role'].lower()}"


_TELLINGS = {
    "payment.completed": Telling(_paid, "arrow-left-right", "success"),
    "payment.failed": Telling(_payment_failed, "circle-alert", "error"),
    "payment.reversed": Telling(_payment_reversed, "undo-2"),
    "approval.created": Telling(_asked, "user-check", "warning", is_ours=False),
    "approval.approved": Telling(_decided("approved"), "circle-check", "success"),
    "approval.rejected": Telling(_decided("rejected"), "circle-x"),
    "approval.expired": Telling(_decided("ended without a decision"), "timer-off"),
    "wallet.created": Telling(_wallet("opened"), "wallet"),
    "wallet.updated": Telling(_wallet("changed"), "pencil"),
    "wallet.funded": Telling(_wallet_funded, "coins", "success"),
    "wallet.charged": Telling(_wallet_charged, "undo-2", "warning"),
    "wallet.frozen": Telling(_wallet_frozen, "snowflake", "info"),
    "wallet.unfrozen": Telling(_wallet("unfrozen"), "lock-open"),
    "wallet.closed": Telling(_wallet("closed"), "archive"),
    "transfer.created": Telling(_transfer("ordered out of", "ordered into"), "landmark"),
    "transfer.processing": Telling(
        _transfer("under way from", "under way into"), "landmark", "info"
    ),
    "transfer.completed": Telling(
        _transfer("paid out of", "received in"), "circle-check", "success"
    ),
    "transfer.failed": Telling(
        _transfer("not paid out of", "not received in"), "circle-alert", "error"
    ),
    "transfer.cancelled": Telling(_transfer("kept back in", "no longer expected in"), "circle-x"),
    "transfer.returned": Telling(_transfer("returned to", "taken back from"), "undo-2", "warning"),
    "transfer.asked_about": Telling(_asked_about, "search"),
    "transfer.suspended": Telling(_suspended, "circle-alert", "warning"),
    "sandbox.clock_advanced": Telling(_clock_advanced, "clock"),
    "api_key.created": Telling(_api_key("made"), "key-round"),
    "api_key.updated": Telling(_api_key("changed"), "key-round"),
    "api_key.revoked": Telling(_api_key("revoked"), "ban"),
    "organization.created": Telling(_organization("opened"), "building-2"),
    "organization.updated": Telling(_organization("changed"), "building-2"),
    "organization.activated": Telling(_organization("activated for production"), "badge-check"),
    "member.invited": Telling(_role("Somebody invited"), "mail"),
    "member.joined": Telling(_role("New member"), "user-plus"),
    "member.role_changed": Telling(_role("A member goes on"), "user"),
    "member.removed": Telling(lambda data, names: "Member removed", "user-minus"),
    "invitation.revoked": Telling(lambda data, names: "Invitation revoked", "ban"),
}
