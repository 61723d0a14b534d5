"""The time that one worker takes to expire payment links that are all due at once."""

import random
import time
from datetime import timedelta
from decimal import Decimal

from django.db import transaction

from bench.reference import Reference
from bench.world import World, actor_of
from links.payment_links.models import PaymentLink
from links.payment_links.services import expiry, payment_links
from wallgent import clock
from wallgent.due_work import worker
from wallgent.due_work.models import DueWork

LINKS = 10_000
AIM_SECONDS = 60
_LINKS_PER_TRANSACTION = 500
_REFERENCE_CLIENTS, _REFERENCE_SECONDS = 1, 4


def measure(world: World, reference: Reference) -> dict:
    """Create links that hold money, make them due, and expire them.

    The reference posts sets of transfers from one client, before and after.
    """
    _create_links(world)
    past = clock.real_now() - timedelta(seconds=1)
    links = PaymentLink.objects.filter(status="ACTIVE", expires_at__isnull=False)
    due = links.update(created_at=past - timedelta(hours=1), expires_at=past)
    assert due == LINKS, f"{due} links are due"
    DueWork.objects.filter(kind=expiry.DUE_WORK).update(due_at=past)
    before = _reference_rate(reference)
    started, expired = time.perf_counter(), 0
    while count := worker.work(expiry.DUE_WORK):
        expired += count
    seconds = time.perf_counter() - started
    assert expired == LINKS, f"{expired} of {LINKS} links expired"
    rate = (before + _reference_rate(reference)) / 2
    return {
        "links": LINKS,
        "seconds": seconds,
        "ratio": LINKS / seconds / rate,
        "reference": rate,
        "aim": AIM_SECONDS,
    }


def line(result: dict) -> str:
    """Return the line of the report."""
    return (
        f"expiry: {result['links']:,} links due at once in {result['seconds']:.1f} s (aim: under"
        f" {result['aim']}), ratio {result['ratio']:.3f} to {result['reference']:,.0f} transfers"
        " a second in sets"
    )


def _reference_rate(reference: Reference) -> float:
    return reference.run("sets", clients=_REFERENCE_CLIENTS, seconds=_REFERENCE_SECONDS)


def _create_links(world: World) -> None:
    until = clock.real_now() + timedelta(hours=1)
    for _ in range(LINKS // _LINKS_PER_TRANSACTION):
        with transaction.atomic():
            for _ in range(_LINKS_PER_TRANSACTION):
                wallet = random.choice(world.members).wallet
                payment_links.create(
                    actor=actor_of(wallet.organization),
                    wallet=wallet,
                    amount=Decimal("0.01"),
                    direction="SEND",
                    expires_at=until,
                )
