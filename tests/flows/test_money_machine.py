"""Whatever is done in whatever order, the money is where a plain model of it says."""

import copy
import itertools
import logging
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

import pytest
from django.db import connection, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.ledger import chart, holds, journal, statements
from accounts.ledger import checks as books
from accounts.ledger.journal import Move, Posting, Refused
from accounts.ledger.models import Hold
from accounts.organizations.models import Organization
from accounts.payments.models import Payment
from accounts.wallets.models import Wallet
from tests.world import everything, make_wallet
from wallgent import clock, ids

UNIT = Decimal("0.00000001")
ZERO = Decimal(0)
STATUSES = {
    "VALIDATION_ERROR": 400,
    "INVALID_AMOUNT": 400,
    "INSUFFICIENT_FUNDS": 402,
    "WALLET_FROZEN": 403,
    "WALLET_NOT_FOUND": 404,
    "INVALID_STATE": 409,
    "REVERSAL_NOT_ALLOWED": 422,
}
CODES = {
    "CLOSED": "INVALID_STATE",
    "FROZEN": "WALLET_FROZEN",
    "DEBT": "INSUFFICIENT_FUNDS",
    "NO_FUNDS": "INSUFFICIENT_FUNDS",
}


@dataclass
class Purse:
    """What the model knows of a wallet."""

    owner: str
    currency: str
    is_default: bool = False
    balance: Decimal = ZERO
    held: Decimal = ZERO
    debt: Decimal = ZERO
    given: Decimal = ZERO
    state: str = "ACTIVE"

    def refuses(self, amount: Decimal) -> str | None:
        """Why it does not pay `amount`."""
        if self.state != "ACTIVE":
            return self.state
        if self.debt:
            return "DEBT"
        return "NO_FUNDS" if self.balance - self.held < amount else None

    def pay(self, amount: Decimal) -> None:
        self.balance -= amount

    def receive(self, amount: Decimal) -> None:
        self.balance += amount
        self.debt = max(self.debt - amount, ZERO)

    def lose(self, amount: Decimal) -> None:
        """A network takes it."""
        self.balance -= amount
        self.debt = max(self.debt, self.held - self.balance)

    def release_hold(self, amount: Decimal) -> None:
        self.held -= amount
        self.debt = min(self.debt, max(self.held - self.balance, ZERO))


@dataclass
class HoldRow:
    """What the model knows of a hold."""

    purse: str
    amount: Decimal
    captured: Decimal = ZERO
    released: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        return self.amount - self.captured - self.released


@dataclass
class Paid:
    """What the model knows of a payment."""

    sender: str
    recipient: str
    amount: Decimal
    status: str
    kind: str = "PAYMENT"


@dataclass
class Model:
    purses: dict[str, Purse]
    ours: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # (kind, currency)
    payments: dict[str, Paid] = field(default_factory=dict)
    hold_rows: dict[str, HoldRow] = field(default_factory=dict)

    def fee(self, amount: Decimal) -> Decimal:
        exact = amount * 5 / 1000
        return max(exact.quantize(UNIT, rounding=ROUND_HALF_UP), Decimal("0.25"))

    def add(self, kind: str, currency: str, amount: Decimal) -> None:
        self.ours[kind, currency] = self.ours.get((kind, currency), ZERO) + amount

    def transfer(self, sender: str, recipient: str, amount: Decimal, fee: Decimal) -> str | None:
        """Pay, or say which refusal of the ledger there is."""
        giver, taker = self.purses[sender], self.purses[recipient]
        if refusal := giver.refuses(amount + fee):
            return CODES[refusal]
        if taker.state == "CLOSED":
            return "INVALID_STATE"
        giver.pay(amount + fee)
        taker.receive(amount)
        if fee:
            self.add("FEES", giver.currency, fee)
        return None

    def ill_formed(self, sender: str, recipient: str) -> str | None:
        differ = self.purses[sender].currency != self.purses[recipient].currency
        return "VALIDATION_ERROR" if sender == recipient or differ else None


