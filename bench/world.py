"""Organizations, wallets with money, keys and some history; and the proofs afterwards."""

import dataclasses
import random
import secrets
import time
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from accounts.ledger import chart, journal
from accounts.ledger import checks as books
from accounts.ledger.journal import Move, Posting
from accounts.ledger.models import Transaction
from accounts.organizations import permissions
from accounts.organizations.services import api_keys, organizations
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.actors import Actor
from wallgent.events import relay
from wallgent.money import Currency

_RATE = 1_000_000  # a minute: never reached, and counted all the same
_RICHES = Decimal(100_000_000)
_HISTORY = 20_000
_SET = 100


@dataclass(frozen=True)
class Member:
    """A wallet, and the secret of a key that may spend from it."""

    wallet: Wallet
    secret: str


class World:
    """What the cases pay with: `members`, spread evenly over some organizations."""

    def __init__(self, *, organizations: int, members: int = 1000):
        self.members: list[Member] = []
        self.relayed = self.relay_seconds = 0
        call_command("migrate", interactive=False, verbosity=0)
        with transaction.atomic():
            for number in range(organizations):
                self._add_organization(number, members // organizations)
        self._give_money()
        self._live_a_little()
        self.settle_down()

    def _add_organization(self, number: int, size: int) -> None:
        organization = organizations.create(name=f"Bench {number}", email="bench@example.com")
        organization.custom_reads_per_minute = _RATE
        organization.custom_writes_per_minute = _RATE
        organization.save()
        actor = actor_of(organization)
        _, secret = api_keys.create(actor=actor, name="Bench")
        for n in range(size):
            wallet = wallets.create(actor=actor, name=f"Wallet {n}", agent_name=f"agent-{n}")
            self.members.append(Member(wallet, secret))

    def _give_money(self) -> None:
        # Straight from the treasury: a funding call gives less than a bench spends.
        book = self.members[0].wallet.environment
        source = chart.treasury(book, Currency.USD)
        gifts = []
        for member in self.members:
            gift = Move(
                debit=source,
                credit=member.wallet.account_id,
                amount=_RICHES,
                currency=Currency.USD,
            )
            gifts.append(Posting(id=ids.new("txn"), moves=(gift,), reason="bench"))
        with transaction.atomic():
            journal.post_set(gifts, book=book)

    def _live_a_little(self) -> None:
        """Some history, so that plans are made for tables with rows in them."""
        for _ in range(_HISTORY // _SET):
            sender = random.choice(self.members).wallet
            orders = []
            for _ in range(_SET):
                recipient = self.other_than(sender)
                order = payments.PaymentRequest(
                    sender_id=sender.id, recipient_id=recipient.id, amount=Decimal(1)
                )
                orders.append(payments.Parties(order=order, sender=sender, recipient=recipient))
            with transaction.atomic():
                payments.create_batch(orders, actor=actor_of(sender.organization))

    def other_than(self, wallet: Wallet) -> Wallet:
        """Any other wallet, in whichever organization."""
        while (other := random.choice(self.members).wallet).id == wallet.id:
            pass
        return other

    def settle_down(self) -> None:
        """Number the events that wait, roll up system accounts, and let every plan be fresh."""
        started = time.perf_counter()
        placed = 0
        while count := relay.run_once():
            placed += count
        if placed > relay.LIMIT:
            self.relayed += placed
            self.relay_seconds += time.perf_counter() - started
        while journal.roll():
            pass
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("VACUUM ANALYZE")

    def statements(self) -> list[str]:
        """What the database is asked for one POST /v1/payments, BEGIN, COMMIT and so on aside."""
        from django.test import Client

        member = self.members[0]
        body = {"from": member.wallet.id, "to": self.other_than(member.wallet).id, "amount": "1"}
        seen = []

        def note(execute, sql, params, many, context):
            seen.append(sql)
            return execute(sql, params, many, context)

        def pay():
            return Client().post(
                "/v1/payments",
                body,
                content_type="application/json",
                headers={
                    "authorization": f"Bearer {member.secret}",
                    "idempotency-key": secrets.token_hex(8),
                    "host": "127.0.0.1",
                },
            )

        assert pay().status_code == 201  # the first one of a minute also notes the key's use
        with connection.execute_wrapper(note):
            assert pay().status_code == 201
        return [sql for sql in seen if not sql.startswith(("SAVEPOINT", "RELEASE"))]


def actor_of(organization) -> Actor:
    """The system acting for an organization, with every permission."""
    everything = frozenset(permissions.ALL)
    return dataclasses.replace(organizations.system_actor(organization), permissions=everything)


def count_payments() -> int:
    """How many payments are in the database."""
    return Payment.objects.count()


def count_transactions() -> int:
    """How many transactions the ledger has."""
    return Transaction.objects.count()


def prove_books() -> None:
    """Raise AssertionError unless every book agrees with everything else."""
    assert settings.WALLGENT_HOME.parent.name == "bench"
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    found = books.differences()
    assert found == [], found[:10]
