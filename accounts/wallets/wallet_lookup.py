"""Finds the wallets an API key can be limited to, for organizations.services.wallet_lookup."""

from collections.abc import Iterable

from accounts.organizations.models import Organization
from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.actors import Actor

_MAX_CHOICES = 200  # in a menu; a wallet's page links here with its id selected


class Lookup:
    """Implements organizations.services.wallet_lookup.WalletLookup."""

    def count_owned(
        self, wallet_ids: Iterable[str], organization: Organization, environment: str
    ) -> int:
        owned = Wallet.objects.filter(
            pk__in=_uuids(wallet_ids), organization=organization, environment=environment
        )
        return owned.count()

    def choices(self, actor: Actor, selected: list[str]) -> list[Wallet]:
        own = Wallet.objects.visible_to(actor).exclude(account__state=Wallet.Status.CLOSED)
        found = list(own.order_by("name", "pk")[:_MAX_CHOICES])
        missing = _uuids(selected) - {ids.to_uuid(wallet.id) for wallet in found}
        return found + list(own.filter(pk__in=missing)) if missing else found

    def by_ids(self, actor: Actor, wallet_ids: list[str]) -> list[Wallet]:
        own = Wallet.objects.visible_to(actor).filter(pk__in=_uuids(wallet_ids))
        return list(own.order_by("name", "pk"))


def _uuids(wallet_ids: Iterable[str]) -> set:
    return {uuid for id in wallet_ids if (uuid := ids.parse(id, "wal"))}
