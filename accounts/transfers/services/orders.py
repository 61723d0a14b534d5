"""Transfers over rails: money ordered out to a bank or a chain, or in from there.

Ordering makes no call: it writes down what is to be done, in the caller's transaction, and wakes
the task that does it (see `rail_settlement`). Whoever orders says what for: `purpose` and
`reference`; the handler that `on_outcome` registered for the purpose is told what comes of it.
"""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.errors import SandboxOnly, TransferNotFound
from accounts.ledger import holds, journal
from accounts.transfers import banking, ethereum
from accounts.transfers.models import RailType, SimulatorPayment, Transfer
from accounts.transfers.rails import directory, simulator
from accounts.transfers.rails.base import Address, Bank, Quote
from accounts.transfers.services import callbacks, status_updates, worker
from accounts.transfers.services.callbacks import Outcome, is_known
from accounts.wallets import ledger_errors
from accounts.wallets.models import Wallet
from wallgent import clock, events, ids
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidAmount,
    InvalidState,
    PermissionDenied,
    ValidationError,
)
from wallgent.task_queue import enqueue_on_commit

__all__ = [
    *("Address", "Bank", "Outcome", "RailType", "Transfer"),
    *("access", "ask_now", "cancel", "deposit", "expect", "on_outcome", "places_refusal"),
    *("quote", "simulate_payment", "visible_to", "withdraw"),
]

CHAIN = "ethereum"  # the one our addresses are watched on
ACCOUNT_NAME_LENGTH = 140

_Direction = Transfer.Direction


def access(id: str, *, actor: Actor) -> Transfer:
    """A transfer the actor may see.

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


def visible_to(actor: Actor):
    """The transfers the actor may list."""
    return Transfer.objects.visible_to(actor)


def quote(environment: str, rail_type: str) -> Quote:
    """When money over this rail arrives, for people to read first. Raises NotAvailable."""
    return directory.of(environment).quote(rail_type)


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
    """Order money out of a wallet. It is held until the rail has proven that it arrived, or not.

    It is held by `hold_id`, which its owner keeps: what fails stays in it; else by a hold of its
    own. `may_convert` lets USD go out as USDC and the other way, 1:1.
    Raises ValidationError, InvalidAmount, NotAvailable, InsufficientFunds, WalletFrozen,
    InvalidState.
    """
    assert is_known(purpose), f"nobody is told of transfers for {purpose}"
    transfer = _build(wallet, amount, rail_type, _Direction.WITHDRAWAL, may_convert)
    _name_party(transfer, destination, "destination")
    transfer.purpose, transfer.reference = purpose, reference
    transfer.description = description
    transfer.hold_id, transfer.owns_hold = hold_id or ids.new("hld"), hold_id is None
    _start(transfer, actor=actor)
    if transfer.owns_hold:
        _promise(transfer)
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
    """Order money out of somebody's bank account, who has agreed to it, into a wallet.

    The wallet is credited when the rail says it has come, and may have to give it back later.
    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    assert is_known(purpose), f"nobody is told of transfers for {purpose}"
    assert rail_type != RailType.USDC, "nobody can pull money from a chain: expect it"
    transfer = _build(wallet, amount, rail_type, _Direction.DEPOSIT, may_convert)
    _name_party(transfer, source, "source")
    transfer.purpose, transfer.reference = purpose, reference
    transfer.description = description
    _start(transfer, actor=actor)
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
    """An address of its own (`transfer.address`) to which `amount` of USDC shall be paid.

    What comes there on the right chain is credited, even in parts, too much or too late; each
    payment is an IncomingPayment, of which the purpose is told. `expires_at` None is the rail's.
    Raises ValidationError, InvalidAmount, NotAvailable, InvalidState.
    """
    assert is_known(purpose), f"nobody is told of transfers for {purpose}"
    transfer = _build(wallet, amount, RailType.USDC, _Direction.DEPOSIT, may_convert)
    _check_chain(chain, "chain")
    transfer.purpose, transfer.reference = purpose, reference
    transfer.description = description
    transfer.chain = CHAIN
    transfer.address = directory.of(wallet.environment).deposit_address(transfer.id)
    if expires_at is not None:
        transfer.deadline_at = expires_at
    _start(transfer, actor=actor)
    return transfer


@transaction.atomic(savepoint=False)
def cancel(transfer: Transfer, *, actor: Actor) -> Transfer:
    """Take an order back: at once if the rail was not told, else as soon as the rail agrees.

    Raises InvalidState when it has ended.
    """
    callbacks.lock(transfer)
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
    # An address may have been shown, and paid to: its rail must have watched it to know.
    if transfer.status == Transfer.Status.PENDING and not transfer.awaits_payer:
        status_updates.end(transfer, Outcome.CANCELLED, actor=actor)
    else:
        transfer.next_attempt_at = now
        transfer.save(update_fields=["cancel_requested_at", "next_attempt_at"])
        enqueue_on_commit(worker.TASK, transfer.id)
    return transfer


