"""What came of a transfer, told to whatever it was for, in the same database transaction."""

from collections.abc import Callable
from enum import StrEnum

from accounts.transfers.models import Transfer
from wallgent.actors import Actor


class Outcome(StrEnum):
    """The first four are the end of a transfer; the others tell of one incoming payment.

    That payment is `transfer.arrived` while its handler runs.
    """

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    RETURNED = "RETURNED"  # some time after COMPLETED
    CANCELLED = "CANCELLED"
    PARTIAL = "PARTIAL"  # credited; something is still missing
    EXCESS = "EXCESS"  # credited; more than was asked for
    LATE = "LATE"  # credited, though nobody expected it any more
    WRONG_CHAIN = "WRONG_CHAIN"  # not credited


Handler = Callable[..., None]

_handlers: dict[str, Handler] = {}
_locks: dict[str, Callable[[Transfer], None]] = {}


def on_outcome(
    purpose: str, handler: Handler, *, lock: Callable[[Transfer], None] | None = None
) -> None:
    """Have `handler(transfer, outcome, *, actor)` told of transfers for `purpose`. At start only.

    It runs after the money is booked, inside the same transaction: raising undoes both, and they
    are tried again. It may be called once for each outcome only. `lock(transfer)` takes the row
    locks that the purpose takes before it starts or cancels a transfer: parents first, then the
    transfer, then balances, so that the two ways never wait for each other.
    """
    assert purpose not in _handlers, f"{purpose} has a handler already"
    _handlers[purpose] = handler
    if lock:
        _locks[purpose] = lock


def is_known(purpose: str) -> bool:
    """Whether somebody is told of transfers for this purpose; none needs nobody."""
    return not purpose or purpose in _handlers


def lock(transfer: Transfer) -> None:
    """Lock what stands above a transfer, before the transfer itself."""
    if take := _locks.get(transfer.purpose):
        take(transfer)


def notify(transfer: Transfer, outcome: Outcome, *, actor: Actor) -> None:
    """Tell the purpose of a transfer what came of it."""
    if handler := _handlers.get(transfer.purpose):
        handler(transfer, outcome, actor=actor)
