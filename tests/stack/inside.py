"""What tests ask of a stack's own database.

It is answered in a process of its own: the tests' process is bound to the tests' database.
"""

import contextlib
import json
import sys
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from django.db import Error, connection, transaction

from accounts import tasks
from accounts.controls.models import Approval
from accounts.ledger import checks as books
from accounts.ledger import holds
from accounts.ledger.models import Unrolled
from accounts.organizations.models import Membership, Organization, User
from accounts.organizations.services import members
from accounts.transfers.rails import simulator
from accounts.transfers.services.orders import Bank
from accounts.wallets.models import Wallet
from links.payment_links.services import claim_status, claims, payment_links
from links.payment_links.services.payment_links import Restrictions
from tests import pages, world
from tests.accounts import rails
from wallgent import clock, ids
from wallgent.events import chain
from wallgent.events.models import OutboxEntry

_COINS = ("USD", "USDC")
_FAULTS = {
    "never settles": 60,
    "closed": 2,
    "returns": 10,
    "pays": 0,
}  # of the simulator's accounts


@transaction.atomic
def cast(names: list[str]) -> dict:
    """For each name an organization with every kind of key, and a wallet of one stranger."""
    globex = world.make_organization("Globex")
    shared = {
        "stranger": world.make_key(globex),
        "slow": world.make_key(_organization_of_plan_free("Slow", custom_writes_per_minute=10)),
        "few_wallets": world.make_key(_organization_of_plan_free("Few")),
    }
    return {name: _part(globex, shared) for name in names}


def _organization_of_plan_free(name: str, **limits):
    return world.make_organization(name, plan="FREE", **limits)


def _part(globex, shared_keys: dict) -> dict:
    acme = world.make_organization("Acme")
    person = User.objects.create_user(f"{acme.id}@example.com", name="Ada")
    Membership.objects.create(organization=acme, user=person, role=Membership.Role.OWNER)
    wallet = world.make_wallet(acme, "Research agent", funds="1000")
    return {
        "organization": acme.id,
        "member": {"id": person.id, "email": person.email, "role": "OWNER"},
        "main": acme.wallets.get(is_default=True, environment="SANDBOX").id,
        "wallet": wallet.id,
        "held": _wallet_with_holds(acme).id,
        "shop": world.make_wallet(globex, "Shop").id,
        "live_wallet": world.make_wallet(acme, "Live", environment="PRODUCTION").id,
        "keys": _keys(acme, wallet) | shared_keys,
    }


def _wallet_with_holds(organization):
    """One with 100, of which 40 are promised to a card, and 15 were once."""
    wallet = world.make_wallet(organization, "Card wallet", funds="100")
    promise = {"account_id": wallet.account_id, "reason": "card"}
    holds.place(ids.new("hld"), amount=Decimal(40), reference="aut_1", **promise)
    gone = holds.place(ids.new("hld"), amount=Decimal(15), reference="aut_2", **promise)
    holds.release(gone.id, operation=uuid4())
    return wallet


def _keys(organization, wallet) -> dict:
    keys = {
        "expired": world.make_key(organization),
        "sandbox": world.make_key(organization),
        "live": world.make_key(organization, environment="PRODUCTION"),
        "scoped": world.make_key(organization, wallet_scope=[wallet.id]),
        "reader": world.make_key(organization, permissions=["wallets:read", "payments:read"]),
        "elsewhere": world.make_key(organization, allowed_ips=["192.0.2.0/24"]),
    }
    oldest = organization.api_keys.order_by("pk").first()
    oldest.expires_at = clock.real_now() - timedelta(minutes=1)
    oldest.save()
    return keys


@transaction.atomic
def household() -> dict:
    """An organization with some of everything, its owner's session, and where its pages are."""
    acme, globex = world.make_organization("Acme Research"), world.make_organization("Globex")
    things = pages.things_of(acme)
    owner = world.make_member(acme, "OWNER", name="Ada Lovelace", email="ada@acme.example")
    payer = Wallet.objects.get(pk=things["wallet"])
    shop = world.make_wallet(globex, "Shop")
    addresses = _links(acme, payer, shop)
    things["approval"] = _pay_request(payer, shop).id
    actor = world.actor_for(acme)
    invited = members.invite(
        actor=actor,
        membership=acme.memberships.get(user=owner),
        email="grace@example.com",
        role="MEMBER",
    )
    return addresses | {
        "invitation": invited[1],
        "session": world.browser(owner).session.session_key,
        "pages": {page.name: page.url(acme, things) for page in pages.PAGES},
    }


@transaction.atomic
def asked() -> dict:
    """An organization that a stranger asks to pay: its owner's session, and where its pages are."""
    acme, globex = world.make_organization("Acme Research"), world.make_organization("Globex")
    payer = world.make_wallet(acme, "Travel", funds="1000")
    _pay_request(payer, world.make_wallet(globex, "Shop"))
    owner = world.browser(world.make_member(acme, "OWNER"))
    return {"session": owner.session.session_key, "place": f"/{acme.id}/sandbox/"}


def _pay_request(payer, shop) -> Approval:
    """What waits once whoever knows a link of the shop's has named the payer's wallet."""
    link = payment_links.create(
        actor=world.actor_for(shop.organization),
        wallet=shop,
        amount=Decimal("312.50"),
        direction="RECEIVE",
        description="Invoice 2031: the survey of the reef, part 2",
    )
    claims.open(link, destination=payer, actor=claims.public_actor(link))
    return Approval.objects.get(subject_id=link.id)


