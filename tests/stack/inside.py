"""What tests ask of a stack's own database.

It is answered in a process of its own: the tests' process is bound to the tests' database.
"""

import json
import sys
from datetime import timedelta

from accounts import tasks
from accounts.ledger.models import Unrolled
from accounts.models import ApiKey, Membership, Organization, User
from accounts.services import books
from tests import world
from wallgent import clock
from wallgent.events import chain
from wallgent.events.models import OutboxEntry


def cast(names: list[str]) -> dict:
    """For each name, two organizations that do not know each other, with every kind of key."""
    return {name: _pair() for name in names}


def _pair() -> dict:
    acme, globex = world.make_organization("Acme"), world.make_organization("Globex")
    person = User.objects.create_user(f"{acme.id}@example.com", name="Ada")
    Membership.objects.create(organization=acme, user=person, role=Membership.Role.OWNER)
    wallet = world.make_wallet(acme, "Research agent", funds="1000")
    return {
        "organization": acme.id,
        "member": {"id": person.id, "email": person.email, "name": "Ada", "role": "OWNER"},
        "main": acme.wallets.get(is_default=True, environment="SANDBOX").id,
        "wallet": wallet.id,
        "shop": world.make_wallet(globex, "Shop").id,
        "live_wallet": world.make_wallet(acme, "Live", environment="PRODUCTION").id,
        "keys": _keys(acme, globex, wallet),
    }


def _keys(acme, globex, wallet) -> dict:
    small = world.make_organization(
        "Small", plan="FREE", custom_reads_per_minute=None, custom_writes_per_minute=None
    )
    keys = {
        "expired": world.make_key(acme),
        "sandbox": world.make_key(acme),
        "live": world.make_key(acme, environment="PRODUCTION"),
        "stranger": world.make_key(globex),
        "scoped": world.make_key(acme, wallet_scope=[wallet.id]),
        "reader": world.make_key(acme, permissions=["wallets:read", "payments:read"]),
        "elsewhere": world.make_key(acme, allowed_ips=["192.0.2.0/24"]),
        "slow": world.make_key(small),
        "few_wallets": world.make_key(world.make_organization("Few", plan="FREE")),
    }
    oldest = ApiKey.objects.filter(organization=acme).order_by("pk").first()
    oldest.expires_at = clock.real_now() - timedelta(minutes=1)
    oldest.save()
    return keys


def payers(count: int) -> dict:
    """Rich wallets, a shop of a stranger's to pay, and the key that may spend."""
    acme, globex = world.make_organization("Acme"), world.make_organization("Globex")
    wallets = [world.make_wallet(acme, f"Payer {n}", funds="10000") for n in range(count)]
    return {
        "key": world.make_key(acme),
        "wallets": [wallet.id for wallet in wallets],
        "shop": world.make_wallet(globex, "Shop").id,
    }


def proof() -> dict:
    """All that must be nothing once everything has settled."""
    return {
        "books": books.differences(),
        "chains": [line for owner in Organization.objects.all() for line in chain.verify(owner)],
        "outbox": OutboxEntry.objects.count(),
        "unrolled": Unrolled.objects.count(),
    }


def roll() -> None:
    """Roll up without end."""
    while True:
        tasks.roll_up()


_QUESTIONS = {function.__name__: function for function in (cast, payers, proof, roll)}


def answer() -> None:
    """Print the answer to the question that the command line asks."""
    question, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(_QUESTIONS[question](*map(json.loads, arguments))))
