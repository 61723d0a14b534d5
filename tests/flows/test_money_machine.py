"""Random operations in random order leave the money where a simple model expects it."""

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
from accounts.ledger import checks as ledger_checks
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
class WalletRow:
    """A wallet in the model."""

    owner: str
    currency: str
    is_default: bool = False
    balance: Decimal = ZERO
    held: Decimal = ZERO
    debt: Decimal = ZERO
    sandbox_funds: Decimal = ZERO
    state: str = "ACTIVE"

    def refuses(self, amount: Decimal) -> str | None:
        """Return why it cannot pay `amount`, or None."""
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
        """A network takes the amount with a forced posting."""
        self.balance -= amount
        self.debt = max(self.debt, self.held - self.balance)

    def release_hold(self, amount: Decimal) -> None:
        self.held -= amount
        self.debt = min(self.debt, max(self.held - self.balance, ZERO))


@dataclass
class HoldRow:
    """A hold in the model."""

    wallet: str
    amount: Decimal
    captured: Decimal = ZERO
    released: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        return self.amount - self.captured - self.released


@dataclass
class PaymentRow:
    """A payment in the model."""

    sender: str
    recipient: str
    amount: Decimal
    status: str
    kind: str = "PAYMENT"


@dataclass
class Model:
    wallet_rows: dict[str, WalletRow]
    # By kind and currency.
    system_balances: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    payments: dict[str, PaymentRow] = field(default_factory=dict)
    hold_rows: dict[str, HoldRow] = field(default_factory=dict)

    def fee(self, amount: Decimal) -> Decimal:
        exact = amount * 5 / 1000
        return max(exact.quantize(UNIT, rounding=ROUND_HALF_UP), Decimal("0.25"))

    def add(self, kind: str, currency: str, amount: Decimal) -> None:
        before = self.system_balances.get((kind, currency), ZERO)
        self.system_balances[kind, currency] = before + amount

    def transfer(self, sender: str, recipient: str, amount: Decimal, fee: Decimal) -> str | None:
        """Pay, or return the error code of the refusal."""
        payer, payee = self.wallet_rows[sender], self.wallet_rows[recipient]
        if refusal := payer.refuses(amount + fee):
            return CODES[refusal]
        if payee.state == "CLOSED":
            return "INVALID_STATE"
        payer.pay(amount + fee)
        payee.receive(amount)
        if fee:
            self.add("FEES", payer.currency, fee)
        return None

    def input_error(self, sender: str, recipient: str) -> str | None:
        differ = self.wallet_rows[sender].currency != self.wallet_rows[recipient].currency
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
VALID_PAIRS = [pair for pair in PAIRS if len({WALLETS[name][1] for name in pair}) == 1]
OWN_PAIRS = [pair for pair in VALID_PAIRS if len({WALLETS[name][0] for name in pair}) == 1]
INVALID_PAIRS = [
    ("acme main", "acme main"),
    ("acme main", "acme coins"),
    ("globex shop", "acme coins"),
]

# Mostly valid input, and sometimes invalid input.
wallets = st.sampled_from(list(WALLETS))
pairs = st.sampled_from(VALID_PAIRS * 2 + INVALID_PAIRS)
own_pairs = st.sampled_from(OWN_PAIRS * 3 + VALID_PAIRS + INVALID_PAIRS)
numbers = st.integers(0, 10**6)  # the index of one of the existing objects
small_amounts = st.decimals("0.01", "30", places=2)
amounts = st.one_of(
    small_amounts,
    st.decimals("0.00000001", "90", places=8),
    st.sampled_from(["all", "one unit more"]),
)
keys = st.booleans()


