"""The events of transfers: their payloads and how they are described (contract 4.2)."""

from collections.abc import Callable

from accounts.organizations.models import Organization
from accounts.transfers.models import RailType, Suspended, Transfer
from accounts.wallets.models import Wallet
from wallgent import money
from wallgent.api.schemas import timestamp_text
from wallgent.events.catalogue import declare
from wallgent.events.descriptions import (
    Description,
    Names,
    money_text,
)


def _transfer(transfer: Transfer, *, organization: Organization) -> dict:
    return {
        "transferId": transfer.id,
        "walletId": transfer.wallet_id,
        "direction": transfer.direction,
        "railType": transfer.rail_type,
        "amount": money.amount_text(transfer.amount),
        "currency": transfer.currency,
        "fee": money.amount_text(transfer.fee),
        "status": transfer.status,
    }


def _transfer_completed(transfer: Transfer, *, organization: Organization) -> dict:
    return _transfer(transfer, organization=organization) | {
        "transactionId": transfer.transaction_id,
        "completedAt": timestamp_text(transfer.completed_at),
    }


def _transfer_failed(transfer: Transfer, *, organization: Organization) -> dict:
    return _transfer(transfer, organization=organization) | {
        "failureCode": transfer.failure_code,
        "failureReason": transfer.failure_reason,
    }


def _transfer_returned(transfer: Transfer, *, organization: Organization) -> dict:
    return _transfer_failed(transfer, organization=organization) | {
        "transactionId": transfer.return_transaction_id,
        "returnedAt": timestamp_text(transfer.returned_at),
        "chargedWalletId": transfer.charged_wallet_id,
    }


def _transfer_suspended(
    transfer: Transfer, *, organization: Organization, suspended: Suspended
) -> dict:
    return _transfer(transfer, organization=organization) | {
        "amount": money.amount_text(suspended.amount),
        "suspendedId": suspended.id,
        "transactionId": suspended.transaction_id,
    }


def _wallet_charged(
    wallet: Wallet,
    *,
    organization: Organization,
    transfer: Transfer,
    closed: Wallet,
    transaction_id: str,
) -> dict:
    return {
        "walletId": wallet.id,
        "closedWalletId": closed.id,
        "transferId": transfer.id,
        "transactionId": transaction_id,
        "amount": money.amount_text(transfer.amount),
        "currency": transfer.currency,
        "newBalance": money.amount_text(wallet.account.balance),
        "debt": money.amount_text(wallet.account.debt),
    }


def _describe_charge(data: dict, names: Names) -> str:
    wallet, closed = names.of(data["walletId"]), names.of(data["closedWalletId"])
    return f"{money_text(data)} charged to {wallet}: a deposit into closed wallet {closed} returned"


def _describe(out: str, into: str) -> Callable[[dict, Names], str]:
    """Return the describer of a transfer, with a phrase for each direction."""

    def describe(data: dict, names: Names) -> str:
        is_out = data["direction"] == Transfer.Direction.WITHDRAWAL
        rail = RailType(data["railType"]).label
        moved = f"{money_text(data)} {out if is_out else into} {names.of(data['walletId'])}"
        reason = data.get("failureReason")
        return f"{moved} by {rail}: {reason}" if reason else f"{moved} by {rail}"

    return describe


def _describe_check(data: dict, names: Names) -> str:
    return f"Rail asked how far {money_text(data)} has come"


def _describe_suspended(data: dict, names: Names) -> str:
    wallet = names.of(data["walletId"])
    return f"{money_text(data)} kept aside, as {wallet} could not take it: write to support"


def declare_all() -> None:
    """Declare the events of transfers. Called once, at start."""
    declare(
        "transfer.created",
        _transfer,
        Description(_describe("ordered out of", "ordered into"), "landmark"),
    )
    declare(
        "transfer.processing",
        _transfer,
        Description(_describe("under way from", "under way into"), "landmark", "info"),
    )
    declare(
        "transfer.completed",
        _transfer_completed,
        Description(_describe("paid out of", "received in"), "circle-check", "success"),
    )
    declare(
        "transfer.failed",
        _transfer_failed,
        Description(_describe("not paid out of", "not received in"), "circle-alert", "error"),
    )
    declare(
        "transfer.cancelled",
        _transfer,
        Description(_describe("kept back in", "no longer expected in"), "circle-x"),
    )
    declare(
        "transfer.returned",
        _transfer_returned,
        Description(_describe("returned to", "taken back from"), "undo-2", "warning"),
    )
    declare("transfer.asked_about", _transfer, Description(_describe_check, "search"), public=False)
    declare(
        "wallet.charged",
        _wallet_charged,
        Description(_describe_charge, "undo-2", "warning"),
        public=False,
    )
    declare(
        "transfer.suspended",
        _transfer_suspended,
        Description(_describe_suspended, "circle-alert", "warning"),
        public=False,
    )