WALLETS = {
    "acme main": ("acme", "USD"),
    "acme agent": ("acme", "USD"),
    "acme spare": ("acme", "USD"),
    "acme coins": ("acme", "USDC"),
    "globex main": ("globex", "USD"),
    "globex shop": ("globex", "USD"),
    "globex coins": ("globex", "USDC"),
}
PAIRS = list(itertools.permutations(WALLETS, 2))
FIT = [pair for pair in PAIRS if len({WALLETS[name][1] for name in pair}) == 1]
OWN = [pair for pair in FIT if len({WALLETS[name][0] for name in pair}) == 1]
UNFIT = [("acme main", "acme main"), ("acme main", "acme coins"), ("globex shop", "acme coins")]

# Mostly what people do, and now and then what they should not.
wallets = st.sampled_from(list(WALLETS))
pairs = st.sampled_from(FIT * 2 + UNFIT)
own_pairs = st.sampled_from(OWN * 3 + FIT + UNFIT)
numbers = st.integers(0, 10**6)  # which one of those there are
few = st.decimals("0.01", "30", places=2)
amounts = st.one_of(
    few,
    st.decimals("0.00000001", "90", places=8),
    st.sampled_from(["all", "one unit more"]),
)
keys = st.booleans()


def outcome_of(work, *arguments, **options) -> str | None:
    """Why the book refuses `work`, done in a transaction of its own."""
    try:
        with transaction.atomic():
            work(*arguments, **options)
    except Refused as refusal:
        return refusal.outcome
    return None


