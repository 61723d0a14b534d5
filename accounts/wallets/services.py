"""Wallets: access, creation, sandbox funding, freezing and closing."""

import re
import secrets
import unicodedata
from decimal import Decimal

from django.db import IntegrityError, transaction

from accounts.ledger import chart, journal
from accounts.ledger.journal import Move
from accounts.ledger.models import LedgerAccount
from accounts.organizations.models import Organization
from accounts.wallets import ledger_errors
from accounts.wallets.errors import WalletFrozen, WalletLimitExceeded, WalletNotFound
from accounts.wallets.models import SANDBOX_FUNDS_CEILING, Wallet
from wallgent import clock, events, ids, money, prepared_queries
from wallgent.actors import Actor, ActorType
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidAmount,
    InvalidState,
    PermissionDenied,
    SandboxOnly,
)
from wallgent.events.models import Event
from wallgent.money import Currency

FUND_CALL_LIMIT = Decimal(10_000)
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"

_by_ids = prepared_queries.Select(lambda *uuids: Wallet.objects.filter(pk__in=uuids))
_payment_wallets_by_ids = prepared_queries.Select(
    lambda *uuids: Wallet.objects.filter(pk__in=uuids).with_payment_fields()
)


def access(id: str, *, actor: Actor) -> Wallet:
    """Return a wallet the actor may use.

    Raises WalletNotFound, EnvironmentMismatch, PermissionDenied.
    """
    uuid = ids.parse(id, "wal")
    found = _by_ids(uuid) if uuid else []
    return require_access(found[0] if found else None, actor=actor)


def require_access(wallet: Wallet | None, *, actor: Actor) -> Wallet:
    """Return the wallet if the actor may use it. Raises the same errors as `access`."""
    if wallet is None or wallet.organization_id != actor.organization.id:
        raise WalletNotFound()
    if wallet.environment != actor.environment:
        raise EnvironmentMismatch()
    if not actor.covers(wallet.id):
        raise PermissionDenied("This key's wallet scope does not cover that wallet.")
    return wallet


def payee(wallet: Wallet | None, *, actor: Actor) -> Wallet:
    """Return the wallet, of any organization, if it may be paid in the actor's environment.

    Raises WalletNotFound, EnvironmentMismatch.
    """
    if wallet is None:
        raise WalletNotFound("There is no such wallet to pay to.")
    if wallet.environment != actor.environment:
        raise EnvironmentMismatch("Sandbox and production wallets cannot pay each other.")
    return wallet


def find_many(wallet_ids: list[str]) -> dict[str, Wallet]:
    """Return the existing wallets with these IDs, of any organization, in one query.

    Only the fields that a payment reads are loaded.
    """
    uuids = {uuid for id in wallet_ids if (uuid := ids.parse(id, "wal"))}
    return {wallet.id: wallet for wallet in _payment_wallets_by_ids(*uuids)} if uuids else {}


@transaction.atomic(savepoint=False)
def create(
    *,
    actor: Actor,
    name: str,
    agent_name: str = "",
    metadata: dict | None = None,
    currency: str = Currency.USD,
) -> Wallet:
    """Create an empty wallet. Raises WalletLimitExceeded, PermissionDenied (a scoped key)."""
    actor.require_every_wallet("create wallets")
    organization = Organization.objects.select_for_update(no_key=True).get(pk=actor.organization.pk)
    limit = organization.limits.wallets
    existing = organization.wallets.filter(is_default=False).exclude(account__state="CLOSED")
    if limit is not None and existing.count() >= limit:
        raise WalletLimitExceeded(limit=limit)
    return _create(
        actor,
        name=name,
        currency=currency,
        agent_name=agent_name,
        metadata=metadata,
        type=Wallet.Type.AGENT if agent_name else Wallet.Type.ORG,
    )


def create_default(*, actor: Actor, currency: str = Currency.USD) -> Wallet:
    """Create the default wallet of a currency. Every new organization gets one for USD."""
    return _create(
        actor,
        name="Main wallet" if currency == Currency.USD else f"Main {currency} wallet",
        currency=currency,
        type=Wallet.Type.ORG,
        is_default=True,
    )


def get_or_create_default(*, actor: Actor, currency: str) -> Wallet:
    """Return the default wallet of a currency; create it if there is none."""
    found = Wallet.objects.filter(
        organization=actor.organization,
        environment=actor.environment,
        currency=currency,
        is_default=True,
    )
    if wallet := found.first():
        return wallet
    try:
        # A concurrent call that creates it, too, waits on the unique constraint for the first.
        with transaction.atomic():
            return create_default(actor=actor, currency=currency)
    except IntegrityError:
        return found.get()