def staff() -> str:
    """The session of somebody of support who may do everything."""
    user = User.objects.create_superuser(f"{ids.new('usr').lower()}@support.example", name="Sam")
    return world.browser(user).session.session_key


def _links(organization, payer, shop) -> dict[str, str]:
    """A link in each of its states, with the path of its page."""
    actor = world.actor_for(organization)

    def make(direction="SEND", **more):
        more = {"description": "For the survey of the reef, part 2"} | more
        return payment_links.create(
            actor=actor, wallet=payer, amount=Decimal("12.50"), direction=direction, **more
        )

    made = {
        "pay": make(expires_at=clock.now(actor) + timedelta(days=2)),
        "open": make(),
        "ask": make("RECEIVE"),
        "restricted": make(restrictions=Restrictions(emails=("grace@example.com",))),
        "used": make(),
        "cancelled": make(),
        "expired": make(expires_at=clock.now(actor) + timedelta(seconds=1)),
    }
    claims.open(made["used"], destination=shop, actor=claims.public_actor(made["used"]))
    payment_links.cancel(made["cancelled"], actor=actor)
    return {name: f"/pay/{link.slug}" for name, link in made.items()}


def payable(tellings: list[str]) -> dict:
    """For each telling links of each kind with many uses; a stranger's wallets and their owner.

    And the pages of claims that end badly, some seconds from now.
    """
    acme, globex = world.make_organization("Acme Research"), world.make_organization("Globex")
    shop = world.make_wallet(globex, "Shop", funds="10000")
    world.make_wallet(globex, "Second", funds="10000")
    owner = world.make_member(globex, "OWNER", name="Grace Hopper")
    wallets = {name: world.make_wallet(acme, name, currency=name, funds="10000") for name in _COINS}

    def make(currency, direction, **more):
        return payment_links.create(
            actor=world.actor_for(acme),
            wallet=wallets[currency],
            amount=Decimal("12.50"),
            direction=direction,
            description="For the survey of the reef, part 2",
            **{"max_uses": 20} | more,
        )

    def paths() -> dict[str, str]:
        found = {f"{way} {coin}": make(coin, way) for way in ("SEND", "RECEIVE") for coin in _COINS}
        proven = Restrictions(emails=("grace@example.com",), proof="CODE")
        found["code"] = make("USD", "SEND", restrictions=proven)
        return {kind: f"/pay/{link.slug}" for kind, link in found.items()}

    ends = {name: _claim_of_a_bank(make("USD", "SEND"), fault) for name, fault in _FAULTS.items()}
    return {
        "paths": {telling: paths() for telling in tellings},
        "ends": ends,
        "shop": shop.id,
        "organization": globex.id,
        "session": world.browser(owner).session.session_key,
    }


def _claim_of_a_bank(link, fault: int) -> str:
    """The page of a claim to an account with that fault."""
    bank = Bank("021000021", simulator.account_number(fault), "Grace Hopper")
    claim = claims.open(link, destination=bank, actor=claims.public_actor(link))
    return f"/pay/{link.slug}/receipt/{claim_status.token_of(claim)}"


def payers(count: int) -> dict:
    """Rich wallets, a shop of a stranger's to pay, and the key that may spend."""
    acme, globex = world.make_organization("Acme"), world.make_organization("Globex")
    wallets = [world.make_wallet(acme, f"Payer {n}", funds="10000") for n in range(count)]
    return {
        "key": world.make_key(acme),
        "wallets": [wallet.id for wallet in wallets],
        "shop": world.make_wallet(globex, "Shop").id,
    }


def transfers(count: int) -> None:
    """Order transfers of every kind, good ones and bad ones, from wallets that can pay them."""
    acme = world.make_organization("Acme")
    dollars = world.make_wallet(acme, "Dollars", funds="10000")
    coins = world.make_wallet(acme, "Coins", currency="USDC", funds="10000")
    faults = (0, 1, 10, 30, 31, 50)
    for number in range(count):
        fault = faults[number % len(faults)]
        rails.withdraw(dollars, "1", fault=fault, rail_type=("ACH", "FEDNOW")[number % 2])
        rails.deposit(dollars, "2", fault=fault)
        rails.withdraw(coins, "3", fault=fault, rail_type="USDC")
        simulator.pay_address(rails.expect(coins, "4").address, Decimal(number % 3 + 3))


def proof() -> dict:
    """All that must be nothing once everything has settled."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # what a server that was killed has not come to do by itself
        cursor.execute("SET statement_timeout = 0")
    return {
        "books": books.differences(),
        "chains": [line for owner in Organization.objects.all() for line in chain.verify(owner)],
        "outbox": OutboxEntry.objects.count(),
        "unrolled": Unrolled.objects.count(),
    }


def roll() -> None:
    """Roll up without end, as a worker would: with a new connection where one was lost."""
    while True:
        with contextlib.suppress(Error):
            tasks.roll_up()
        connection.close_if_unusable_or_obsolete()


_QUESTIONS = {
    function.__name__: function
    for function in (asked, cast, household, payable, payers, proof, roll, staff, transfers)
}


def answer() -> None:
    """Print the answer to the question that the command line asks."""
    question, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(_QUESTIONS[question](*map(json.loads, arguments))))