class MoneyMachine(RuleBasedStateMachine):
    def __init__(self, cast: dict):
        super().__init__()
        self.cast = cast  # organization and client by name
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.numbers = itertools.count(1)
        self.steps = 0
        self.sent: list[tuple] = []  # (organization, path, body, answer) of keys that are bound
        self.hold_steps: list = []
        self.start = clock.real_now() - timedelta(days=1)
        self.wallets, purses = {}, {}
        for name, (owner, currency) in WALLETS.items():
            organization = cast[owner][0]
            is_default = name.endswith("main")
            if is_default:
                wallet = Wallet.objects.get(
                    organization=organization, environment="SANDBOX", is_default=True
                )
            else:
                wallet = make_wallet(organization, name, currency=currency)
            self.wallets[name] = wallet
            purses[name] = Purse(owner, currency, is_default)
        self.names = {wallet.id: name for name, wallet in self.wallets.items()}
        self.model = Model(purses)

    def teardown(self):
        try:
            self.prove()
            for name, wallet in self.wallets.items():
                found = statements.statement(
                    wallet.account_id, since=self.start, until=self.start + timedelta(days=999)
                )
                assert (found["opening"], found["closing"]) == (0, self.model.purses[name].balance)
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    @initialize(amounts=st.tuples(*[st.sampled_from([100, 0, 20, 300])] * len(WALLETS)))
    def give_everyone_something(self, amounts):
        for wallet, amount in zip(WALLETS, amounts, strict=True):
            if amount:
                self.fund(wallet, amount, key=False)

    # Asking the API

    def post(self, owner: str, path: str, body: dict, has_key: bool):
        if has_key:
            body = body | {"idempotencyKey": f"key-{next(self.numbers)}"}
        answer = self.cast[owner][1].post(path, body)
        if has_key and answer.status_code != 404:
            self.sent.append((owner, path, body, answer))
        return answer

    def expect(self, answer, code: str | None, *, success: int) -> dict:
        """The answer's body, once its status and code are as the model has them."""
        body = answer.json()
        told = body["error"]["code"] if answer.status_code >= 400 else None
        assert (answer.status_code, told) == (STATUSES.get(code, success), code), body
        return body

    def amount_of(self, wanted, sender: str, *, fee: bool = True) -> Decimal:
        """A number for "all" that the sender can pay, or one unit more."""
        if isinstance(wanted, Decimal):
            return wanted
        purse = self.model.purses[sender]
        there = purse.balance - purse.held
        most = there
        if fee:
            most = there - Decimal("0.25")
            if most > 50:
                most = (there / Decimal("1.005")).quantize(UNIT, rounding=ROUND_DOWN)
                while most + UNIT + self.model.fee(most + UNIT) <= there:
                    most += UNIT
                while most + self.model.fee(most) > there:
                    most -= UNIT
        return max(most, ZERO) + (UNIT if wanted != "all" or most <= 0 else ZERO)

    def order(self, sender: str, recipient: str, amount: Decimal) -> dict:
        return {
            "from": self.wallets[sender].id,
            "to": self.wallets[recipient].id,
            "amount": f"{amount:f}",
        }

    def note(self, id: str, sender, recipient, amount, code, kind="PAYMENT") -> None:
        status = "FAILED" if code else "POSTED"
        self.model.payments[id] = Paid(sender, recipient, amount, status, kind)

    # What people do

    @rule(wallet=wallets, amount=st.sampled_from([1, 20, 77, 100, 9_000, 10_001]), key=keys)
    def fund(self, wallet, amount, key):
        purse, amount = self.model.purses[wallet], Decimal(amount)
        code = None
        if amount > 10_000:
            code = "INVALID_AMOUNT"
        elif purse.state == "FROZEN":
            code = "WALLET_FROZEN"
        elif purse.given + amount > 100_000:
            code = "INVALID_AMOUNT"
        elif purse.state == "CLOSED":
            code = "INVALID_STATE"

        path = f"/v1/wallets/{self.wallets[wallet].id}/fund"
        answer = self.post(purse.owner, path, {"amount": str(amount)}, key)

        self.expect(answer, code, success=201)
        if code is None:
            purse.receive(amount)
            purse.given += amount
            self.model.add("TREASURY", purse.currency, amount)

    @rule(pair=pairs, amount=amounts, key=keys)
    def pay(self, pair, amount, key):
        sender, recipient = pair
        amount = self.amount_of(amount, sender)
        fee = self.model.fee(amount)
        code = self.model.ill_formed(sender, recipient)
        ill_formed = code is not None
        if not ill_formed:
            code = self.model.transfer(sender, recipient, amount, fee)

        owner = self.model.purses[sender].owner
        answer = self.post(owner, "/v1/payments", self.order(sender, recipient, amount), key)

        body = self.expect(answer, code, success=201)
        if not ill_formed:
            id = body["error"]["details"]["transactionId"] if code else body["id"]
            self.note(id, sender, recipient, amount, code)
        if not code:
            assert (Decimal(body["amount"]), Decimal(body["fee"])) == (amount, fee)

    @rule(pair=own_pairs, amount=amounts, key=keys)
    def transfer(self, pair, amount, key):
        sender, recipient = pair
        amount = self.amount_of(amount, sender, fee=False)
        owner = self.model.purses[sender].owner
        code, failed = self.model.ill_formed(sender, recipient), False
        if self.model.purses[recipient].owner != owner:
            code = "WALLET_NOT_FOUND"
        elif code is None:
            code = self.model.transfer(sender, recipient, amount, ZERO)
            failed = code is not None

        order = self.order(sender, recipient, amount)
        answer = self.post(owner, "/v1/transfers/internal", order, key)

        body = self.expect(answer, code, success=201)
        if failed or not code:
            id = body["error"]["details"]["transactionId"] if code else body["id"]
            self.note(id, sender, recipient, amount, code, "INTERNAL")

    @rule(
        owner=st.sampled_from(["acme", "globex"]),
        items=st.lists(st.tuples(numbers, few, keys), min_size=1, max_size=5),
        key=keys,
    )
    def batch(self, owner, items, key):
        pairs = [pair for pair in FIT * 3 + UNFIT if WALLETS[pair[0]][0] == owner]
        orders, bodies = [], []
        for number, amount, has_key in items:
            sender, recipient = pairs[number % len(pairs)]
            orders.append((sender, recipient, amount))
            extra = {"idempotencyKey": f"item-{next(self.numbers)}"} if has_key else {}
            bodies.append(self.order(sender, recipient, amount) | extra)
        before, failed_at, code = copy.deepcopy(self.model), None, None
        for index, (sender, recipient, _) in enumerate(orders):
            if code := self.model.ill_formed(sender, recipient):
                failed_at = index
                break
        ill_formed = code is not None
        if not ill_formed:
            for index, (sender, recipient, amount) in enumerate(orders):
                code = self.model.transfer(sender, recipient, amount, self.model.fee(amount))
                if code:
                    failed_at = index
                    break
        if code:
            self.model = before

        answer = self.post(owner, "/v1/payments/batch", {"payments": bodies}, key)

        results = answer.json()["results"]
        assert answer.status_code == (207 if code else 200), answer.json()
        if not code:
            for (sender, recipient, amount), result in zip(orders, results, strict=True):
                self.note(result["transactionId"], sender, recipient, amount, None)
        else:
            told = [result["status"] for result in results]
            after = len(orders) - failed_at - 1
            assert told == ["reversed"] * failed_at + ["failed"] + ["skipped"] * after
            error = results[failed_at]["error"]
            assert error["code"] == code
            if not ill_formed:
                self.note(error["details"]["transactionId"], *orders[failed_at], code)

    @precondition(lambda self: self.model.payments)
    @rule(number=numbers, as_sender=st.booleans(), key=keys)
    def reverse(self, number, as_sender, key):
        id = list(self.model.payments)[number % len(self.model.payments)]
        payment = self.model.payments[id]
        giver = self.model.purses[payment.recipient]
        owner = self.model.purses[payment.sender if as_sender else payment.recipient].owner
        code = None
        if owner != giver.owner or payment.kind == "REVERSAL" or payment.status != "POSTED":
            code = "REVERSAL_NOT_ALLOWED"
        else:
            code = self.model.transfer(payment.recipient, payment.sender, payment.amount, ZERO)

        is_hidden = payment.status == "FAILED" and owner != self.model.purses[payment.sender].owner
        answer = self.post(owner, f"/v1/payments/{id}/reverse", {}, key)

        if is_hidden:
            assert answer.status_code == 404
            return
        body = self.expect(answer, code, success=200)
        if code is None:
            payment.status = "REVERSED"
            back = body["reversedBy"]
            self.note(back, payment.recipient, payment.sender, payment.amount, None, "REVERSAL")

    @rule(wallet=wallets, verb=st.sampled_from(["freeze", "unfreeze", "unfreeze", "close"]))
    def change_state(self, wallet, verb):
        purse = self.model.purses[wallet]
        is_empty = not (purse.balance or purse.held or purse.debt)
        if verb == "close":
            refused = purse.is_default or (purse.state != "CLOSED" and not is_empty)
        else:
            refused = purse.state == "CLOSED"
        code = "INVALID_STATE" if refused else None

        answer = self.post(purse.owner, f"/v1/wallets/{self.wallets[wallet].id}/{verb}", {}, False)

        self.expect(answer, code, success=200)
        if code is None:
            purse.state = {"freeze": "FROZEN", "unfreeze": "ACTIVE", "close": "CLOSED"}[verb]

    @precondition(lambda self: self.sent)
    @rule(number=numbers)
    def repeat(self, number):
        owner, path, body, first = self.sent[number % len(self.sent)]

        again = self.cast[owner][1].post(path, body)

        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"

    @precondition(lambda self: any("amount" in sent[2] for sent in self.sent))
    @rule(number=numbers)
    def repeat_with_another_amount(self, number):
        sent = [sent for sent in self.sent if "amount" in sent[2]]
        owner, path, body, _ = sent[number % len(sent)]
        other = body | {"amount": f"{Decimal(body['amount']) + 1:f}"}

        answer = self.cast[owner][1].post(path, other)

        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSE"

    # What networks and we ourselves do

    def step(self, outcome: str | None, work, **arguments) -> bool:
        """Take a step of a hold, which is refused with `outcome` or goes well."""
        found = outcome_of(work, **arguments)
        assert found == outcome
        if found is None:
            self.hold_steps.append((work, arguments))
        return found is None

    @rule(wallet=wallets, amount=amounts)
    def hold(self, wallet, amount):
        amount = self.amount_of(amount, wallet, fee=False)
        purse, id = self.model.purses[wallet], ids.new("hld")

        account_id = self.wallets[wallet].account_id
        arguments = {"id": id, "account_id": account_id, "amount": amount, "reason": "test"}
        if self.step(purse.refuses(amount), holds.place, **arguments):
            purse.held += amount
            self.model.hold_rows[id] = HoldRow(wallet, amount)

    def promise(self, number) -> tuple[str, HoldRow, Purse]:
        id = list(self.model.hold_rows)[number % len(self.model.hold_rows)]
        promise = self.model.hold_rows[id]
        return id, promise, self.model.purses[promise.purse]

    @precondition(lambda self: self.model.hold_rows)
    @rule(number=numbers, amount=few)
    def increase(self, number, amount):
        id, promise, purse = self.promise(number)
        outcome = purse.refuses(amount) if promise.remaining else "ENDED"

        arguments = {"hold_id": id, "amount": amount, "operation": uuid.uuid4()}
        if self.step(outcome, holds.increase, **arguments):
            purse.held += amount
            promise.amount += amount

    @precondition(lambda self: self.model.hold_rows)
    @rule(number=numbers, part=st.sampled_from([1, 2, 3]), whole=st.booleans())
    def release(self, number, part, whole):
        id, promise, purse = self.promise(number)
        amount = (promise.remaining / part).quantize(UNIT, rounding=ROUND_DOWN)
        if whole:
            amount = promise.remaining
        elif not amount:
            return

        given = None if whole else amount
        arguments = {"hold_id": id, "amount": given, "operation": uuid.uuid4()}
        if self.step(None, holds.release, **arguments):
            purse.release_hold(amount)
            promise.released += amount

    @precondition(lambda self: self.model.hold_rows)
    @rule(
        number=numbers,
        to=wallets,
        amount=few,
        tip=st.sampled_from([ZERO, ZERO, Decimal("0.5"), Decimal(40)]),
        forced=st.booleans(),
    )
    def capture(self, number, to, amount, tip, forced):
        id, promise, purse = self.promise(number)
        taker = self.model.purses[to]
        source, currency = self.wallets[promise.purse].account_id, purse.currency
        if to == promise.purse or taker.currency != currency:
            taker, target = None, chart.treasury("SANDBOX", currency)
        else:
            target = self.wallets[to].account_id
        outcome = None
        if promise.remaining < amount:
            outcome = "ENDED"
        elif not forced:
            after = copy.copy(purse)
            after.held -= amount
            outcome = after.refuses(amount + tip)
        if outcome is None and taker and taker.state == "CLOSED":
            outcome = "CLOSED"

        move = Move(source, target, amount + tip, currency)
        arguments = {
            "hold_id": id,
            "posting": Posting(id=ids.new("txn"), moves=(move,), reason="capture"),
            "amount": amount,
            "operation": uuid.uuid4(),
            "forced": forced,
        }
        if self.step(outcome, holds.capture, **arguments):
            purse.held -= amount
            promise.captured += amount
            purse.lose(amount + tip) if forced else purse.pay(amount + tip)
            if taker:
                taker.receive(amount + tip)
            else:
                self.model.add("TREASURY", currency, -amount - tip)

    @precondition(lambda self: self.hold_steps)
    @rule(number=numbers)
    def repeat_a_step(self, number):
        work, arguments = self.hold_steps[number % len(self.hold_steps)]
        before = everything()

        with transaction.atomic():
            work(**arguments)

        assert everything() == before

    @rule(wallet=wallets, amount=few)
    def force(self, wallet, amount):
        purse = self.model.purses[wallet]
        sink = chart.treasury("SANDBOX", purse.currency)
        move = Move(self.wallets[wallet].account_id, sink, amount, purse.currency)
        posting = Posting(id=ids.new("txn"), moves=(move,), reason="return")

        outcome = outcome_of(journal.post_set, [posting], book="SANDBOX", forced=True)

        assert outcome == ("CLOSED" if purse.state == "CLOSED" else None)
        if outcome is None:
            purse.lose(amount)
            self.model.add("TREASURY", purse.currency, -amount)

    @rule(limit=st.integers(1, 20))
    def roll(self, limit):
        assert journal.roll(limit) <= limit

    @rule(owner=st.sampled_from(["acme", "globex"]), days=st.integers(1, 30))
    def let_time_pass(self, owner, days):
        organization = self.cast[owner][0]
        organization = Organization.objects.get(pk=organization.pk)
        organization.sandbox_offset += timedelta(days=days)
        organization.save(update_fields=["sandbox_offset"])

    # What must be true

    @invariant()
    def all_agree(self):
        self.steps += 1
        self.agree_on_money()
        self.agree_on_payments()
        if self.steps % 3 == 0:
            self.tell_balance(list(WALLETS)[self.steps % len(WALLETS)])
        if self.steps % 8 == 0:
            self.prove()

    def agree_on_money(self):
        found = {
            self.names[wallet.id]: (
                wallet.account.balance,
                wallet.account.held,
                wallet.account.debt,
                wallet.status,
                wallet.sandbox_funds,
            )
            for wallet in Wallet.objects.filter(pk__in=self.names)
        }
        assert found == {
            name: (purse.balance, purse.held, purse.debt, purse.state, purse.given)
            for name, purse in self.model.purses.items()
        }

    def agree_on_payments(self):
        found = Payment.objects.values_list("id", "status", "kind", "amount")
        assert set(found) == {
            (id, payment.status, payment.kind, payment.amount)
            for id, payment in self.model.payments.items()
        }

    def tell_balance(self, name):
        purse = self.model.purses[name]
        client = self.cast[purse.owner][1]
        told = client.get(f"/v1/wallets/{self.wallets[name].id}/balance").json()
        assert Decimal(told["balance"]) == purse.balance
        assert Decimal(told["available"]) == purse.balance - purse.held
        assert Decimal(told["pending"]) == purse.held

    def prove(self):
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        assert books.differences() == []
        for (kind, currency), amount in self.model.ours.items():
            account = chart.system_id("SANDBOX", kind, currency)
            assert statements.exact_balance(account) == amount
        found = Hold.objects.values_list("id", "amount", "captured", "released", "remaining")
        assert set(found) == {
            (id, p.amount, p.captured, p.released, p.remaining)
            for id, p in self.model.hold_rows.items()
        }


@pytest.mark.hypothesis
@pytest.mark.timeout(3600)  # for shrinking, should it ever fail
def test_the_money_is_where_the_model_says(acme, globex, api, stranger, caplog):
    caplog.set_level(logging.CRITICAL, logger="wallgent")  # many thousand requests
    cast = {"acme": (acme, api), "globex": (globex, stranger)}
    # An example draws on some of the rules only: rather more of them than longer ones.
    size = {"max_examples": 40, "stateful_step_count": 25}
    if settings.default.max_examples > 100:  # make soak
        size = {"stateful_step_count": 80}

    run_state_machine_as_test(lambda: MoneyMachine(cast), settings=settings(**size))
