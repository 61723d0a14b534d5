"""The interface that every rail (bank or chain) implements.

A rail keeps its own records on another system, so it is never called inside a database
transaction. It knows an order by the id of our transfer; sending an order twice has no further
effect. A timeout means neither success nor failure: the caller polls until there is proof.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Bank:
    """An account at a US bank. Only the rail gets the full account number."""

    routing_number: str
    account_number: str
    account_name: str = ""

    def __repr__(self):  # keeps the account number out of logs and tracebacks
        return f"Bank(…{self.account_number[-4:]})"


@dataclass(frozen=True, slots=True)
class Address:
    """An address on a chain."""

    address: str
    chain: str = "ethereum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order to a rail to move money, or to watch an address for payments."""

    id: str  # of our transfer
    owner: Any  # whose clock counts: has an organization and an environment
    direction: str  # DEPOSIT or WITHDRAWAL
    rail_type: str
    amount: Decimal
    currency: str  # the rail's: USD for banks, USDC for chains
    counterparty: Bank | Address | None  # None: anyone may pay to our address


@dataclass(frozen=True, slots=True)
class Quote:
    """The processing times that a rail publishes."""

    usually_within: timedelta
    cancelled_after: timedelta  # an order without proof by then is canceled


class State(StrEnum):
    """The state of an order at its rail."""

    ACCEPTED = "ACCEPTED"  # processing
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"  # no money moved
    CANCELLED = "CANCELLED"  # no money moved, and none will
    RETURNED = "RETURNED"  # the money had arrived and was sent back


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPayment:
    """A payment to one of our addresses, as a rail reports it."""

    id: str  # the rail's id of one transaction on a chain
    amount: Decimal
    chain: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The state of an order as its rail reports it. Reports may be repeated or late."""

    state: State
    external_id: str
    failure_code: str = ""
    failure_reason: str = ""
    received_payments: tuple[ReceivedPayment, ...] = ()
    # When to poll again, by the clock of the order's owner. None: the caller chooses.
    next_check_at: datetime | None = None
    is_final: bool = False  # the rail will report nothing further


class RailTimeout(Exception):
    """The rail did not answer in time. It may or may not have carried out the request."""


class Rail(Protocol):
    """A bank, a chain, or a simulator of both."""

    name: str  # a Provider's
    is_test: bool  # whether it moves test money: a simulator, test keys, a test chain

    def quote(self, rail_type: str) -> Quote:
        """Return the published processing times of a rail type. Makes no call."""

    def deposit_address(self, order_id: str) -> str:
        """Return the unique address of an order, with its checksum. Makes no call."""

    def submit(self, order: Order) -> Report:
        """Accept an order, once for each id. Raises RailTimeout."""

    def poll(self, order_id: str) -> Report | None:
        """Report the state of an order; None proves that the rail never received it.

        Raises RailTimeout.
        """

    def cancel(self, order: Order) -> Report:
        """Cancel an order, received or not, unless its money has moved.

        A later submit does not reopen it. Raises RailTimeout.
        """

    def on_event(self, event: Mapping[str, Any]) -> list[str]:
        """Return the ids of the orders that an event of the rail concerns.

        An event proves nothing: the caller polls the orders.
        """


_listeners: list[Callable[[str, Mapping[str, Any]], None]] = []


def add_event_listener(listener: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Call `listener(rail_name, event)` for every event that a rail sends. At start only."""
    _listeners.append(listener)


def publish_event(rail_name: str, event: Mapping[str, Any]) -> None:
    """Pass an event of a rail to every listener."""
    for listener in _listeners:
        listener(rail_name, event)