@transaction.atomic(savepoint=False)
def check_now_with_rail(transfer: Transfer, *, actor: Actor) -> Transfer:
    """Have the rail asked at once how far a transfer is, rather than when it is due."""
    events.record("transfer.asked_about", transfer, actor=actor)
    worker.check_now(transfer)
    return transfer


def simulate_payment(
    address: str, *, actor: Actor, amount: Decimal, chain: str = CHAIN
) -> tuple[SimulatorPayment, bool]:
    """Let USDC arrive at an address in the sandbox; and whether anybody waits for it there.

    Raises SandboxOnly, ValidationError, InvalidAmount, and PermissionDenied where it would fund a
    wallet of the actor's organization outside its wallet scope.
    """
    if actor.environment != Environment.SANDBOX:
        raise SandboxOnly("Only in the sandbox does money come from nowhere: use a sandbox key.")
    if not ethereum.is_address(address):
        raise ValidationError(
            "This is not an Ethereum address: some of it is mistyped.",
            fields={"address": "is not an Ethereum address: check its letters"},
        )
    _check_places(amount, RailType.USDC)
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


def places_refusal(amount: Decimal, rail_type: RailType) -> InvalidAmount | None:
    """The refusal of an amount with more decimals than a rail carries, or None."""
    if amount == round(amount, rail_type.places):
        return None
    return InvalidAmount(
        f"{rail_type.label} carries at most {rail_type.places} decimals.",
        places=rail_type.places,
    )


def _check_places(amount: Decimal, rail_type: RailType) -> None:
    if error := places_refusal(amount, rail_type):
        raise error


def _build(
    wallet: Wallet, amount: Decimal, rail_type: str, direction: str, may_convert: bool
) -> Transfer:
    """A transfer that the rail could carry, not saved yet."""
    rail_type = RailType(rail_type)
    rail = directory.of(wallet.environment)
    if wallet.status == Wallet.Status.CLOSED:
        raise InvalidState("The wallet is closed.", walletId=wallet.id)
    if wallet.currency != rail_type.currency and not may_convert:
        raise ValidationError(
            f"{rail_type.label} carries {rail_type.currency}; the wallet holds {wallet.currency}.",
            fields={"method": f"carries {rail_type.currency}, not {wallet.currency}"},
        )
    _check_places(amount, rail_type)
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
        deadline_at=now + rail.quote(rail_type).given_up_after,
        next_attempt_at=now,
    )


def _name_party(transfer: Transfer, party: Bank | Address, where: str) -> None:
    """Keep whom the money goes to or comes from: whole for the rail, masked for everybody else."""
    if transfer.rail_type == RailType.USDC:
        _check_address(party, where)
        transfer.address, transfer.chain = ethereum.checksum(party.address), CHAIN
        party = Address(transfer.address, CHAIN)
    else:
        _check_bank(party, where)
        transfer.account_name = party.account_name
        transfer.account_last4 = party.account_number[-4:]
        transfer.bank_name = banking.bank_name(party.routing_number)
    transfer.keep_party(asdict(party))


def _check_bank(bank: Bank | Address, where: str) -> None:
    wrong = {}
    if not isinstance(bank, Bank):
        wrong[where] = "must be a bank account"
    else:
        if not banking.is_routing_number(bank.routing_number):
            wrong[f"{where}.routingNumber"] = "is not a routing number: check its nine digits"
        if not banking.is_account_number(bank.account_number):
            wrong[f"{where}.accountNumber"] = "must be 4 to 17 digits"
        if len(bank.account_name) > ACCOUNT_NAME_LENGTH:
            wrong[f"{where}.accountName"] = f"must be at most {ACCOUNT_NAME_LENGTH} characters"
    if wrong:
        raise ValidationError("This is not a bank account to transfer with.", fields=wrong)


def _check_address(address: Bank | Address, where: str) -> None:
    if not isinstance(address, Address):
        raise ValidationError(
            "USDC needs an address on a chain.", fields={where: "must be an address on a chain"}
        )
    if not ethereum.is_address(address.address):
        raise ValidationError(
            "This is not an Ethereum address: some of it is mistyped.",
            fields={f"{where}.address": "is not an Ethereum address: check its letters"},
        )
    _check_chain(address.chain, f"{where}.chain")


def _check_chain(chain: str, where: str) -> None:
    if chain.casefold() != CHAIN:
        raise ValidationError("USDC is moved on Ethereum only.", fields={where: f"must be {CHAIN}"})


def _start(transfer: Transfer, *, actor: Actor) -> None:
    transfer.save(force_insert=True)
    events.record("transfer.created", transfer, actor=actor)
    enqueue_on_commit(worker.TASK, transfer.id)


def _promise(transfer: Transfer) -> None:
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
