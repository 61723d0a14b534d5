"""The entries and holds of a wallet's account as its page shows them."""

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
    """One entry on a wallet's account with its label and description."""

    label: str
    description: str
    page: str  # the URL name of the page of its payment, or an empty string
    id: str
    change: Decimal  # negative for money that left
    fee: Decimal  # the part of `change` that is a fee
    balance_after: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A hold on a wallet's account with the label of its purpose."""

    label: str
    page: str
    id: str  # of the object that it is for
    amount: Decimal
    captured: Decimal
    remaining: Decimal
    status: str
    at: datetime
    expires_at: datetime | None


def lines(entries: Iterable[Entry], *, actor: Actor) -> list[Line]:
    """Describe entries of one wallet of the actor, in a constant number of queries."""
    entries = list(entries)
    payments = Payment.objects.in_bulk([entry.transaction_id for entry in entries])
    returns = _returns(entries)
    wallet_ids = {id for p in payments.values() for id in (p.sender_id, p.recipient_id)}
    names = Names(wallet_ids | {transfer.wallet_id for transfer in returns.values()}, actor=actor)
    return [_line(entry, payments, returns, names) for entry in entries]


def _returns(entries: list[Entry]) -> dict[str, Transfer]:
    """The returned transfers by the id of the transaction that posted the return."""
    return_ids = [e.transaction_id for e in entries if e.transaction.reason == _RETURN]
    if not return_ids:
        return {}
    found = Transfer.objects.filter(return_transaction__in=return_ids)
    return {transfer.return_transaction_id: transfer for transfer in found}


def _line(
    entry: Entry, payments: dict[str, Payment], returns: dict[str, Transfer], names: Names
) -> Line:
    is_outgoing = entry.type == Entry.Type.DEBIT
    reason, payment = entry.transaction.reason, payments.get(entry.transaction_id)
    label, description = _REASONS.get(reason, _readable(reason)), ""
    if payment:
        label, description = _payment_label(payment, is_outgoing, names), payment.description
    elif transfer := returns.get(entry.transaction_id):
        description = _return_description(transfer, names)
    return Line(
        label=label,
        description=description,
        page=descriptions.page_of(payment.id) if payment else "",
        id=entry.transaction_id,
        change=-entry.amount if is_outgoing else entry.amount,
        fee=payment.fee if payment and is_outgoing else ZERO,
        balance_after=entry.balance_after,
        at=entry.transaction.created_at,
    )


def _payment_label(payment: Payment, is_outgoing: bool, names: Names) -> str:
    outgoing, incoming = _KINDS[payment.kind]
    if is_outgoing:
        return f"{outgoing} {names.of(payment.recipient_id)}"
    return f"{incoming} {names.of(payment.sender_id)}"


def _return_description(transfer: Transfer, names: Names) -> str:
    """Name the returned transfer, the reason, and its wallet where another wallet is charged."""
    text = f"Transfer {transfer.id}"
    if transfer.charged_wallet_id:
        text = f"{text} into wallet {names.of(transfer.wallet_id)}, which could not give it back"
    return f"{text}: {transfer.failure_reason}" if transfer.failure_reason else text


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


def _readable(reason: str) -> str:
    """Make a reason of the ledger readable: payment_link becomes Payment link."""
    return reason.replace("_", " ").capitalize()


def hold_rows(holds: Iterable[Hold]) -> list[HoldRow]:
    """Describe holds of one wallet of the actor."""
    return [
        HoldRow(
            label=_readable(hold.reason),
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