def outcome_of(work, *arguments, **options) -> str | None:
    """Run `work` in its own database transaction. Returns the outcome of a refusal, or None."""
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
        self.sent: list[tuple] = []  # (organization, path, body, answer) for each idempotency key
        self.hold_steps: list = []
        self.start = clock.real_now() - timedelta(days=1)
        self.wallets, wallet_rows = {}, {}
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
            wallet_rows[name] = WalletRow(owner, currency, is_default)
        self.names = {wallet.id: name for name, wallet in self.wallets.items()}
        self.model = Model(wallet_rows)

    def teardown(self):
        try:
            self.check_ledger()
            for name, wallet in self.wallets.items():
                found = statements.statement(
                    wallet.account_id, since=self.start, until=self.start + timedelta(days=999)
                )
                balance = self.model.wallet_rows[name].balance
                assert (found["opening"], found["closing"]) == (0, balance)
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    @initialize(amounts=st.tuples(*[st.sampled_from([100, 0, 20, 300])] * len(WALLETS)))
    def fund_wallets(self, amounts):
        for wallet, amount in zip(WALLETS, amounts, strict=True):
            if amount:
                self.fund(wallet, amount, key=False)

    # Calling the API

    def post(self, owner: str, path: str, body: dict, has_key: bool):
        if has_key:
            body = body | {"idempotencyKey": f"key-{next(self.numbers)}"}
        answer = self.cast[owner][1].post(path, body)
        if has_key and answer.status_code != 404:
            self.sent.append((owner, path, body, answer))
        return answer

    def expect(self, answer, code: str | None, *, success: int) -> dict:
        """Check status and error code of the answer against the model. Returns its body."""
        body = answer.json()
        found = body["error"]["code"] if answer.status_code >= 400 else None
        assert (answer.status_code, found) == (STATUSES.get(code, success), code), body
        return body

    def amount_of(self, wanted, sender: str, *, fee: bool = True) -> Decimal:
        """Return the amount; for "all" the most that the sender can pay, or one unit more."""
        if isinstance(wanted, Decimal):
            return wanted
        wallet_row = self.model.wallet_rows[sender]
        available = wallet_row.balance - wallet_row.held
        most = available
        if fee:
            most = available - Decimal("0.25")
            if most > 50:
                most = (available / Decimal("1.005")).quantize(UNIT, rounding=ROUND_DOWN)
                while most + UNIT + self.model.fee(most + UNIT) <= available:
                    most += UNIT
                while most + self.model.fee(most) > available:
                    most -= UNIT
        return max(most, ZERO) + (UNIT if wanted != "all" or most <= 0 else ZERO)

    def payment_body(self, sender: str, recipient: str, amount: Decimal) -> dict:
        return {
            "from": self.wallets[sender].id,
            "to": self.wallets[recipient].id,
            "amount": f"{amount:f}",
        }

    def record_payment(self, id: str, sender, recipient, amount, code, kind="PAYMENT") -> None:
        status = "FAILED" if code else "POSTED"
        self.model.payments[id] = PaymentRow(sender, recipient, amount, status, kind)

    # Operations over the API

    @rule(wallet=wallets, amount=st.sampled_from([1, 20, 77, 100, 9_000, 10_001]), key=keys)
    def fund(self, wallet, amount, key):
        wallet_row, amount = self.model.wallet_rows[wallet], Decimal(amount)
        code = None
        if amount > 10_000:
            code = "INVALID_AMOUNT"
        elif wallet_row.state == "FROZEN":
            code = "WALLET_FROZEN"
        elif wallet_row.sandbox_funds + amount > 100_000:
            code = "INVALID_AMOUNT"
        elif wallet_row.state == "CLOSED":
            code = "INVALID_STATE"

        path = f"/v1/wallets/{self.wallets[wallet].id}/fund"
        answer = self.post(wallet_row.owner, path, {"amount": str(amount)}, key)

        self.expect(answer, code, success=201)
        if code is None:
            wallet_row.receive(amount)
            wallet_row.sandbox_funds += amount
            self.model.add("TREASURY", wallet_row.currency, amount)

    @rule(pair=pairs, amount=amounts, key=keys)
    def pay(self, pair, amount, key):
        sender, recipient = pair
        amount = self.amount_of(amount, sender)
        fee = self.model.fee(amount)
        code = self.model.input_error(sender, recipient)
        is_invalid = code is not None
        if not is_invalid:
            code = self.model.transfer(sender, recipient, amount, fee)

        owner = self.model.wallet_rows[sender].owner
        answer = self.post(owner, "/v1/payments", self.payment_body(sender, recipient, amount), key)

        body = self.expect(answer, code, success=201)
        if not is_invalid:
            id = body["error"]["details"]["transactionId"] if code else body["id"]
            self.record_payment(id, sender, recipient, amount, code)
        if not code:
            assert (Decimal(body["amount"]), Decimal(body["fee"])) == (amount, fee)

    @rule(pair=own_pairs, amount=amounts, key=keys)
    def transfer(self, pair, amount, key):
        sender, recipient = pair
        amount = self.amount_of(amount, sender, fee=False)
        owner = self.model.wallet_rows[sender].owner
        code, failed = self.model.input_error(sender, recipient), False
        if self.model.wallet_rows[recipient].owner != owner:
            code = "WALLET_NOT_FOUND"
        elif code is None:
            code = self.model.transfer(sender, recipient, amount, ZERO)
            failed = code is not None

        body = self.payment_body(sender, recipient, amount)
        answer = self.post(owner, "/v1/transfers/internal", body, key)

        body = self.expect(answer, code, success=201)
        if failed or not code:
            id = body["error"]["details"]["transactionId"] if code else body["id"]
            self.record_payment(id, sender, recipient, amount, code, "INTERNAL")

    @rule(
        owner=st.sampled_from(["acme", "globex"]),
        items=st.lists(st.tuples(numbers, small_amounts, keys), min_size=1, max_size=5),
        key=keys,
    )
    def batch(self, owner, items, key):
        pairs = [pair for pair in VALID_PAIRS * 3 + INVALID_PAIRS if WALLETS[pair[0]][0] == owner]
        orders, bodies = [], []
        for number, amount, has_key in items:
            sender, recipient = pairs[number % len(pairs)]
            orders.append((sender, recipient, amount))
            extra = {"idempotencyKey": f"item-{next(self.numbers)}"} if has_key else {}
            bodies.append(self.payment_body(sender, recipient, amount) | extra)
        before, failed_at, code = copy.deepcopy(self.model), None, None
        for index, (sender, recipient, _) in enumerate(orders):
            if code := self.model.input_error(sender, recipient):
                failed_at = index
                break
        is_invalid = code is not None
        if not is_invalid:
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
                self.record_payment(result["transactionId"], sender, recipient, amount, None)
        else:
            found = [result["status"] for result in results]
            after = len(orders) - failed_at - 1
            assert found == ["reversed"] * failed_at + ["failed"] + ["skipped"] * after
            error = results[failed_at]["error"]
            assert error["code"] == code
            if not is_invalid:
                self.record_payment(error["details"]["transactionId"], *orders[failed_at], code)

    @precondition(lambda self: self.model.payments)
    @rule(number=numbers, as_sender=st.booleans(), key=keys)
    def reverse(self, number, as_sender, key):
        id = list(self.model.payments)[number % len(self.model.payments)]
        payment = self.model.payments[id]
        payer = self.model.wallet_rows[payment.recipient]
        owner = self.model.wallet_rows[payment.sender if as_sender else payment.recipient].owner
        code = None
        if owner != payer.owner or payment.kind == "REVERSAL" or payment.status != "POSTED":
            code = "REVERSAL_NOT_ALLOWED"
        else:
            code = self.model.transfer(payment.recipient, payment.sender, payment.amount, ZERO)

        is_hidden = (
            payment.status == "FAILED" and owner != self.model.wallet_rows[payment.sender].owner
        )
        answer = self.post(owner, f"/v1/payments/{id}/reverse", {}, key)

        if is_hidden:
            assert answer.status_code == 404
            return
        body = self.expect(answer, code, success=200)
        if code is None:
            payment.status = "REVERSED"
            back = body["reversedBy"]
            self.record_payment(
                back, payment.recipient, payment.sender, payment.amount, None, "REVERSAL"
            )

    @rule(wallet=wallets, verb=st.sampled_from(["freeze", "unfreeze", "unfreeze", "close"]))
    def change_state(self, wallet, verb):
        wallet_row = self.model.wallet_rows[wallet]
        is_empty = not (wallet_row.balance or wallet_row.held or wallet_row.debt)
        if verb == "close":
            refused = wallet_row.is_default or (wallet_row.state != "CLOSED" and not is_empty)
        else:
            refused = wallet_row.state == "CLOSED"
        code = "INVALID_STATE" if refused else None

        answer = self.post(
            wallet_row.owner, f"/v1/wallets/{self.wallets[wallet].id}/{verb}", {}, False
        )

        self.expect(answer, code, success=200)
        if code is None:
            wallet_row.state = {"freeze": "FROZEN", "unfreeze": "ACTIVE", "close": "CLOSED"}[verb]

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

    # Operations of networks and of the system

    def step(self, outcome: str | None, work, **arguments) -> bool:
        """Run a step of a hold and check its outcome. Returns whether it succeeded."""
        found = outcome_of(work, **arguments)
        assert found == outcome
        if found is None:
            self.hold_steps.append((work, arguments))
        return found is None

    @rule(wallet=wallets, amount=amounts)
    def hold(self, wallet, amount):
        amount = self.amount_of(amount, wallet, fee=False)
        wallet_row, id = self.model.wallet_rows[wallet], ids.new("hld")

        account_id = self.wallets[wallet].account_id
        arguments = {"id": id, "account_id": account_id, "amount": amount, "reason": "test"}
        if self.step(wallet_row.refuses(amount), holds.place, **arguments):
            wallet_row.held += amount
            self.model.hold_rows[id] = HoldRow(wallet, amount)

    def pick_hold(self, number) -> tuple[str, HoldRow, WalletRow]:
        id = list(self.model.hold_rows)[number % len(self.model.hold_rows)]
        hold_row = self.model.hold_rows[id]
        return id, hold_row, self.model.wallet_rows[hold_row.wallet]

    @precondition(lambda self: self.model.hold_rows)
    @rule(number=numbers, amount=small_amounts)
    def increase(self, number, amount):
        id, hold_row, wallet_row = self.pick_hold(number)
        outcome = wallet_row.refuses(amount) if hold_row.remaining else "ENDED"

        arguments = {"hold_id": id, "amount": amount, "operation": uuid.uuid4()}
        if self.step(outcome, holds.increase, **arguments):
            wallet_row.held += amount
            hold_row.amount += amount

    @precondition(lambda self: self.model.hold_rows)
    @rule(number=numbers, part=st.sampled_from([1, 2, 3]), whole=st.booleans())
    def release(self, number, part, whole):
        id, hold_row, wallet_row = self.pick_hold(number)
        amount = (hold_row.remaining / part).quantize(UNIT, rounding=ROUND_DOWN)
        if whole:
            amount = hold_row.remaining
        elif not amount:
            return

        release_amount = None if whole else amount
        arguments = {"hold_id": id, "amount": release_amount, "operation": uuid.uuid4()}
        if self.step(None, holds.release, **arguments):
            wallet_row.release_hold(amount)
            hold_row.released += amount

    @precondition(lambda self: self.model.hold_rows)
    @rule(
        number=numbers,
        to=wallets,
        amount=small_amounts,
        tip=st.sampled_from([ZERO, ZERO, Decimal("0.5"), Decimal(40)]),
        forced=st.booleans(),
    )
    def capture(self, number, to, amount, tip, forced):
        id, hold_row, wallet_row = self.pick_hold(number)
        payee = self.model.wallet_rows[to]
        source, currency = self.wallets[hold_row.wallet].account_id, wallet_row.currency
        if to == hold_row.wallet or payee.currency != currency:
            payee, target = None, chart.treasury("SANDBOX", currency)
        else:
            target = self.wallets[to].account_id
        outcome = None
        if hold_row.remaining < amount:
            outcome = "ENDED"
        elif not forced:
            after = copy.copy(wallet_row)
            after.held -= amount
            outcome = after.refuses(amount + tip)
        if outcome is None and payee and payee.state == "CLOSED":
            outcome = "CLOSED"

        move = Move(source, target, amount + tip, currency)
        arguments = {
            "hold_id": id,
            "posting": Posting(id=ids.new("txn"), moves=(move,), reason="test"),
            "amount": amount,
            "operation": uuid.uuid4(),
            "forced": forced,
        }
        if self.step(outcome, holds.capture, **arguments):
            wallet_row.held -= amount
            hold_row.captured += amount
            wallet_row.lose(amount + tip) if forced else wallet_row.pay(amount + tip)
            if payee:
                payee.receive(amount + tip)
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

    @rule(wallet=wallets, amount=small_amounts)
    def force(self, wallet, amount):
        wallet_row = self.model.wallet_rows[wallet]
        sink = chart.treasury("SANDBOX", wallet_row.currency)
        move = Move(self.wallets[wallet].account_id, sink, amount, wallet_row.currency)
        posting = Posting(id=ids.new("txn"), moves=(move,), reason="test")

        outcome = outcome_of(journal.post_set, [posting], book="SANDBOX", forced=True)

        assert outcome == ("CLOSED" if wallet_row.state == "CLOSED" else None)
        if outcome is None:
            wallet_row.lose(amount)
            self.model.add("TREASURY", wallet_row.currency, -amount)

    @rule(limit=st.integers(1, 20))
    def roll_up_balances(self, limit):
        assert journal.roll_up(limit) <= limit

    @rule(owner=st.sampled_from(["acme", "globex"]), days=st.integers(1, 30))
    def advance_clock(self, owner, days):
        organization = self.cast[owner][0]
        organization = Organization.objects.get(pk=organization.pk)
        organization.sandbox_offset += timedelta(days=days)
        organization.save(update_fields=["sandbox_offset"])

    # Checks

    @invariant()
    def check_all(self):
        self.steps += 1
        self.check_money()
        self.check_payments()
        if self.steps % 3 == 0:
            self.check_shown_balance(list(WALLETS)[self.steps % len(WALLETS)])
        if self.steps % 8 == 0:
            self.check_ledger()

    def check_money(self):
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
            name: (
                wallet_row.balance,
                wallet_row.held,
                wallet_row.debt,
                wallet_row.state,
                wallet_row.sandbox_funds,
            )
            for name, wallet_row in self.model.wallet_rows.items()
        }

    def check_payments(self):
        found = Payment.objects.values_list("id", "status", "kind", "amount")
        assert set(found) == {
            (id, payment.status, payment.kind, payment.amount)
            for id, payment in self.model.payments.items()
        }

    def check_shown_balance(self, name):
        wallet_row = self.model.wallet_rows[name]
        client = self.cast[wallet_row.owner][1]
        shown = client.get(f"/v1/wallets/{self.wallets[name].id}/balance").json()
        assert Decimal(shown["balance"]) == wallet_row.balance
        assert Decimal(shown["available"]) == wallet_row.balance - wallet_row.held
        assert Decimal(shown["pending"]) == wallet_row.held

    def check_ledger(self):
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        assert ledger_checks.differences() == []
        for (kind, currency), amount in self.model.system_balances.items():
            account = chart.system_id("SANDBOX", kind, currency)
            assert statements.exact_balance(account) == amount
        found = Hold.objects.values_list("id", "amount", "captured", "released", "remaining")
        assert set(found) == {
            (id, p.amount, p.captured, p.released, p.remaining)
            for id, p in self.model.hold_rows.items()
        }


@pytest.mark.hypothesis
@pytest.mark.timeout(3600)  # for shrinking, should it ever fail
def test_money_is_where_the_model_expects_it(acme, globex, api, stranger, caplog):
    caplog.set_level(logging.CRITICAL, logger="wallgent")  # there are many thousand requests
    cast = {"acme": (acme, api), "globex": (globex, stranger)}
    # An example uses only some of the rules, so more examples are better than longer ones.
    size = {"max_examples": 40, "stateful_step_count": 25}
    if settings.default.max_examples > 100:  # make soak
        size = {"stateful_step_count": 80}

    run_state_machine_as_test(lambda: MoneyMachine(cast), settings=settings(**size))
