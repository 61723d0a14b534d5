"""Wallets: made, found, funded in the sandbox, frozen and closed."""

import re
import secrets
import unicodedata
from decimal import Decimal

from django.db import IntegrityError, transaction

from accounts.errors import (
    SandboxOnly,
    WalletFrozen,
    WalletLimitExceeded,
    WalletNotFound,
)
from accounts.ledger import chart, journal
from accounts.ledger.journal import Move
from accounts.ledger.models import LedgerAccount
from accounts.organizations.models import Organization
from accounts.wallets import ledger_errors
from accounts.wallets.models import SANDBOX_FUNDS_CEILING, Wallet
from wallgent import clock, events, ids, prepared_queries
from wallgent.actors import Actor, ActorType
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidAmount,
    InvalidState,
    PermissionDenied,
)
from wallgent.events.models import Event
from wallgent.money import Currency

FUND_CALL_LIMIT = Decimal(10_000)
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


_by_ids = prepared_queries.Select(lambda *uuids: Wallet.objects.filter(pk__in=uuids))
_parties_by_ids = prepared_queries.Select(
    lambda *uuids: Wallet.objects.filter(pk__in=uuids).as_parties()
)


def access(id: str, *, actor: Actor) -> Wallet:
    """A wallet the actor may use. Raises WalletNotFound, EnvironmentMismatch, PermissionDenied."""
    uuid = ids.parse(id, "wal")
    found = _by_ids(uuid) if uuid else []
    return require_access(found[0] if found else None, actor=actor)


def require_access(wallet: Wallet | None, *, actor: Actor) -> Wallet:
    """The same wallet if the actor may use it, else the refusal that `access` promises."""
    if wallet is None or wallet.organization_id != actor.organization.id:
        raise WalletNotFound()
    if wallet.environment != actor.environment:
        raise EnvironmentMismatch()
    if not actor.covers(wallet.id):
        raise PermissionDenied("This key's wallet scope does not cover that wallet.")
    return wallet


def payee(wallet: Wallet | None, *, actor: Actor) -> Wallet:
    """The same wallet if money may go there: anyone's, in the actor's environment.

    Raises WalletNotFound, EnvironmentMismatch.
    """
    if wallet is None:
        raise WalletNotFound("There is no such wallet to pay to.")
    if wallet.environment != actor.environment:
        raise EnvironmentMismatch("Sandbox and production wallets cannot pay each other.")
    return wallet


def find_parties(wallet_ids: list[str]) -> dict[str, Wallet]:
    """The wallets that exist under these ids, whoever owns them, in one query.

    They carry what a payment reads, and no more.
    """
    uuids = {uuid for id in wallet_ids if (uuid := ids.parse(id, "wal"))}
    return {wallet.id: wallet for wallet in _parties_by_ids(*uuids)} if uuids else {}


@transaction.atomic(savepoint=False)
def create(
    *,
    actor: Actor,
    name: str,
    agent_name: str = "",
    metadata: dict | None = None,
    currency: str = Currency.USD,
) -> Wallet:
    """A new empty wallet. Raises WalletLimitExceeded, PermissionDenied (a scoped key)."""
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
    """The default wallet of a currency. An organization has that of USD from its first day."""
    return _create(
        actor,
        name="Main wallet" if currency == Currency.USD else f"Main {currency} wallet",
        currency=currency,
        type=Wallet.Type.ORG,
        is_default=True,
    )


def default_of(*, actor: Actor, currency: str) -> Wallet:
    """The default wallet of the actor's organization and environment, opened if there is none."""
    found = Wallet.objects.filter(
        organization=actor.organization,
        environment=actor.environment,
        currency=currency,
        is_default=True,
    )
    if wallet := found.first():
        return wallet
    try:
        # A twin that opens it at the same time waits on the constraint for the first one's end.
        with transaction.atomic():
            return create_default(actor=actor, currency=currency)
    except IntegrityError:
        return found.get()


def _create(actor: Actor, *, name: str, currency: str, **fields) -> Wallet:
    account = chart.open_wallet_account(
        book=actor.environment, currency=currency, owner=ids.to_uuid(actor.organization.id)
    )
    wallet = Wallet.objects.create(
        organization=actor.organization,
        environment=actor.environment,
        account=account,
        currency=currency,
        name=name,
        address=_address(fields.get("agent_name") or name),
        created_at=clock.now(actor),
        **fields,
    )
    events.record("wallet.created", wallet, actor=actor)
    return wallet


def _address(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:40].strip("_") or "wallet"
    if slug.split("_")[0] in ("test", "live"):
        slug = f"the_{slug}"  # an address never looks like the start of a key
    return f"wg_{slug}_{''.join(secrets.choice(_BASE36) for _ in range(8))}"


