"""Which rail carries what."""

from accounts.transfers.rails.base import Rail
from accounts.transfers.rails.simulator import Simulator
from wallgent.environments import Environment
from wallgent.errors import NotAvailable

_RAILS: dict[str, Rail] = {rail.name: rail for rail in (Simulator(),)}


def of(environment: str) -> Rail:
    """The rail that takes new orders: of the sandbox one with test money. Raises NotAvailable."""
    is_test = environment == Environment.SANDBOX
    rail = next((rail for rail in _RAILS.values() if rail.is_test == is_test), None)
    if rail is None:
        raise NotAvailable(
            "Banks and chains are not connected on this server yet. Use a wallet, or the sandbox."
        )
    return rail


def named(name: str) -> Rail:
    """The rail that has taken an order."""
    return _RAILS[name]
