"""The connected rails, by environment and by name."""

from accounts.transfers.rails.base import Rail
from accounts.transfers.rails.simulator import Simulator
from wallgent.environments import Environment
from wallgent.errors import NotAvailable

_RAILS: dict[str, Rail] = {rail.name: rail for rail in (Simulator(),)}


def for_environment(environment: str) -> Rail:
    """Return the rail for new orders: one with test money in the sandbox. Raises NotAvailable."""
    is_test = environment == Environment.SANDBOX
    rail = next((rail for rail in _RAILS.values() if rail.is_test == is_test), None)
    if rail is None:
        raise NotAvailable(
            "Banks and chains are not connected on this server yet. Use a wallet, or the sandbox."
        )
    return rail


def by_name(name: str) -> Rail:
    """Return the rail with this provider name."""
    return _RAILS[name]