@transaction.atomic(savepoint=False)
def update(wallet: Wallet, *, actor: Actor, **changes) -> Wallet:
    """Change name, agent_name or metadata, as far as given. Raises InvalidState when closed."""
    wallet = _locked(wallet)
    if wallet.status == Wallet.Status.CLOSED:
        raise InvalidState("The wallet is closed.", walletId=wallet.id)
    if changes:
        for name, value in changes.items():
            setattr(wallet, name, value)
        wallet.save(update_fields=[*changes, "updated_at"])
        events.record("wallet.updated", wallet, actor=actor, changed=sorted(changes))
    return wallet


@transaction.atomic(savepoint=False)
def fund(wallet: Wallet, *, actor: Actor, amount: Decimal) -> tuple[str, Wallet]:
    """Give a sandbox wallet money out of nothing; answer the transaction's id and the wallet.

    At most 10,000 a call and 100,000 a wallet. Raises SandboxOnly, InvalidAmount, WalletFrozen,
    InvalidState.
    """
    if wallet.environment != Environment.SANDBOX:
        raise SandboxOnly()
    if amount > FUND_CALL_LIMIT:
        raise InvalidAmount("One funding call gives at most 10,000.")
    wallet = _locked(wallet)
    if wallet.status == Wallet.Status.FROZEN:
        raise WalletFrozen(walletId=wallet.id)
    if wallet.sandbox_funds + amount > SANDBOX_FUNDS_CEILING:
        raise InvalidAmount(
            f"A wallet is given at most 100,000 in all; {left_to_fund(wallet):.2f} is left."
        )
    wallet.sandbox_funds += amount
    wallet.save(update_fields=["sandbox_funds", "updated_at"])
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


def fundable(id: str, *, actor: Actor) -> Wallet:
    """As `access`, but a production key is told first that only sandbox wallets are funded."""
    if actor.environment != Environment.SANDBOX:
        raise SandboxOnly()
    return access(id, actor=actor)


@transaction.atomic(savepoint=False)
def freeze(wallet: Wallet, *, actor: Actor, reason: str = "") -> Wallet:
    """Let no more money out until it is unfrozen. Raises InvalidState when closed.

    Freezing it again changes nothing, except that the freeze of another API key becomes the
    actor's own: that key can no longer end it.
    """
    return _move_to(wallet, Wallet.Status.FROZEN, "wallet.frozen", actor, reason=reason)


@transaction.atomic(savepoint=False)
def unfreeze(wallet: Wallet, *, actor: Actor) -> Wallet:
    """Let money out again. Raises InvalidState when closed.

    A key with a wallet scope ends only a freeze of its own (else PermissionDenied): the wallet of
    an agent is frozen to stop the agent.
    """
    return _move_to(wallet, Wallet.Status.ACTIVE, "wallet.unfrozen", actor)


@transaction.atomic(savepoint=False)
def close(wallet: Wallet, *, actor: Actor) -> Wallet:
    """End an empty wallet for good. Raises InvalidState for the default wallet or any money."""
    wallet = _locked(wallet)
    if wallet.status == Wallet.Status.CLOSED:
        return wallet
    if blocker := closing_blocker(wallet):
        raise InvalidState(blocker, walletId=wallet.id)
    return _advance(wallet, Wallet.Status.CLOSED, "wallet.closed", actor)


def closing_blocker(wallet: Wallet) -> str:
    """Why the wallet cannot be closed as it is now; nothing if it can."""
    account = wallet.account
    if wallet.is_default:
        return "An organization's main wallet cannot be closed."
    if account.balance or account.held or account.debt:
        return "Only an empty wallet can be closed. Pay its money out and end its holds first."
    return ""


def left_to_fund(wallet: Wallet) -> Decimal:
    """How much sandbox money the wallet may still be given."""
    return SANDBOX_FUNDS_CEILING - wallet.sandbox_funds


def _locked(wallet: Wallet) -> Wallet:
    """The wallet and its account as they are now, locked against each other's changes."""
    wallet = Wallet.objects.locked(wallet.id)
    wallet.account = LedgerAccount.objects.locked([wallet.account_id]).get()
    return wallet


def _move_to(wallet: Wallet, status: str, event: str, actor: Actor, **extra) -> Wallet:
    wallet = _locked(wallet)
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
    """Whether a freeze that stands was made by a key, and somebody without a scope wants it too."""
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
    wallet.save(update_fields=["updated_at"])
    events.record(event, wallet, actor=actor, **extra)
    return wallet
