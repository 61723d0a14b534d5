"""Creates transfers: withdrawals to a bank or a chain, and deposits from there.

No function here calls a rail: each saves a transfer in the caller's transaction with its due work
(see `worker`). `purpose` and `reference` name what a transfer is for; the
purpose's handler (`callbacks.on_outcome`) is called with its outcomes.
"""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from accounts.ledger import holds, journal
from accounts.transfers import banking, ethereum
from accounts.transfers.errors import TransferNotFound
from accounts.transfers.models import RailType, SimulatorPayment, Transfer
from accounts.transfers.rails import directory, simulator
from accounts.transfers.rails.base import Address, Bank, Quote
from accounts.transfers.services import callbacks, status_updates, worker
from accounts.transfers.services.callbacks import Outcome
from accounts.wallets import ledger_errors
from accounts.wallets.models import Wallet
from wallgent import clock, due_work, events, ids
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidAmount,
    InvalidState,
    PermissionDenied,
    SandboxOnly,
    ValidationError,
)

CHAIN = "ethereum"  # the only chain that rails watch and pay on
ACCOUNT_NAME_LENGTH = 140

_Direction = Transfer.Direction


def access(id: str, *, actor: Actor) -> Transfer:
    """Return a transfer that the actor may see.

    Raises TransferNotFound, EnvironmentMismatch, PermissionDenied.
    """
    uuid = ids.parse(id, "xfr")
    transfer = uuid and Transfer.objects.filter(pk=uuid).first()
    if not transfer or transfer.organization_id != actor.organization.id:
        raise TransferNotFound()
    if transfer.environment != actor.environment:
        raise EnvironmentMismatch()
    if not actor.covers(transfer.wallet_id):
        raise PermissionDenied("This key's wallet scope does not cover that transfer's wallet.")
    return transfer


def visible_to(actor: Actor) -> QuerySet[Transfer]:
    """Return the transfers that the actor may list."""
    return Transfer.objects.visible_to(actor)


def quote(environment: str, rail_type: str) -> Quote:
    """Return the rail's published processing times. Raises NotAvailable."""
    return directory.for_environment(environment).quote(rail_type)


@transaction.atomic(savepoint=False)
def withdraw(
    *,
    actor: Actor,
    wallet: Wallet,
    amount: Decimal,
    rail_type: str,
    destination: Bank | Address,
    purpose: str = "",
    reference: str = "",
    hold_id: str | None = None,
    description: str = "",
    may_convert: bool = False,
) -> Transfer:
    """Create a withdrawal from a wallet. Its money is held until the rail proves the outcome.

    With `hold_id` it is captured from that hold, whose owner keeps what a failed transfer leaves;
    otherwise from a new hold. `may_convert` allows USD to be paid out as USDC or the reverse, 1:1.
    Raises ValidationError, InvalidAmount, NotAvailable, InsufficientFunds, WalletFrozen,
    InvalidState.
    """
    assert callbacks.has_handler(purpose), f"{purpose} has no handler"
    transfer = _build(wallet, amount, rail_type, _Direction.WITHDRAWAL, may_convert)
    _set_counterparty(transfer, destination, "destination")
    transfer.purpose, transfer.reference = purpose, reference
    transfer.description = description
    transfer.hold_id, transfer.owns_hold = hold_id or ids.new("hld"), hold_id is None
    _create(transfer, actor=actor)
    if transfer.owns_hold:
        _place_hold(transfer)
    return transfer


