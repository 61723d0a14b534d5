"""The events of wallets: their payloads and how they are described (contract 4.2)."""

from accounts.organizations.models import Organization
from accounts.wallets.models import Wallet
from wallgent import ids, money
from wallgent.actors import Actor
from wallgent.events.catalogue import declare
from wallgent.events.descriptions import (
    Description,
    Name,
    Names,
    money_text,
    register_names,
    register_page,
    with_reason,
)


def _wallet_data(wallet: Wallet, *, organization: Organization, **extra) -> dict:
    return {
        "walletId": wallet.id,
        "name": wallet.name,
        "agentName": wallet.agent_name or None,
        "walletType": wallet.type,
        **extra,
    }


def _funded_data(
    wallet: Wallet,
    *,
    organization: Organization,
    amount,
    transaction_id: str,
    source: str = "sandbox",
) -> dict:
    return {
        "walletId": wallet.id,
        "transactionId": transaction_id,
        "amount": money.amount_text(amount),
        "currency": wallet.currency,
        "newBalance": money.amount_text(wallet.account.balance),
        "source": source,
    }


def _frozen_data(wallet: Wallet, *, organization: Organization, reason: str) -> dict:
    return {"walletId": wallet.id, "reason": reason or None}


def _id_data(wallet: Wallet, *, organization: Organization) -> dict:
    return {"walletId": wallet.id}


def _described_as(change: str):
    return lambda data, names: f"Wallet {names.of(data['walletId'])} {change}"


def _describe_frozen(data: dict, names: Names) -> str:
    return with_reason(f"Wallet {names.of(data['walletId'])} frozen", data)


def _describe_funded(data: dict, names: Names) -> str:
    if data["source"] != "sandbox":
        return f"{money_text(data)} arrived in {names.of(data['walletId'])}"
    return f"{money_text(data)} of sandbox money funded into {names.of(data['walletId'])}"


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


def declare_all() -> None:
    """Declare the events of wallets. Called once, at startup."""
    register_page("wal", "wallet")
    register_names("wal", _names)
    declare("wallet.created", _wallet_data, Description(_described_as("opened"), "wallet"))
    declare(
        "wallet.updated",
        _wallet_data,
        Description(_described_as("changed"), "pencil"),
        public=False,
    )
    declare("wallet.funded", _funded_data, Description(_describe_funded, "coins", "success"))
    declare("wallet.frozen", _frozen_data, Description(_describe_frozen, "snowflake", "info"))
    declare("wallet.unfrozen", _id_data, Description(_described_as("unfrozen"), "lock-open"))
    declare("wallet.closed", _id_data, Description(_described_as("closed"), "archive"))
