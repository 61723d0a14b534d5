"""Movements: the kinds of ledger transactions and of holds, by the reason that the ledger stores.

The package that makes a movement declares it once. Statements, pages and totals show it as declared
and `check_books` proves it. The ledger refuses any other reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """The objects that movements belong to: `ids` selects the transactions or holds of all."""

    noun: str
    ids: str


@dataclass(frozen=True)
class Movement:
    """A kind of transaction, and what each side of it sees; or what money is held for."""

    reason: str
    label: str
    outgoing: str = ""  # on the statement of the wallet that pays; `label` by default
    incoming: str = ""  # on that of the wallet that receives
    record: Record | None = None  # None only for a reason that is not declared
    check: str = ""  # SQL that selects a sentence for each difference; movements may share it
    is_hold: bool = False
    counts_as_payment: bool = False  # in the number of payments on the overview
    has_fee: bool = False
    total_label: str = ""  # of what is held for it, on the overview; empty: not shown

    def side(self, is_outgoing: bool) -> str:
        """Return the label on the statement of the wallet that pays, or that receives."""
        return (self.outgoing if is_outgoing else self.incoming) or self.label


class NotDeclared(Exception):
    """A reason that is not declared, so that nothing could prove the movement."""


_declared: dict[tuple[bool, str], Movement] = {}


def declare(*movements: Movement) -> None:
    """Declare movements. Called once for each, at start."""
    for movement in movements:
        key = movement.is_hold, movement.reason
        assert key not in _declared, f"{movement.reason} is declared twice"
        assert movement.record, f"nothing proves {movement.reason}"
        _declared[key] = movement


def declared(*, is_hold: bool = False) -> list[Movement]:
    """Return the declared movements: those of transactions, or those of holds."""
    return [movement for movement in _declared.values() if movement.is_hold == is_hold]


def of(reason: str, *, is_hold: bool = False) -> Movement:
    """Return the movement with this reason; if it is not declared, one with a readable label."""
    declared = _declared.get((is_hold, reason))
    return declared or Movement(reason, reason.replace("_", " ").capitalize(), is_hold=is_hold)


def require(reasons: Iterable[str], *, is_hold: bool = False) -> None:
    """Raise NotDeclared for a reason that is not declared."""
    for reason in reasons:
        if (is_hold, reason) not in _declared:
            raise NotDeclared(reason)
