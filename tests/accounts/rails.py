"""Verbs for tests of transfers over rails."""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction

from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.transfers.models import Transfer
from accounts.transfers.rails import directory, simulator
from accounts.transfers.services import callbacks, orders, worker
from accounts.transfers.services.orders import Address, Bank
from accounts.wallets.models import Wallet
from tests import world
from wallgent import clock, ids

ROUTING = "021000021"
PURPOSE = "test"


def bank(fault: int = 0, *, number: str = "000123456789") -> Bank:
    """Somebody's bank account, or the published one that provokes a fault."""
    number = simulator.account_number(fault) if fault else number
    return Bank(routing_number=ROUTING, account_number=number, account_name="Grace Hopper")


def chain_address(fault: int = 0) -> Address:
    """Somebody's address on the chain, or the published one that provokes a fault."""
    found = simulator.address(fault) if fault else "0x52908400098527886E0F7030069857D2E4169EE7"
    return Address(found)


def withdraw(wallet: Wallet, amount: str = "25", *, fault: int = 0, **more) -> Transfer:
    rail_type = more.setdefault("rail_type", "ACH")
    more.setdefault("destination", chain_address(fault) if rail_type == "USDC" else bank(fault))
    wallet = Wallet.objects.get(pk=wallet.pk)  # with its clock and balance as they are now
    actor = world.actor_for(wallet.organization, wallet.environment)
    with transaction.atomic():  # as a door would: a refusal undoes it
        return orders.withdraw(actor=actor, wallet=wallet, amount=Decimal(amount), **more)


def deposit(wallet: Wallet, amount: str = "25", *, fault: int = 0, **more) -> Transfer:
    wallet = Wallet.objects.get(pk=wallet.pk)  # with its clock and balance as they are now
    actor = world.actor_for(wallet.organization, wallet.environment)
    more.setdefault("source", bank(fault))
    with transaction.atomic():  # as a door would: a refusal undoes it
        return orders.deposit(actor=actor, wallet=wallet, amount=Decimal(amount), **more)


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
    """A deposit that no rail was told of yet."""
    now, is_test = clock.now(wallet), wallet.environment == "SANDBOX"
    if not is_test:
        allow_real_money()
    return Transfer.objects.create(
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
        next_attempt_at=now + timedelta(days=9),
    )


def expect(wallet: Wallet, amount: str = "25", **more) -> Transfer:
    wallet = Wallet.objects.get(pk=wallet.pk)  # with its clock and balance as they are now
    actor = world.actor_for(wallet.organization, wallet.environment)
    with transaction.atomic():  # as a door would: a refusal undoes it
        return orders.expect(actor=actor, wallet=wallet, amount=Decimal(amount), **more)


def cancel(transfer: Transfer) -> Transfer:
    actor = world.actor_for(transfer.organization, transfer.environment)
    with transaction.atomic():
        return orders.cancel(transfer, actor=actor)


def advance(organization: Organization, **by) -> None:
    """Let an organization's sandbox live further ahead."""
    actor = world.actor_for(organization)
    organizations.advance_clock(organization, actor=actor, by=timedelta(**by))


def sweep(times: int = 20) -> None:
    """Do what is due now, and what falls due at once by that, as the worker would."""
    for _ in range(times):
        due = worker.due()
        if not due:
            return
        for id in due:
            worker.attend(id)
    raise AssertionError("it is never done")


def settle(organization: Organization, *, seconds: int = 5) -> None:
    """Do what is due now, and again so many seconds later."""
    sweep()
    advance(organization, seconds=seconds)
    sweep()


def stored(transfer: Transfer) -> Transfer:
    return Transfer.objects.with_parties().get(pk=transfer.pk)


@contextmanager
def told(purpose: str = PURPOSE):
    """What the handler of a purpose is told meanwhile: (transfer's id, outcome) in order."""
    heard = []
    with handler(lambda transfer, outcome, actor: heard.append((transfer.id, str(outcome)))):
        yield heard


@contextmanager
def handler(handle: Callable, *, lock=None, purpose: str = PURPOSE):
    """Have a function handle the outcomes of a purpose meanwhile."""
    callbacks.on_outcome(purpose, handle, lock=lock)
    try:
        yield
    finally:
        del callbacks._handlers[purpose]
        callbacks._locks.pop(purpose, None)


@contextmanager
def rail(double):
    """Let another rail take the simulator's place."""
    real = directory._RAILS["simulator"]
    directory._RAILS["simulator"] = double
    try:
        yield double
    finally:
        directory._RAILS["simulator"] = real


def uuid_of(transfer: Transfer):
    return ids.to_uuid(transfer.id)
