"""The wallets an API key can be limited to.

The wallets package imports this one, so it registers how wallets are found.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from accounts.organizations.models import Organization
from wallgent.actors import Actor


class WalletLookup(Protocol):
    """Finds wallets for API keys; implemented by the wallets package."""

    def count_owned(self, wallet_ids: Iterable[str], organization: Organization, environment: str):
        """Return how many of these ids are wallets of the organization in this environment."""

    def choices(self, actor: Actor, selected: list[str]) -> list[Any]:
        """Return the actor's open wallets for a menu, including the selected ones."""

    def by_ids(self, actor: Actor, wallet_ids: list[str]) -> list[Any]:
        """Return the actor's wallets with these ids, sorted by name."""


_lookups: list[WalletLookup] = []


def register(lookup: WalletLookup) -> None:
    """Register how wallets are found. Called once, at startup."""
    assert not _lookups, "wallets are registered twice"
    _lookups.append(lookup)


def wallets() -> WalletLookup:
    """Return the registered lookup."""
    return _lookups[0]
