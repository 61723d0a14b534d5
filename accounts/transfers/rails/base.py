"""What every rail promises: one interface for banks and chains.

A rail keeps books of its own, somewhere else. So it is never called inside a database transaction;
it knows an order by our transfer's id, and telling it twice changes nothing; and no answer is
neither success nor failure: whoever asks goes on asking until there is proof.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Bank:
    """An account at a bank of the United States. Its number is for the rail alone."""

    routing_number: str
    account_number: str
    account_name: str = ""

    def __repr__(self):  # never whole, wherever it is printed
        return f"Bank(…{self.account_number[-4:]})"


@dataclass(frozen=True, slots=True)
class Address:
    """An address on a chain."""

    address: str
    chain: str = "ethereum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a rail is asked to do."""

    id: str  # of our transfer
    owner: Any  # whose clock counts: has an organization and an environment
    direction: str  # DEPOSIT or WITHDRAWAL
    rail_type: str
    amount: Decimal
    currency: str  # the rail's: USD of a bank, USDC of a chain
    party: Bank | Address | None  # None: whoever pays to our address


@dataclass(frozen=True, slots=True)
class Quote:
    """When money arrives, as a rail publishes it: no call is needed to know."""

    usually_within: timedelta
    given_up_after: timedelta  # without proof by then, an order is cancelled


class State(StrEnum):
    """How far a rail is with an order."""

    ACCEPTED = "ACCEPTED"  # under way
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"  # no money moved
    CANCELLED = "CANCELLED"  # no money moved, and none ever will
    RETURNED = "RETURNED"  # it had arrived, and was given back


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPayment:
    """A payment that came to an address of ours."""

    id: str  # the rail's: of one transaction on a chain
    amount: Decimal
    chain: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a rail says about an order. It may say it twice, or late."""

    state: State
    external_id: str
    failure_code: str = ""
    failure_reason: str = ""
    arrivals: tuple[ReceivedPayment, ...] = ()
    # When it will know more, by the clock of the order's owner; None leaves that to us.
    look_again_at: datetime | None = None
    is_last_word: bool = False  # nothing more will come of it


class RailTimeout(Exception):
    """The rail did not answer in time. It may have done what it was asked, or not."""


class Rail(Protocol):
    """A bank, a chain, or a simulator of both."""

    name: str  # a Provider's
    is_test: bool  # whether it moves test money: a simulator, test keys, a test chain

    def quote(self, rail_type: str) -> Quote:
        """What the rail publishes of a kind of order. Makes no call."""

    def deposit_address(self, order_id: str) -> str:
        """An address of this order's own, with its checksum. Makes no call."""

    def submit(self, order: Order) -> Report:
        """Take an order, once for each id. Raises NoAnswer."""

    def poll(self, order_id: str) -> Report | None:
        """How far the order is; None is proof that it was never taken. Raises NoAnswer."""

    def cancel(self, order: Order) -> Report:
        """Take the order back if nothing has moved yet, known or not: no later submit revives it.

        Raises NoAnswer.
        """

    def on_event(self, event: Mapping[str, Any]) -> list[str]:
        """The orders that a message from the rail is about. It proves nothing: poll them."""


_listeners: list[Callable[[str, Mapping[str, Any]], None]] = []


def listen(listener: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Have `listener(rail's name, event)` told of what rails say by themselves. At start only."""
    _listeners.append(listener)


def announce(rail: str, event: Mapping[str, Any]) -> None:
    """Pass on what a rail says by itself."""
    for listener in _listeners:
        listener(rail, event)
