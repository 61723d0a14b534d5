"""Organizations, funded wallets, keys and some history; and the checks afterwards."""

import dataclasses
import random
import secrets
import time
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from accounts.ledger import chart, journal, movements
from accounts.ledger import checks as books
from accounts.ledger.journal import Move, Posting
from accounts.ledger.models import Transaction
from accounts.ledger.movements import Movement, Record
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

_RATE = 1_000_000  # per minute: never reached, but counted
_FUNDS = Decimal(100_000_000)
_HISTORY = 20_000
_SET = 100

REASON = "bench"  # of money that no record explains
_EVERY = Record("bench", "SELECT id FROM ledger_transaction")
movements.declare(Movement(REASON, "Bench", record=_EVERY))


@dataclass(frozen=True)
class Member:
    """A wallet, and the secret of a key that may spend from it."""

    wallet: Wallet
    secret: str


class World:
    """The wallets of the cases: `members`, spread evenly over the organizations."""

    def __init__(self, *, organizations: int, members: int = 1000):
        self.members: list[Member] = []
        self.relayed = self.relay_seconds = 0
        call_command("migrate", interactive=False, verbosity=0)
        with transaction.atomic():
            for number in range(organizations):
                self._add_organization(number, members // organizations)
        self._fund_wallets()
        self._add_history()
        self.catch_up()

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

    def _fund_wallets(self) -> None:
        # Directly from the treasury: the funding endpoint allows less than the bench spends.
        book = self.members[0].wallet.environment
        source = chart.treasury(book, Currency.USD)
        postings = []
        for member in self.members:
            move = Move(
                debit=source,
                credit=member.wallet.account_id,
                amount=_FUNDS,
                currency=Currency.USD,
            )
            postings.append(Posting(id=ids.new("txn"), moves=(move,), reason=REASON))
        with transaction.atomic():
            journal.post_set(postings, book=book)

    def _add_history(self) -> None:
        """Create some payments, so that the query plans are those of filled tables."""
        for _ in range(_HISTORY // _SET):
            sender = random.choice(self.members).wallet
            requests = []
            for _ in range(_SET):
                requests.append(
                    payments.PaymentRequest(
                        sender=sender, recipient=self.other_than(sender), amount=Decimal(1)
                    )
                )
            with transaction.atomic():
                payments.create_batch(requests, actor=actor_of(sender.organization))

    def other_than(self, wallet: Wallet) -> Wallet:
        """Return any other wallet, of any organization."""
        while (other := random.choice(self.members).wallet).id == wallet.id:
            pass
        return other

    def catch_up(self) -> None:
        """Run the relay and the roll-up until nothing waits, then update planner statistics."""
        started = time.perf_counter()
        relayed = 0
        while count := relay.run_once():
            relayed += count
        if relayed > relay.LIMIT:
            self.relayed += relayed
            self.relay_seconds += time.perf_counter() - started
        while journal.roll_up():
            pass
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("VACUUM ANALYZE")

    def statements(self) -> list[str]:
        """Return the statements of one POST /v1/payments, without transaction control."""
        from django.test import Client

        member = self.members[0]
        body = {"from": member.wallet.id, "to": self.other_than(member.wallet).id, "amount": "1"}
        statements = []

        def record(execute, sql, params, many, context):
            statements.append(sql)
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

        assert pay().status_code == 201  # the first one of a minute also records the use of the key
        with connection.execute_wrapper(record):
            assert pay().status_code == 201
        return [sql for sql in statements if not sql.startswith(("SAVEPOINT", "RELEASE"))]


def actor_of(organization) -> Actor:
    """Return the system as an actor for an organization, with every permission."""
    every_permission = frozenset(permissions.ALL)
    return dataclasses.replace(
        organizations.system_actor(organization), permissions=every_permission
    )


def count_payments() -> int:
    """Return the number of payments."""
    return Payment.objects.count()


def count_transactions() -> int:
    """Return the number of ledger transactions."""
    return Transaction.objects.count()


def check_books() -> None:
    """Assert that the books have no differences."""
    assert settings.WALLGENT_HOME.parent.name == "bench"
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    differences = books.differences()
    assert differences == [], differences[:10]
