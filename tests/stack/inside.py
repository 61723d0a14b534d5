"""Functions that tests run in the database of a stack.

They run in a separate process, because that of the tests is connected to the tests' database.
"""

import contextlib
import json
import re
import sys
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from django.db import Error, connection, transaction

from accounts.controls.models import Approval
from accounts.ledger import checks as books
from accounts.ledger import holds, tasks
from accounts.ledger.models import Unrolled
from accounts.organizations.models import Membership, Organization, User
from accounts.organizations.services import members
from accounts.transfers.rails import simulator
from accounts.transfers.rails.base import Bank
from accounts.wallets.models import Wallet
from links.payment_links.services import claim_status, claims, payment_links
from links.payment_links.services.payment_links import Restrictions
from tests import pages, world
from tests.accounts import rails
from wallgent import clock, ids
from wallgent.events import chain
from wallgent.events.models import OutboxEntry
from wallgent.mail.models import Email

_CURRENCIES = ("USD", "USDC")
# The faults of the simulator's bank accounts, by how the page of a claim ends.
_FAULTS = {"never settles": 60, "closed": 2, "returns": 10, "pays": 0}


@transaction.atomic
def client_organizations(names: list[str]) -> dict:
    """Create an organization with every kind of key for each name, and a shared stranger."""
    globex = world.make_organization("Globex")
    shared = {
        "stranger": world.make_key(globex),
        "slow": world.make_key(_organization_of_plan_free("Slow", custom_writes_per_minute=10)),
        "few_wallets": world.make_key(_organization_of_plan_free("Few")),
    }
    return {name: _client_organization(globex, shared) for name in names}


def _organization_of_plan_free(name: str, **limits):
    return world.make_organization(name, plan="FREE", **limits)


def _client_organization(globex, shared_keys: dict) -> dict:
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
    """Create a wallet with 100: a card holds 40 of them, and a hold of 15 was released."""
    wallet = world.make_wallet(organization, "Card wallet", funds="100")
    shared = {"account_id": wallet.account_id, "reason": "card"}
    holds.place(ids.new("hld"), amount=Decimal(40), reference="aut_1", **shared)
    released = holds.place(ids.new("hld"), amount=Decimal(15), reference="aut_2", **shared)
    holds.release(released.id, operation=uuid4())
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
def full_organization() -> dict:
    """Create an organization with every kind of object. Return a session and the page paths."""
    acme, globex = world.make_organization("Acme Research"), world.make_organization("Globex")
    objects = pages.object_ids(acme)
    owner = world.make_member(acme, "OWNER", name="Ada Lovelace", email="ada@acme.example")
    payer = Wallet.objects.get(pk=objects["wallet"])
    shop = world.make_wallet(globex, "Shop")
    paths = _links(acme, payer, shop)
    objects["approval"] = _request_payment(payer, shop).id
    actor = world.actor_for(acme)
    _, token = members.invite(
        actor=actor,
        membership=acme.memberships.get(user=owner),
        email="grace@example.com",
        role="MEMBER",
    )
    return paths | {
        "invitation": token,
        "session": world.browser(owner).session.session_key,
        "pages": {page.name: page.url(acme, objects) for page in pages.PAGES},
    }


@transaction.atomic
def requested_organization() -> dict:
    """Create an organization with a stranger's payment request. Return its owner's session."""
    acme, globex = world.make_organization("Acme Research"), world.make_organization("Globex")
    payer = world.make_wallet(acme, "Travel", funds="1000")
    _request_payment(payer, world.make_wallet(globex, "Shop"))
    owner = world.browser(world.make_member(acme, "OWNER"))
    return {"session": owner.session.session_key, "place": f"/{acme.id}/sandbox/"}


def _request_payment(payer, shop) -> Approval:
    """Open a claim of the shop's link with the payer's wallet; return the pending approval."""
    link = payment_links.create(
        actor=world.actor_for(shop.organization),
        wallet=shop,
        amount=Decimal("312.50"),
        direction="RECEIVE",
        description="Invoice 2031: the survey of the reef, part 2",
    )
    claims.open(link, destination=payer, actor=claims.public_actor(link))
    return Approval.objects.get(subject_id=link.id)


def superuser_session() -> str:
    """Create a superuser and return the id of their session."""
    user = User.objects.create_superuser(f"{ids.new('usr').lower()}@support.example", name="Sam")
    return world.browser(user).session.session_key