def _create(actor: Actor, *, name: str, currency: str, **fields) -> Wallet:
    account = chart.open_wallet_account(
        book=actor.environment, currency=currency, owner=ids.to_uuid(actor.organization.id)
    )
    now = clock.now(actor)
    wallet = Wallet.objects.create(
        organization=actor.organization,
        environment=actor.environment,
        account=account,
        currency=currency,
        name=name,
        address=_address(fields.get("agent_name") or name),
        created_at=now,
        updated_at=now,
        **fields,
    )
    events.record("wallet.created", wallet, actor=actor)
    return wallet


def _save(wallet: Wallet, *changed: str) -> None:
    wallet.updated_at = clock.now(wallet)
    wallet.save(update_fields=[*changed, "updated_at"])


def _address(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:40].strip("_") or "wallet"
    if slug.split("_")[0] in ("test", "live"):
        slug = f"the_{slug}"  # an address must not look like the start of an API key
    return f"wg_{slug}_{''.join(secrets.choice(_BASE36) for _ in range(8))}"


@transaction.atomic(savepoint=False)
def update(wallet: Wallet, *, actor: Actor, **changes) -> Wallet:
    """Change the given ones of name, agent_name and metadata. Raises InvalidState if closed."""
    wallet = _lock(wallet)
    if wallet.status == Wallet.Status.CLOSED:
        raise InvalidState("The wallet is closed.", walletId=wallet.id)
    if changes:
        for name, value in changes.items():
            setattr(wallet, name, value)
        _save(wallet, *changes)
        events.record("wallet.updated", wallet, actor=actor, changed=sorted(changes))
    return wallet


@transaction.atomic(savepoint=False)
def fund(wallet: Wallet, *, actor: Actor, amount: Decimal) -> tuple[str, Wallet]:
    """Add sandbox money to a wallet; return the transaction's ID and the wallet.

    At most FUND_CALL_LIMIT per call and SANDBOX_FUNDS_CEILING per wallet. Raises SandboxOnly,
    InvalidAmount, WalletFrozen, InvalidState.
    """
    if wallet.environment != Environment.SANDBOX:
        raise SandboxOnly()
    if amount > FUND_CALL_LIMIT:
        most = money.display(FUND_CALL_LIMIT, wallet.currency)
        raise InvalidAmount(f"One funding call gives at most {most}.")
    wallet = _lock(wallet)
    if wallet.status == Wallet.Status.FROZEN:
        raise WalletFrozen(walletId=wallet.id)
    if wallet.sandbox_funds + amount > SANDBOX_FUNDS_CEILING:
        most = money.display(SANDBOX_FUNDS_CEILING, wallet.currency)
        left = money.display(remaining_funding(wallet), wallet.currency)
        raise InvalidAmount(f"A wallet is given at most {most} in all; {left} is left.")
    wallet.sandbox_funds += amount
    _save(wallet, "sandbox_funds")
    transaction_id = ids.new("txn")
    source = chart.treasury(wallet.environment, wallet.currency)
    try:
        journal.post(
            transaction_id,
            Move(source, wallet.account_id, amount, wallet.currency),
            book=wallet.environment,
            reason="funding",
            memo="Sandbox funding",
            ahead=clock.offset(wallet),
        )
    except journal.Refused as refused:
        raise ledger_errors.explain(refused, wallet) from None
    wallet.account.refresh_from_db()
    events.record(
        "wallet.funded", wallet, actor=actor, amount=amount, transaction_id=transaction_id
    )
    return transaction_id, wallet


def access_for_funding(id: str, *, actor: Actor) -> Wallet:
    """Return a wallet the actor may fund. Raises SandboxOnly, then the same errors as `access`."""
    if actor.environment != Environment.SANDBOX:
        raise SandboxOnly()
    return access(id, actor=actor)


@transaction.atomic(savepoint=False)
def freeze(wallet: Wallet, *, actor: Actor, reason: str = "") -> Wallet:
    """Stop money from leaving the wallet until it is unfrozen. Raises InvalidState if closed.

    Freezing it again changes nothing, except that an actor without a wallet scope takes over the
    freeze of another API key: that key can no longer end it.
    """
    return _set_status(wallet, Wallet.Status.FROZEN, "wallet.frozen", actor, reason=reason)


