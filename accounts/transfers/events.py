"""The event types of transfers (contract 4.2)."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from accounts.transfers.models import RailType, Transfer
from wallgent.api.schemas import AmountText, From, TimeText, one_of
from wallgent.events.catalogue import event
from wallgent.events.descriptions import Names, money_text
from wallgent.events.schemas import Payload
from wallgent.money import Currency

transfer_event = partial(event, permission="payments:read")


def _moved(out: str, into: str) -> Callable[[dict, Names], str]:
    """Return the describer of a transfer, with a phrase for each direction."""

    def describe(data: dict, names: Names) -> str:
        is_out = data["direction"] == Transfer.Direction.WITHDRAWAL
        rail = RailType(data["railType"]).label
        moved = f"{money_text(data)} {out if is_out else into} {names.of(data['walletId'])}"
        reason = data.get("failureReason")
        return f"{moved} by {rail}: {reason}" if reason else f"{moved} by {rail}"

    return describe


@transfer_event("transfer.created", _moved("ordered out of", "ordered into"), icon="landmark")
@transfer_event(
    "transfer.processing",
    _moved("under way from", "under way into"),
    icon="landmark",
    tone="info",
)
@transfer_event(
    "transfer.cancelled", _moved("kept back in", "no longer expected in"), icon="circle-x"
)
@event("transfer.asked_about", "Rail asked how far {money} has come", icon="search")
class TransferEvent(Payload):
    transfer_id: Annotated[str, From("id")]
    wallet_id: str
    direction: one_of(Transfer.Direction)
    rail_type: one_of(RailType)
    amount: AmountText
    currency: one_of(Currency)
    fee: AmountText
    status: one_of(Transfer.Status)


@transfer_event(
    "transfer.completed", _moved("paid out of", "received in"), icon="circle-check", tone="success"
)
class TransferCompleted(TransferEvent):
    transaction_id: str
    completed_at: TimeText


@transfer_event(
    "transfer.failed",
    _moved("not paid out of", "not received in"),
    icon="circle-alert",
    tone="error",
)
class TransferFailed(TransferEvent):
    failure_code: str
    failure_reason: str


@transfer_event(
    "transfer.returned", _moved("returned to", "taken back from"), icon="undo-2", tone="warning"
)
class TransferReturned(TransferFailed):
    transaction_id: Annotated[str, From("return_transaction_id")]
    returned_at: TimeText
    charged_wallet_id: str | None


@event(
    "transfer.suspended",
    "{money} kept aside, as {walletId} could not take it: write to support",
    icon="circle-alert",
    tone="warning",
)
class TransferSuspended(TransferEvent):
    suspended_id: str
    transaction_id: str


@event(
    "wallet.charged",
    "{money} charged to {walletId}: a deposit into closed wallet {closedWalletId} returned",
    icon="undo-2",
    tone="warning",
)
class WalletCharged(Payload):
    wallet_id: Annotated[str, From("id")]
    closed_wallet_id: str
    transfer_id: str
    transaction_id: str
    amount: AmountText
    currency: one_of(Currency)
    new_balance: Annotated[AmountText, From("account.balance")]
    debt: Annotated[AmountText, From("account.debt")]
