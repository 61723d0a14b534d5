"""How long bank payouts wait for their rail while another tenant has much due work."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from django.db import transaction

from accounts.transfers.models import Transfer
from accounts.transfers.rails.base import Bank
from accounts.transfers.services import orders
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from bench.fairness import Tenant
from bench.world import World, actor_of
from wallgent import clock
from wallgent.actors import ActorType
from wallgent.due_work.models import DueWork
from wallgent.imports import files
from wallgent.imports import worker as imports

ADDRESSES = 5_000
PAYOUTS = 20  # one after the other
AIM_SECONDS = 2
_PATIENCE_SECONDS = 120
_BANK = Bank("021000021", "000123456789", "Grace Hopper")


def measure(world: World, loud: Tenant) -> dict:
    """Time payouts alone, then beside open addresses that are all looked at and an import."""
    wallet = world.members[0].wallet
    alone = [_pay_out(wallet) for _ in range(PAYOUTS)]
    _expect(loud)
    importer = replace(loud.actor, type=ActorType.USER, id=loud.user.id)
    with transaction.atomic():
        files.confirm(loud.upload, actor=importer)
        DueWork.objects.filter(organization=loud.actor.organization).update(due_at=clock.real_now())
    beside = [_pay_out(wallet) for _ in range(PAYOUTS)]
    waiting = DueWork.objects.filter(organization=loud.actor.organization)
    assert waiting.filter(kind=imports.DUE_WORK).exists(), "the load has ended too early"
    alone, beside = _summary(alone), _summary(beside)
    ratio = beside["median"] / alone["median"]
    return {"alone": alone, "beside": beside, "ratio": ratio, "aim": AIM_SECONDS}


def line(result: dict) -> str:
    """Return the line of the report."""
    alone, beside = result["alone"], result["beside"]
    return (
        f"payouts: at the bank after {beside['median']:.2f} s (longest {beside['max']:.2f}) beside"
        f" {ADDRESSES:,} addresses to look at and an import of another tenant;"
        f" alone {alone['median']:.2f} s, ratio {result['ratio']:.1f}"
        f" (aim: under {result['aim']} s)"
    )


def _summary(seconds: list) -> dict:
    return {"median": statistics.median(seconds), "max": max(seconds)}


def _pay_out(wallet: Wallet):
    """Create a payout. Return the seconds until a worker has sent it to the rail."""
    wallet = Wallet.objects.select_related("organization", "account").get(pk=wallet.pk)
    actor = actor_of(wallet.organization)
    with transaction.atomic():
        transfer = orders.withdraw(
            actor=actor, wallet=wallet, amount=Decimal(1), rail_type="ACH", destination=_BANK
        )
    started = time.perf_counter()
    sent = Transfer.objects.filter(pk=transfer.pk).exclude(status=Transfer.Status.PENDING)
    _wait_until(sent.exists)
    return time.perf_counter() - started


def _expect(loud: Tenant) -> None:
    wallet = wallets.create(actor=loud.actor, name="Coins", currency="USDC")
    for _ in range(ADDRESSES):
        orders.expect(actor=loud.actor, wallet=wallet, amount=Decimal(1))
    opened = Transfer.objects.filter(organization=loud.actor.organization, status="PROCESSING")
    _wait_until(lambda: opened.count() == ADDRESSES)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "no worker has processed the payout"
        time.sleep(0.02)
