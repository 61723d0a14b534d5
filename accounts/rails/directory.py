"""Which rail carries what."""

from accounts.rails.base import Rail
from accounts.rails.simulator import Simulator
from wallgent.environments import Environment
from wallgent.errors import NotAvailable

_RAILS: dict[str, Rail] = {rail.name: rail for rail in (Simulator(),)}


def of(environment: str) -> Rail:
    """The rail that takes new orders. Raises NotAvailable."""
    if environment != Environment.SANDBOX:
        raise NotAvailable(
            "Banks and chains are not connected on this server yet. Use a wallet, or the sandbox."
        )
    return _RAILS["simulator"]


def named(name: str) -> Rail:
    """The rail that has taken an order."""
    return _RAILS[name]
