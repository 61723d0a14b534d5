"""Ledger postings of transfers. Callers hold the transfer's lock."""

import uuid
from decimal import Decimal

from django.db import transaction

from accounts.ledger import chart, holds, journal
from accounts.ledger.journal import Move, Posting
from accounts.ledger.models import Entry, LedgerAccount
from accounts.organizations.services import organizations
from accounts.transfers.models import RailType, Transfer
from accounts.transfers.services import suspense
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent import clock, events, ids

_Kind = LedgerAccount.Kind


def open_accounts() -> None:
    """Create the missing ledger accounts of every rail."""
    for rail_type in RailType:
        chart.open_system_accounts(rail_type.ledger_name, [rail_type.currency])


def post_withdrawal(transfer: Transfer) -> str:
    """Capture the hold of a completed withdrawal. Returns the ledger transaction's id."""
    posting = Posting(
        id=ids.new("txn"),
        moves=tuple(_moves_to_rail(transfer, transfer.wallet.account_id, transfer.amount)),
        reason="withdrawal",
        memo=transfer.description,
    )
    holds.capture(
        transfer.hold_id,
        posting,
        amount=transfer.amount,
        operation=_operation_id(transfer, "capture"),
        ahead=clock.offset(transfer),
        forced=True,  # the money has left: a freeze since then cannot stop it
    )
    return posting.id


def release_hold(transfer: Transfer) -> None:
    """Release the hold of a failed or canceled withdrawal, unless its purpose owns the hold."""
    if transfer.owns_hold:
        operation = _operation_id(transfer, "release")
        holds.release(transfer.hold_id, operation=operation, ahead=clock.offset(transfer))


def post_deposit(transfer: Transfer, amount: Decimal) -> str:
    """Credit the wallet with an amount received over the rail. Returns the transaction's id.

    If the wallet is closed or full, the money goes into suspense.
    """
    moves = [
        Move(move.credit, move.debit, move.amount, move.currency)
        for move in reversed(_moves_to_rail(transfer, transfer.wallet.account_id, amount))
    ]
    return _credit(transfer, moves, reason="deposit", memo=transfer.description)


def post_return(transfer: Transfer) -> str:
    """Reverse each move of a completed transfer. Returns the ledger transaction's id.

    The bank has debited us for a returned deposit, so what the wallet lacks becomes its debt.
    Money in suspense is taken from there, or from the wallet it was paid into since. If that
    wallet is closed, the default wallet is charged. A returned withdrawal to a closed wallet goes
    into suspense. Sets `transfer.charged_wallet` if another wallet is charged; the caller saves.
    """
    moves = [
        Move(credit.account_id, debit.account_id, debit.amount, debit.currency)
        for debit, credit in _entry_pairs(transfer.transaction_id)
    ]
    details = {
        "reason": "transfer_return",
        "memo": transfer.failure_reason,
        "reverses": transfer.transaction_id,
    }
    if transfer.direction == Transfer.Direction.WITHDRAWAL:
        return _credit(transfer, moves, **details)
    suspended, charged = suspense.find(transfer.transaction_id), transfer.wallet
    if suspended and suspended.wallet:
        charged = suspended.wallet
        moves = _replace_account(moves, suspense.account_id(transfer), charged.account_id)
    try:
        with transaction.atomic():
            transaction_id = _post(transfer, moves, **details)
    except journal.Refused as refused:
        if refused.outcome != "CLOSED":
            raise
        transaction_id, charged = _charge_default(transfer, charged, moves, **details)
    if charged.id != transfer.wallet_id:
        transfer.charged_wallet = charged
    if suspended and not suspended.ended_at:
        suspense.end(suspended, transaction_id)
    return transaction_id


def _charge_default(
    transfer: Transfer, closed: Wallet, moves: list[Move], **details
) -> tuple[str, Wallet]:
    """Charge a return to the organization's default wallet instead of a closed wallet."""
    actor = organizations.system_actor(transfer.organization, transfer.environment)
    default = wallets.get_or_create_default(actor=actor, currency=transfer.currency)
    moves = _replace_account(moves, closed.account_id, default.account_id)
    transaction_id = _post(transfer, moves, **details)
    default.account.refresh_from_db()
    events.record(
        "wallet.charged",
        default,
        actor=actor,
        closed_wallet_id=closed.id,
        transfer_id=transfer.id,
        transaction_id=transaction_id,
        amount=transfer.amount,
    )
    return transaction_id, default


def is_credited(transfer: Transfer, transaction_id: str) -> bool:
    """Whether a transaction posted to the wallet's own account, not to suspense in its place."""
    entries = Entry.objects.filter(transaction=transaction_id)
    return entries.filter(account=transfer.wallet.account_id).exists()


def _moves_to_rail(transfer: Transfer, account_id: str, amount: Decimal) -> list[Move]:
    """The moves from an account to the rail's treasury, converted 1:1 if currencies differ."""
    rail, book = RailType(transfer.rail_type), transfer.environment
    treasury = chart.treasury(book, rail.currency, rail.ledger_name)
    if transfer.currency == rail.currency:
        return [Move(account_id, treasury, amount, rail.currency)]
    ours, theirs = (
        chart.system_id(book, _Kind.EXCHANGE, currency)
        for currency in (transfer.currency, rail.currency)
    )
    return [
        Move(account_id, ours, amount, transfer.currency),
        Move(theirs, treasury, amount, rail.currency),
    ]


def _credit(transfer: Transfer, moves: list[Move], **details) -> str:
    """Post moves that credit the wallet, or the suspense account if it is closed or full.

    The money is already with us, so the posting must succeed. Returns the transaction's id.
    """
    try:
        with transaction.atomic():
            return _post(transfer, moves, **details)
    except journal.Refused as refused:
        if refused.outcome not in ("CLOSED", "FULL"):
            raise
    wallet_account_id = transfer.wallet.account_id
    replaced = _replace_account(moves, wallet_account_id, suspense.account_id(transfer))
    transaction_id = _post(transfer, replaced, **details)
    amount = sum(move.amount for move in moves if move.credit == wallet_account_id)
    suspense.record(transfer, amount, transaction_id)
    return transaction_id


def _replace_account(moves: list[Move], old_id: str, new_id: str) -> list[Move]:
    """The same moves, with one account replaced by another."""
    replacement = {old_id: new_id}
    return [
        Move(
            replacement.get(move.debit, move.debit),
            replacement.get(move.credit, move.credit),
            move.amount,
            move.currency,
        )
        for move in moves
    ]


def _post(transfer: Transfer, moves: list[Move], **details) -> str:
    posting = Posting(id=ids.new("txn"), moves=tuple(moves), **details)
    journal.post_set(
        [posting], book=transfer.environment, ahead=clock.offset(transfer), forced=True
    )
    return posting.id


def _entry_pairs(transaction_id: str) -> list[tuple[Entry, Entry]]:
    """The debit and the credit of a transaction, for each of its currencies."""
    entries = Entry.objects.filter(transaction=transaction_id).order_by("currency", "-type")
    found = list(entries)  # the debit first in each currency
    assert len(found) % 2 == 0, "a transfer has one debit and one credit in each currency"
    return list(zip(found[::2], found[1::2], strict=True))


def _operation_id(transfer: Transfer, step: str) -> uuid.UUID:
    """The id of a step on the transfer's hold: the same at every attempt, for idempotency."""
    return uuid.uuid5(ids.to_uuid(transfer.id), step)