@transaction.atomic(savepoint=False)
def deposit(
    *,
    actor: Actor,
    wallet: Wallet,
    amount: Decimal,
    source: Bank,
    rail_type: str = RailType.ACH,
    purpose: str = "",
    reference: str = "",
    description: str = "",
    may_convert: bool = False,
) -> Transfer:
    """Create a deposit from a bank account, whose holder has authorized it, into a wallet.

    The wallet is credited when the rail reports completion; the bank may return it later.
    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    assert callbacks.has_handler(purpose), f"{purpose} has no handler"
    assert rail_type != RailType.USDC, "money cannot be pulled from a chain: expect it"
    transfer = _build(wallet, amount, rail_type, _Direction.DEPOSIT, may_convert)
    _set_counterparty(transfer, source, "source")
    transfer.purpose, transfer.reference = purpose, reference
    transfer.description = description
    _create(transfer, actor=actor)
    return transfer


@transaction.atomic(savepoint=False)
def expect(
    *,
    actor: Actor,
    wallet: Wallet,
    amount: Decimal,
    purpose: str = "",
    reference: str = "",
    chain: str = CHAIN,
    expires_at: datetime | None = None,
    description: str = "",
    may_convert: bool = False,
) -> Transfer:
    """Create a transfer with its own address (`transfer.address`) that expects `amount` of USDC.

    Every payment to it on the right chain is credited, even if partial, excess or late. Each
    becomes an IncomingPayment, with which the purpose's handler is called. Without `expires_at`
    the rail's deadline applies.
    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    assert callbacks.has_handler(purpose), f"{purpose} has no handler"
    transfer = _build(wallet, amount, RailType.USDC, _Direction.DEPOSIT, may_convert)
    _validate_chain(chain, "chain")
    transfer.purpose, transfer.reference = purpose, reference
    transfer.description = description
    transfer.chain = CHAIN
    transfer.address = directory.for_environment(wallet.environment).deposit_address(transfer.id)
    if expires_at is not None:
        transfer.deadline_at = expires_at
    _create(transfer, actor=actor)
    return transfer


@transaction.atomic(savepoint=False)
def cancel(transfer: Transfer, *, actor: Actor) -> Transfer:
    """Cancel a transfer: immediately if it was not submitted, otherwise when the rail confirms.

    Raises InvalidState if it has ended.
    """
    callbacks.lock_parents(transfer)
    transfer = Transfer.objects.locked(transfer.id)
    if not transfer.is_open:
        raise InvalidState(
            f"Only an open transfer can be cancelled; this one is {transfer.status}.",
            transferId=transfer.id,
            status=transfer.status,
        )
    now = clock.now(transfer)
    if transfer.cancel_requested_at is None:
        transfer.cancel_requested_at = now
    # An address may already be known and paid to: the rail must watch it to find payments.
    if transfer.status == Transfer.Status.PENDING and not transfer.awaits_payer:
        status_updates.apply_outcome(transfer, Outcome.CANCELLED, actor=actor)
        due_work.cancel(worker.DUE_WORK, transfer)
    else:
        transfer.save(update_fields=["cancel_requested_at"])
        worker.check_now(transfer)
    return transfer


@transaction.atomic(savepoint=False)
def check_now_with_rail(transfer: Transfer, *, actor: Actor) -> Transfer:
    """Check a transfer with its rail now instead of when it is due, and record the event."""
    events.record("transfer.asked_about", transfer, actor=actor)
    worker.check_now(transfer)
    return transfer


def simulate_payment(
    address: str, *, actor: Actor, amount: Decimal, chain: str = CHAIN
) -> tuple[SimulatorPayment, bool]:
    """Simulate a USDC payment to an address. Returns it, and whether a transfer expects it.

    Raises SandboxOnly, ValidationError, InvalidAmount, and PermissionDenied if it would fund a
    wallet of the actor's organization outside the actor's wallet scope.
    """
    if actor.environment != Environment.SANDBOX:
        raise SandboxOnly("Only in the sandbox does money come from nowhere: use a sandbox key.")
    if not ethereum.is_address(address):
        raise ValidationError(
            "This isn't a valid Ethereum address. Check it for typos.",
            fields={"address": "must be an Ethereum address with a valid checksum"},
        )
    _require_decimals(amount, RailType.USDC)
    expected = Transfer.objects.filter(
        direction=_Direction.DEPOSIT, rail_type=RailType.USDC, address=ethereum.checksum(address)
    ).first()
    is_ours = expected is not None and expected.organization_id == actor.organization.id
    if is_ours and not actor.covers(expected.wallet_id):
        raise PermissionDenied(
            "USDC at that address fund a wallet outside this key's wallet scope. Use a key whose"
            " scope covers it."
        )
    return simulator.pay_address(address, amount, chain), expected is not None


def decimals_error(amount: Decimal, rail_type: RailType) -> InvalidAmount | None:
    """Return the error for an amount with more decimals than a rail supports, or None."""
    if amount == round(amount, rail_type.places):
        return None
    return InvalidAmount(
        f"{rail_type.label} carries at most {rail_type.places} decimals.",
        places=rail_type.places,
    )


