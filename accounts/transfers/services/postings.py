"""What transfers do to the ledger. Callers hold the transfer's lock."""

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


def pay_out(transfer: Transfer) -> str:
    """Take the money of a completed withdrawal out of its hold; the transaction's id."""
    posting = Posting(
        id=ids.new("txn"),
        moves=tuple(_to_rail(transfer, transfer.wallet.account_id, transfer.amount)),
        reason="withdrawal",
        memo=transfer.description,
    )
    holds.capture(
        transfer.hold_id,
        posting,
        amount=transfer.amount,
        operation=_step(transfer, "capture"),
        ahead=clock.offset(transfer),
        forced=True,  # it has left: a freeze since then cannot keep it
    )
    return posting.id


def release_hold(transfer: Transfer) -> None:
    """Give back what a withdrawal that came to nothing has held, unless its purpose keeps that."""
    if transfer.owns_hold:
        release = _step(transfer, "release")
        holds.release(transfer.hold_id, operation=release, ahead=clock.offset(transfer))


def pay_in(transfer: Transfer, amount: Decimal) -> str:
    """Credit the wallet with what has come over the rail; the transaction's id.

    What a wallet cannot take, because it was closed meanwhile or is full, waits in suspense.
    """
    moves = [
        Move(move.credit, move.debit, move.amount, move.currency)
        for move in reversed(_to_rail(transfer, transfer.wallet.account_id, amount))
    ]
    return _credit(transfer, moves, reason="deposit", memo=transfer.description)


def give_back(transfer: Transfer) -> str:
    """Book the return of a completed transfer: each move the other way; the transaction's id.

    The bank has taken a returned deposit from us, so what the wallet lacks becomes its debt. What
    waited in suspense is taken from there, or from the wallet that has got it since. What a closed
    wallet would have to give back is charged to the default wallet; what it would get waits in
    suspense. Sets `transfer.charged_wallet` if another wallet is charged; the caller saves it.
    """
    moves = [
        Move(credit.account_id, debit.account_id, debit.amount, debit.currency)
        for debit, credit in _sides(transfer.transaction_id)
    ]
    said = {
        "reason": "transfer_return",
        "memo": transfer.failure_reason,
        "reverses": transfer.transaction_id,
    }
    if transfer.direction == Transfer.Direction.WITHDRAWAL:
        return _credit(transfer, moves, **said)
    kept, charged = suspense.of(transfer.transaction_id), transfer.wallet
    if kept and kept.wallet:
        charged = kept.wallet
        moves = _instead_of(suspense.account(transfer), charged.account_id, moves)
    try:
        with transaction.atomic():
            transaction_id = _posted(transfer, moves, **said)
    except journal.Refused as refused:
        if refused.outcome != "CLOSED":
            raise
        transaction_id, charged = _charge_default(transfer, charged, moves, **said)
    if charged.id != transfer.wallet_id:
        transfer.charged_wallet = charged
    if kept and not kept.ended_at:
        suspense.end(kept, transaction_id)
    return transaction_id


def _charge_default(
    transfer: Transfer, closed: Wallet, moves: list[Move], **said
) -> tuple[str, Wallet]:
    """Book a return on the organization's default wallet, in place of one that is closed."""
    actor = organizations.system_actor(transfer.organization, transfer.environment)
    default = wallets.default_of(actor=actor, currency=transfer.currency)
    moves = _instead_of(closed.account_id, default.account_id, moves)
    transaction_id = _posted(transfer, moves, **said)
    default.account.refresh_from_db()
    charge = {"transfer": transfer, "closed": closed, "transaction_id": transaction_id}
    events.record("wallet.charged", default, actor=actor, **charge)
    return transaction_id, default


def is_credited(transfer: Transfer, transaction_id: str) -> bool:
    """Whether a transaction has brought the wallet its money, and not somebody in its place."""
    entries = Entry.objects.filter(transaction=transaction_id)
    return entries.filter(account=transfer.wallet.account_id).exists()


def _to_rail(transfer: Transfer, account_id: str, amount: Decimal) -> list[Move]:
    """The moves that bring money from an account of ours to the rail, 1:1 if it carries another."""
    rail, book = RailType(transfer.rail_type), transfer.environment
    treasury = chart.treasury(book, rail.currency, rail.book_name)
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


def _credit(transfer: Transfer, moves: list[Move], **said) -> str:
    """Credit the wallet with what is there already: nothing can refuse it any more.

    The suspense account stands in for a wallet that is closed, or cannot hold that much.
    """
    try:
        with transaction.atomic():
            return _posted(transfer, moves, **said)
    except journal.Refused as refused:
        if refused.outcome not in ("CLOSED", "FULL"):
            raise
    own, suspense = transfer.wallet.account_id, suspense.account(transfer)
    transaction_id = _posted(transfer, _instead_of(own, suspense, moves), **said)
    amount = sum(move.amount for move in moves if move.credit == own)
    suspense.keep(transfer, amount, transaction_id)
    return transaction_id


def _instead_of(account_id: str, other_id: str, moves: list[Move]) -> list[Move]:
    """The same moves, with another account in the place of one."""
    ends = {account_id: other_id}
    return [
        Move(
            ends.get(move.debit, move.debit),
            ends.get(move.credit, move.credit),
            move.amount,
            move.currency,
        )
        for move in moves
    ]


def _posted(transfer: Transfer, moves: list[Move], **said) -> str:
    posting = Posting(id=ids.new("txn"), moves=tuple(moves), **said)
    journal.post_set(
        [posting], book=transfer.environment, ahead=clock.offset(transfer), forced=True
    )
    return posting.id


def _sides(transaction_id: str) -> list[tuple[Entry, Entry]]:
    """The debit and the credit of a transaction, for each of its currencies."""
    entries = Entry.objects.filter(transaction=transaction_id).order_by("currency", "-type")
    found = list(entries)  # of each currency the debit first
    assert len(found) % 2 == 0, "our transfers move from one account to one other"
    return list(zip(found[::2], found[1::2], strict=True))


def _step(transfer: Transfer, name: str) -> uuid.UUID:
    """The operation on a hold: the same one however often it is tried."""
    return uuid.uuid5(ids.to_uuid(transfer.id), name)
