"""Handlers of transfer outcomes, run in the transaction that posts the money."""

from collections.abc import Callable
from enum import StrEnum

from accounts.transfers.models import Transfer
from wallgent.actors import Actor


class Outcome(StrEnum):
    """The first four end a transfer; the others concern one incoming payment.

    While the handler runs, that payment is `transfer.incoming_payment`.
    """

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    RETURNED = "RETURNED"  # some time after COMPLETED
    CANCELLED = "CANCELLED"
    PARTIAL = "PARTIAL"  # credited; part of the amount is still missing
    EXCESS = "EXCESS"  # credited; more than the amount
    LATE = "LATE"  # credited, after the transfer ended or its deadline passed
    WRONG_CHAIN = "WRONG_CHAIN"  # not credited


Handler = Callable[..., None]

_handlers: dict[str, Handler] = {}
_locks: dict[str, Callable[[Transfer], None]] = {}


def on_outcome(
    purpose: str, handler: Handler, *, lock: Callable[[Transfer], None] | None = None
) -> None:
    """Call `handler(transfer, outcome, *, actor)` for transfers with this purpose. At start only.

    The handler runs after the money is posted, in the same transaction: an exception rolls back
    both, and they are retried. The ending outcomes occur at most once for each transfer.
    `lock(transfer)` takes the row locks that the purpose takes before it starts or cancels a
    transfer: parents first, then the transfer, then balances, so that the two never deadlock.
    """
    assert purpose not in _handlers, f"{purpose} has a handler already"
    _handlers[purpose] = handler
    if lock:
        _locks[purpose] = lock


def has_handler(purpose: str) -> bool:
    """Whether a handler is registered for a purpose; the empty purpose needs none."""
    return not purpose or purpose in _handlers


def lock_parents(transfer: Transfer) -> None:
    """Lock the rows that the transfer's purpose locks before the transfer itself."""
    if lock := _locks.get(transfer.purpose):
        lock(transfer)


def notify(transfer: Transfer, outcome: Outcome, *, actor: Actor) -> None:
    """Call the handler of the transfer's purpose, if it has one."""
    if handler := _handlers.get(transfer.purpose):
        handler(transfer, outcome, actor=actor)
