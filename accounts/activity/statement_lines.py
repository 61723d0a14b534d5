"""The entries of a wallet's account as its page shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from accounts.ledger import movements
from accounts.ledger.models import Entry
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


def lines(entries: Iterable[Entry], *, actor: Actor) -> list[Line]:
    """Describe entries of one wallet of the actor, in a constant number of queries."""
    entries = list(entries)
    payments = Payment.objects.in_bulk([entry.transaction_id for entry in entries])
    returns = _returns([entry for entry in entries if entry.transaction_id not in payments])
    wallet_ids = {id for p in payments.values() for id in (p.sender_id, p.recipient_id)}
    names = Names(wallet_ids | {transfer.wallet_id for transfer in returns.values()}, actor=actor)
    return [_line(entry, payments, returns, names) for entry in entries]


def _returns(entries: list[Entry]) -> dict[str, Transfer]:
    """The returned transfers by the id of the transaction that posted the return."""
    return_ids = [e.transaction_id for e in entries if e.transaction.reverses_id]
    if not return_ids:
        return {}
    found = Transfer.objects.filter(return_transaction__in=return_ids)
    return {transfer.return_transaction_id: transfer for transfer in found}


def _line(
    entry: Entry, payments: dict[str, Payment], returns: dict[str, Transfer], names: Names
) -> Line:
    is_outgoing = entry.type == Entry.Type.DEBIT
    label, description = movements.of(entry.transaction.reason).side(is_outgoing), ""
    if payment := payments.get(entry.transaction_id):
        other_id = payment.recipient_id if is_outgoing else payment.sender_id
        label, description = f"{label} {names.of(other_id)}", payment.description
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
        at=entry.created_at,
    )


def _return_description(transfer: Transfer, names: Names) -> str:
    """Name the returned transfer, the reason, and its wallet where another wallet is charged."""
    text = f"Transfer {transfer.id}"
    if transfer.charged_wallet_id:
        text = f"{text} into wallet {names.of(transfer.wallet_id)}, which could not give it back"
    return f"{text}: {transfer.failure_reason}" if transfer.failure_reason else text