@transaction.atomic(savepoint=False)
def unfreeze(wallet: Wallet, *, actor: Actor) -> Wallet:
    """Unfreeze the wallet. Raises InvalidState if closed.

    A key with a wallet scope may end only its own freeze (otherwise PermissionDenied), because an
    agent's wallet is frozen to stop the agent.
    """
    return _set_status(wallet, Wallet.Status.ACTIVE, "wallet.unfrozen", actor)


@transaction.atomic(savepoint=False)
def close(wallet: Wallet, *, actor: Actor) -> Wallet:
    """Close a wallet permanently. Raises InvalidState if it is the default or not empty."""
    wallet = _lock(wallet)
    if wallet.status == Wallet.Status.CLOSED:
        return wallet
    if blocker := closing_blocker(wallet):
        raise InvalidState(blocker, walletId=wallet.id)
    return _advance(wallet, Wallet.Status.CLOSED, "wallet.closed", actor)


def closing_blocker(wallet: Wallet) -> str:
    """Return why the wallet cannot be closed now, or an empty string."""
    account = wallet.account
    if wallet.is_default:
        return "An organization's main wallet cannot be closed."
    if account.balance or account.held or account.debt:
        return "Only an empty wallet can be closed. Pay its money out and end its holds first."
    return ""


def may_change(actor: Actor) -> bool:
    """Return whether pages offer changes of wallets. Services check each change again."""
    return actor.may("wallets:write") and not actor.is_locked


def possible_actions(wallet: Wallet, *, actor: Actor) -> dict[str, bool]:
    """Return which actions pages offer for the wallet in its current state."""
    changes = may_change(actor) and wallet.status != Wallet.Status.CLOSED
    is_active = wallet.status == Wallet.Status.ACTIVE
    return {
        "send": is_active and may_change(actor) and actor.may("payments:write"),
        "fund": changes and is_active and wallet.environment == Environment.SANDBOX,
        "edit": changes,
        "freeze": changes and is_active,
        "unfreeze": changes and wallet.status == Wallet.Status.FROZEN,
        "close": changes and not wallet.is_default,
    }


def remaining_funding(wallet: Wallet) -> Decimal:
    """Return how much sandbox money can still be added to the wallet."""
    return SANDBOX_FUNDS_CEILING - wallet.sandbox_funds


def _lock(wallet: Wallet) -> Wallet:
    """Return the wallet and its account as they are now, both locked."""
    wallet = Wallet.objects.locked(wallet.id)
    wallet.account = LedgerAccount.objects.locked([wallet.account_id]).get()
    return wallet


def _set_status(wallet: Wallet, status: str, event: str, actor: Actor, **extra) -> Wallet:
    wallet = _lock(wallet)
    if wallet.status == Wallet.Status.CLOSED:
        raise InvalidState("The wallet is closed.", walletId=wallet.id)
    if wallet.status == status:
        if status == Wallet.Status.FROZEN and _takes_over(wallet, actor):
            events.record(event, wallet, actor=actor, **extra)
        return wallet
    if status == Wallet.Status.ACTIVE and not _may_unfreeze(wallet, actor):
        raise PermissionDenied(
            "A key with a wallet scope ends only a freeze that it made itself. Use a key without a"
            " wallet scope, or the dashboard."
        )
    return _advance(wallet, status, event, actor, **extra)


def _may_unfreeze(wallet: Wallet, actor: Actor) -> bool:
    if actor.wallet_scope is None:
        return True
    freeze = _last_freeze(wallet)
    return freeze is not None and freeze.actor_id == actor.id


def _takes_over(wallet: Wallet, actor: Actor) -> bool:
    """Return whether an unscoped actor repeats a freeze that another API key made."""
    if actor.wallet_scope is not None:
        return False
    freeze = _last_freeze(wallet)
    return (
        freeze is not None
        and freeze.actor_type == ActorType.API_KEY
        and freeze.actor_id != actor.id
    )


def _last_freeze(wallet: Wallet) -> Event | None:
    frozen = Event.objects.filter(
        subject=wallet.id, type="wallet.frozen", organization=wallet.organization_id
    )
    return frozen.order_by("-pk").first()


def _advance(wallet: Wallet, status: str, event: str, actor: Actor, **extra) -> Wallet:
    wallet.account = chart.set_state(wallet.account_id, status)
    _save(wallet)
    events.record(event, wallet, actor=actor, **extra)
    return wallet