def _links(organization, payer, shop) -> dict[str, str]:
    """Create a link in each state. Return the paths of their pages."""
    actor = world.actor_for(organization)

    def create(direction="SEND", **fields):
        fields = {"description": "For the survey of the reef, part 2"} | fields
        return payment_links.create(
            actor=actor, wallet=payer, amount=Decimal("12.50"), direction=direction, **fields
        )

    links = {
        "pay": create(expires_at=clock.now(actor) + timedelta(days=2)),
        "open": create(),
        "ask": create("RECEIVE"),
        "restricted": create(restrictions=Restrictions(emails=("grace@example.com",))),
        "used": create(),
        "cancelled": create(),
        "expired": create(expires_at=clock.now(actor) + timedelta(seconds=1)),
    }
    claims.open(links["used"], destination=shop, actor=claims.public_actor(links["used"]))
    payment_links.cancel(links["cancelled"], actor=actor)
    return {name: f"/pay/{link.slug}" for name, link in links.items()}


def claimable_links(groups: list[str]) -> dict:
    """Create reusable links of each kind for each group, and a stranger with wallets.

    Also creates claims to bank accounts, each with an outcome some seconds later.
    """
    acme, globex = world.make_organization("Acme Research"), world.make_organization("Globex")
    shop = world.make_wallet(globex, "Shop", funds="10000")
    world.make_wallet(globex, "Second", funds="10000")
    owner = world.make_member(globex, "OWNER", name="Grace Hopper")
    wallets = {
        name: world.make_wallet(acme, name, currency=name, funds="10000") for name in _CURRENCIES
    }

    def create(currency, direction, **fields):
        return payment_links.create(
            actor=world.actor_for(acme),
            wallet=wallets[currency],
            amount=Decimal("12.50"),
            direction=direction,
            description="For the survey of the reef, part 2",
            **{"max_uses": 20} | fields,
        )

    def paths() -> dict[str, str]:
        links = {
            f"{direction} {currency}": create(currency, direction)
            for direction in ("SEND", "RECEIVE")
            for currency in _CURRENCIES
        }
        # Several, because a sandbox sends few emails a day to one address.
        recipients = ("grace@example.com", "grace@proving.example")
        with_code = Restrictions(emails=recipients, proof="CODE")
        links["code"] = create("USD", "SEND", restrictions=with_code)
        return {kind: f"/pay/{link.slug}" for kind, link in links.items()}

    ends = {name: _bank_claim(create("USD", "SEND"), fault) for name, fault in _FAULTS.items()}
    return {
        "paths": {group: paths() for group in groups},
        "ends": ends,
        "shop": shop.id,
        "organization": globex.id,
        "session": world.browser(owner).session.session_key,
    }


def _bank_claim(link, fault: int) -> str:
    """Open a claim to a bank account with a fault. Return the path of its page."""
    bank = Bank("021000021", simulator.account_number(fault), "Grace Hopper")
    claim = claims.open(link, destination=bank, actor=claims.public_actor(link))
    return f"/pay/{link.slug}/receipt/{claim_status.token_of(claim)}"


def payers(count: int) -> dict:
    """Create funded wallets, a key that may spend from them, and a stranger's shop to pay."""
    acme, globex = world.make_organization("Acme"), world.make_organization("Globex")
    wallets = [world.make_wallet(acme, f"Payer {n}", funds="10000") for n in range(count)]
    return {
        "key": world.make_key(acme),
        "wallets": [wallet.id for wallet in wallets],
        "shop": world.make_wallet(globex, "Shop").id,
    }


def create_transfers(count: int) -> None:
    """Create transfers of every kind, with and without faults, from wallets with enough funds."""
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


def differences() -> dict:
    """Return differences in the books and chains, and counts of waiting rows: all empty or 0."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # a killed server has not updated its statistics
        cursor.execute("SET statement_timeout = 0")
    return {
        "books": books.differences(),
        "chains": [line for owner in Organization.objects.all() for line in chain.verify(owner)],
        "outbox": OutboxEntry.objects.count(),
        "unrolled": Unrolled.objects.count(),
    }


def newest_code() -> str:
    """Return the code in the newest email with one."""
    email = Email.objects.filter(kind=Email.Kind.CODE).latest("pk")
    return re.search(r"^ {4}(\S+)$", email.text, re.MULTILINE)[1]


def roll_up_forever() -> None:
    """Roll up without end, as a worker does: with a new connection when one is lost."""
    while True:
        with contextlib.suppress(Error):
            tasks.roll_up()
        connection.close_if_unusable_or_obsolete()


_FUNCTIONS = {
    function.__name__: function
    for function in (
        claimable_links,
        client_organizations,
        create_transfers,
        differences,
        full_organization,
        newest_code,
        payers,
        requested_organization,
        roll_up_forever,
        superuser_session,
    )
}


def main() -> None:
    """Call the function named on the command line and print its result as JSON."""
    name, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(_FUNCTIONS[name](*map(json.loads, arguments))))
