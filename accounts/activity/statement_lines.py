"""The lines and holds of a wallet's account, told to people."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from accounts.ledger import statements
from accounts.ledger.models import Entry, Hold
from accounts.payments.models import Payment
from accounts.transfers.models import Transfer
from wallgent.actors import Actor
from wallgent.events import descriptions
from wallgent.events.descriptions import Names
from wallgent.money import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One movement on a wallet's account, and what it was."""

    what: str
    description: str
    page: str  # the URL name of the page of what it settled, if there is one
    id: str
    change: Decimal  # signed: what left is below zero
    fee: Decimal  # the part of it that is a fee
    balance_after: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A hold on a wallet's account, and what it is for."""

    what: str
    page: str
    id: str  # of what it is for
    amount: Decimal
    captured: Decimal
    remaining: Decimal
    status: str
    at: datetime
    expires_at: datetime | None


def lines(entries: Iterable[Entry], *, actor: Actor) -> list[Line]:
    """The entries of one wallet of the actor, told in as many queries however many there are."""
    entries = list(entries)
    payments = Payment.objects.in_bulk([entry.transaction_id for entry in entries])
    returns = _returns(entries)
    ends = {id for p in payments.values() for id in (p.sender_id, p.recipient_id)}
    names = Names(ends | {transfer.wallet_id for transfer in returns.values()}, actor=actor)
    return [_line(entry, payments, returns, names) for entry in entries]


def _returns(entries: list[Entry]) -> dict[str, Transfer]:
    """The returned transfers by the transaction that booked it."""
    of_returns = [e.transaction_id for e in entries if e.transaction.reason == _RETURN]
    if not of_returns:
        return {}
    found = Transfer.objects.filter(return_transaction__in=of_returns)
    return {transfer.return_transaction_id: transfer for transfer in found}


def _line(
    entry: Entry, payments: dict[str, Payment], returns: dict[str, Transfer], names: Names
) -> Line:
    leaves = entry.type == Entry.Type.DEBIT
    reason, payment = entry.transaction.reason, payments.get(entry.transaction_id)
    what, description = _REASONS.get(reason, plain(reason)), ""
    if payment:
        what, description = _of_payment(payment, leaves, names), payment.description
    elif transfer := returns.get(entry.transaction_id):
        description = _of_return(transfer, names)
    return Line(
        what=what,
        description=description,
        page=descriptions.page_of(payment.id) if payment else "",
        id=entry.transaction_id,
        change=-entry.amount if leaves else entry.amount,
        fee=payment.fee if payment and leaves else ZERO,
        balance_after=entry.balance_after,
        at=entry.transaction.created_at,
    )


def _of_payment(payment: Payment, leaves: bool, names: Names) -> str:
    to, source = _KINDS[payment.kind]
    if leaves:
        return f"{to} {names.of(payment.recipient_id)}"
    return f"{source} {names.of(payment.sender_id)}"


def _of_return(transfer: Transfer, names: Names) -> str:
    """Which transfer was returned, why, and which wallet it was for where that is another."""
    said = f"Transfer {transfer.id}"
    if transfer.charged_wallet_id:
        said = f"{said} into wallet {names.of(transfer.wallet_id)}, which could not give it back"
    return f"{said}: {transfer.failure_reason}" if transfer.failure_reason else said


_RETURN = "transfer_return"
_KINDS = {
    Payment.Kind.PAYMENT: ("Payment to", "Payment from"),
    Payment.Kind.INTERNAL: ("Transfer to", "Transfer from"),
    Payment.Kind.REVERSAL: ("Given back to", "Given back by"),
    Payment.Kind.PAYMENT_LINK: ("Payment link claimed by", "Payment link of"),
}
_REASONS = {
    "funding": "Sandbox money",
    "deposit": "Deposit",
    "withdrawal": "Withdrawal",
    _RETURN: "Return of a transfer",
}


def plain(reason: str) -> str:
    """A purpose as the book names it, in words: payment_link, Payment link."""
    return reason.replace("_", " ").capitalize()


def hold_rows(holds: Iterable[Hold]) -> list[HoldRow]:
    """The holds of one wallet of the actor."""
    return [
        HoldRow(
            what=plain(hold.reason),
            page=descriptions.page_of(hold.reference),
            id=hold.reference,
            amount=hold.amount,
            captured=hold.captured,
            remaining=hold.remaining,
            status=statements.hold_status(hold),
            at=hold.created_at,
            expires_at=hold.expires_at,
        )
        for hold in holds
    ]
