"""The event types of wallets, and their names in sentences (contract 4.2)."""

from functools import partial
from typing import Annotated

from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.actors import Actor
from wallgent.api.schemas import AmountText, From, one_of
from wallgent.events.catalogue import event
from wallgent.events.descriptions import (
    Name,
    Names,
    money_text,
    register_names,
    register_page,
)
from wallgent.events.schemas import Payload
from wallgent.money import Currency


def _names(wallet_ids: set[str], actor: Actor) -> dict[str, Name]:
    """Name own wallets by their name, others by their organization: wallet names are private."""
    uuids = {uuid for id in wallet_ids if (uuid := ids.parse(id, "wal"))}
    # Without related rows: the manager would fetch the accounts, too.
    found = Wallet.objects.filter(pk__in=uuids).select_related(None)
    return {
        id: Name(name, True) if owner == actor.organization.id else Name(organization, False)
        for id, name, owner, organization in found.values_list(
            "pk", "name", "organization", "organization__name"
        )
    }


register_page("wal", "wallet")
register_names("wal", _names)
wallet_event = partial(event, permission="wallets:read")


@wallet_event("wallet.created", "Wallet {walletId} opened", icon="wallet")
class WalletCreated(Payload):
    wallet_id: Annotated[str, From("id")]
    name: str
    agent_name: str | None
    wallet_type: Annotated[one_of(Wallet.Type), From("type")]


@event("wallet.updated", "Wallet {walletId} changed", icon="pencil")
class WalletUpdated(WalletCreated):
    changed: list[str]


def _describe_funded(data: dict, names: Names) -> str:
    if data["source"] != "sandbox":
        return f"{money_text(data)} arrived in {names.of(data['walletId'])}"
    return f"{money_text(data)} of sandbox money funded into {names.of(data['walletId'])}"


@wallet_event("wallet.funded", _describe_funded, icon="coins", tone="success")
class WalletFunded(Payload):
    wallet_id: Annotated[str, From("id")]
    transaction_id: str
    amount: AmountText
    currency: one_of(Currency)
    new_balance: Annotated[AmountText, From("account.balance")]
    source: str = "sandbox"  # or the id of a transfer


@wallet_event("wallet.unfrozen", "Wallet {walletId} unfrozen", icon="lock-open")
@wallet_event("wallet.closed", "Wallet {walletId} closed", icon="archive")
class WalletEvent(Payload):
    wallet_id: Annotated[str, From("id")]


@wallet_event(
    "wallet.frozen", "Wallet {walletId} frozen{because}", icon="snowflake", tone="warning"
)
class WalletFrozen(WalletEvent):
    reason: str | None
