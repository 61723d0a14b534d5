"""The lines and holds of a wallet's account, told to people."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from accounts.ledger import statements
from accounts.ledger.models import Entry, Hold
from accounts.models import Payment
from accounts.services import activity
from accounts.services.activity import Names
from wallgent.actors import Actor
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
class Promise:
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
    """The entries of one wallet of the actor, told in two queries however many there are."""
    entries = list(entries)
    payments = Payment.objects.in_bulk([entry.transaction_id for entry in entries])
    ends = {id for p in payments.values() for id in (p.sender_id, p.recipient_id)}
    names = Names(ends, actor=actor)
    return [_line(entry, payments.get(entry.transaction_id), names) for entry in entries]


def _line(entry: Entry, payment: Payment | None, names: Names) -> Line:
    leaves = entry.type == Entry.Type.DEBIT
    reason = entry.transaction.reason
    return Line(
        what=_of_payment(payment, leaves, names)
        if payment
        else _REASONS.get(reason, plain(reason)),
        description=payment.description if payment else "",
        page=activity.page_of(payment.id) if payment else "",
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
    "transfer_return": "Return of a transfer",
}


def plain(reason: str) -> str:
    """A purpose as the book names it, in words: payment_link, Payment link."""
    return reason.replace("_", " ").capitalize()


def promises(holds: Iterable[Hold]) -> list[Promise]:
    """The holds of one wallet of the actor."""
    return [
        Promise(
            what=plain(hold.reason),
            page=activity.page_of(hold.reference),
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
