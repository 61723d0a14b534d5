"""Helpers for tests of transfers over rails."""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction

from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.transfers.models import Transfer
from accounts.transfers.rails import directory, simulator
from accounts.transfers.rails.base import Address, Bank
from accounts.transfers.services import callbacks, orders, worker
from accounts.wallets.models import Wallet
from tests import due, world
from wallgent import clock, due_work, ids
from wallgent.due_work import kinds, queue
from wallgent.due_work import worker as due_worker
from wallgent.due_work.models import DueWork

ROUTING = "021000021"
PURPOSE = "test"


def bank(fault: int = 0, *, number: str = "000123456789") -> Bank:
    """Return a bank account, or the simulator's account that triggers a fault."""
    number = simulator.account_number(fault) if fault else number
    return Bank(routing_number=ROUTING, account_number=number, account_name="Grace Hopper")


def chain_address(fault: int = 0) -> Address:
    """Return a chain address, or the simulator's address that triggers a fault."""
    address = simulator.address(fault) if fault else "0x52908400098527886E0F7030069857D2E4169EE7"
    return Address(address)


def withdraw(wallet: Wallet, amount: str = "25", *, fault: int = 0, **options) -> Transfer:
    rail_type = options.setdefault("rail_type", "ACH")
    options.setdefault("destination", chain_address(fault) if rail_type == "USDC" else bank(fault))
    wallet = Wallet.objects.get(pk=wallet.pk)  # with its current clock and balance
    actor = world.actor_for(wallet.organization, wallet.environment)
    with transaction.atomic():  # as entry points do: an error rolls it back
        return orders.withdraw(actor=actor, wallet=wallet, amount=Decimal(amount), **options)


def deposit(wallet: Wallet, amount: str = "25", *, fault: int = 0, **options) -> Transfer:
    wallet = Wallet.objects.get(pk=wallet.pk)  # with its current clock and balance
    actor = world.actor_for(wallet.organization, wallet.environment)
    options.setdefault("source", bank(fault))
    with transaction.atomic():  # as entry points do: an error rolls it back
        return orders.deposit(actor=actor, wallet=wallet, amount=Decimal(amount), **options)


def allow_real_money() -> None:
    """Let this test's transaction store transfers of a rail that production does not have yet."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "ALTER TABLE accounts_transfer"
            " DROP CONSTRAINT IF EXISTS transfer_moves_money_that_its_provider_may"
        )
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def unsent(wallet: Wallet) -> Transfer:
    """Create a deposit that is not submitted to a rail yet."""
    now, is_test = clock.now(wallet), wallet.environment == "SANDBOX"
    if not is_test:
        allow_real_money()
    transfer = Transfer(
        organization=wallet.organization,
        environment=wallet.environment,
        wallet=wallet,
        direction=Transfer.Direction.DEPOSIT,
        rail_type="ACH",
        provider="simulator" if is_test else "nacha",
        is_test=is_test,
        amount=Decimal(25),
        currency=wallet.currency,
        created_at=now,
        deadline_at=now + timedelta(days=9),
    )
    with transaction.atomic():
        transfer.save(force_insert=True)
        due_work.schedule(worker.DUE_WORK, transfer, at=transfer.deadline_at)
    return transfer


def expect(wallet: Wallet, amount: str = "25", **options) -> Transfer:
    wallet = Wallet.objects.get(pk=wallet.pk)  # with its current clock and balance
    actor = world.actor_for(wallet.organization, wallet.environment)
    with transaction.atomic():  # as entry points do: an error rolls it back
        return orders.expect(actor=actor, wallet=wallet, amount=Decimal(amount), **options)


def cancel(transfer: Transfer) -> Transfer:
    actor = world.actor_for(transfer.organization, transfer.environment)
    with transaction.atomic():
        return orders.cancel(transfer, actor=actor)


def advance(organization: Organization, **by) -> None:
    """Move an organization's sandbox clock forward."""
    actor = world.actor_for(organization)
    organizations.advance_clock(organization, actor=actor, by=timedelta(**by))


def work(number: int = 0) -> int:
    """Process due transfers as one worker does. Return how many."""
    return due_worker.work(worker.DUE_WORK)


def process(transfer: Transfer) -> None:
    """Process one transfer, as a worker that has taken it."""
    with transaction.atomic():
        rows = queue._lease([row_of(transfer).pk], kinds.of(worker.DUE_WORK))
    due_worker.handle(rows)


def sweep(times: int = 20) -> None:
    """Process due transfers until none is due. The leases of killed workers have lapsed."""
    with transaction.atomic():
        due.lapse_leases()
    for _ in range(times):
        if not work():
            return
    raise AssertionError("transfers are still due")


def pay(transfer: Transfer, amount: str, chain: str = "ethereum") -> simulator.SimulatorPayment:
    """Pay to the address of a transfer, and deliver the rail's event."""
    payment = simulator.pay_address(transfer.address, Decimal(amount), chain)
    worker.on_rail_event(simulator.Simulator.name, {"address": transfer.address})
    return payment


def row_of(transfer: Transfer) -> DueWork | None:
    """Return the due work of a transfer."""
    return due.row_of(transfer.id)


def settle(organization: Organization, *, seconds: int = 5) -> None:
    """Process due transfers now, and again `seconds` later."""
    sweep()
    advance(organization, seconds=seconds)
    sweep()


def stored(transfer: Transfer) -> Transfer:
    return Transfer.objects.with_parties().get(pk=transfer.pk)


@contextmanager
def recorded_outcomes(purpose: str = PURPOSE):
    """Collect the (transfer ID, outcome) calls of a purpose's handler, in order."""
    outcomes = []
    with handler(lambda transfer, outcome, actor: outcomes.append((transfer.id, str(outcome)))):
        yield outcomes


@contextmanager
def handler(handle: Callable, *, lock=None, purpose: str = PURPOSE):
    """Register a handler for the outcomes of a purpose within the block."""
    callbacks.on_outcome(purpose, handle, lock=lock)
    try:
        yield
    finally:
        del callbacks._handlers[purpose]
        callbacks._locks.pop(purpose, None)


@contextmanager
def rail(replacement):
    """Replace the simulator with another rail within the block."""
    simulated = directory._RAILS["simulator"]
    directory._RAILS["simulator"] = replacement
    try:
        yield replacement
    finally:
        directory._RAILS["simulator"] = simulated


def uuid_of(transfer: Transfer):
    return ids.to_uuid(transfer.id)