def _require_decimals(amount: Decimal, rail_type: RailType) -> None:
    if error := decimals_error(amount, rail_type):
        raise error


def _build(
    wallet: Wallet, amount: Decimal, rail_type: str, direction: str, may_convert: bool
) -> Transfer:
    """Check the wallet, currency and amount, and return a transfer that is not saved yet."""
    rail_type = RailType(rail_type)
    rail = directory.for_environment(wallet.environment)
    if wallet.status == Wallet.Status.CLOSED:
        raise InvalidState("The wallet is closed.", walletId=wallet.id)
    if wallet.currency != rail_type.currency and not may_convert:
        raise ValidationError(
            f"{rail_type.label} carries {rail_type.currency}; the wallet holds {wallet.currency}.",
            fields={"method": f"carries {rail_type.currency}, not {wallet.currency}"},
        )
    _require_decimals(amount, rail_type)
    now = clock.now(wallet)
    return Transfer(
        organization=wallet.organization,
        environment=wallet.environment,
        wallet=wallet,
        direction=direction,
        rail_type=rail_type,
        provider=rail.name,
        is_test=rail.is_test,
        amount=amount,
        currency=wallet.currency,
        created_at=now,
        deadline_at=now + rail.quote(rail_type).cancelled_after,
    )


def _set_counterparty(transfer: Transfer, counterparty: Bank | Address, field: str) -> None:
    """Store the counterparty: encrypted in full for the rail, masked for display.

    Raises ValidationError with the field names below `field`.
    """
    if transfer.rail_type == RailType.USDC:
        _validate_address(counterparty, field)
        transfer.address, transfer.chain = ethereum.checksum(counterparty.address), CHAIN
        counterparty = Address(transfer.address, CHAIN)
    else:
        _validate_bank(counterparty, field)
        transfer.account_name = counterparty.account_name
        transfer.account_last4 = counterparty.account_number[-4:]
        transfer.bank_name = banking.bank_name(counterparty.routing_number)
    transfer.encrypt_counterparty(asdict(counterparty))


def _validate_bank(bank: Bank | Address, field: str) -> None:
    errors = {}
    if not isinstance(bank, Bank):
        errors[field] = "must be a bank account"
    else:
        if not banking.is_routing_number(bank.routing_number):
            errors[f"{field}.routingNumber"] = "is not a routing number: check its nine digits"
        if not banking.is_account_number(bank.account_number):
            errors[f"{field}.accountNumber"] = "must be 4 to 17 digits"
        if len(bank.account_name) > ACCOUNT_NAME_LENGTH:
            errors[f"{field}.accountName"] = f"must be at most {ACCOUNT_NAME_LENGTH} characters"
    if errors:
        raise ValidationError("This is not a bank account to transfer with.", fields=errors)


def _validate_address(address: Bank | Address, field: str) -> None:
    if not isinstance(address, Address):
        raise ValidationError(
            "USDC needs an address on a chain.", fields={field: "must be an address on a chain"}
        )
    if not ethereum.is_address(address.address):
        raise ValidationError(
            "This isn't a valid Ethereum address. Check it for typos.",
            fields={f"{field}.address": "must be an Ethereum address with a valid checksum"},
        )
    _validate_chain(address.chain, f"{field}.chain")


def _validate_chain(chain: str, field: str) -> None:
    if chain.casefold() != CHAIN:
        raise ValidationError("USDC is moved on Ethereum only.", fields={field: f"must be {CHAIN}"})


def _create(transfer: Transfer, *, actor: Actor) -> None:
    transfer.save(force_insert=True)
    events.record("transfer.created", transfer, actor=actor)
    worker.check_now(transfer)


def _place_hold(transfer: Transfer) -> None:
    try:
        holds.place(
            transfer.hold_id,
            account_id=transfer.wallet.account_id,
            amount=transfer.amount + transfer.fee,
            reason="transfer",
            reference=transfer.id,
            ahead=clock.offset(transfer),
        )
    except journal.Refused as refused:
        raise ledger_errors.explain(refused, transfer.wallet) from None
