"""Whatever becomes of links in whatever order, over rails that misbehave: the money agrees.

The machine does what strangers, makers and banks do, at random, and lets time pass. After each step
it looks at what must always be true; at its end it lets all the time pass that there is, and then
nothing may be stuck.
"""

import logging
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts import tasks as account_tasks
from accounts.models import Approval, SimulatorEntry, Transfer
from accounts.rails.simulator import FAULTS, pay_address
from accounts.services import books
from links import tasks
from links.models import Claim, PaymentLink
from links.services import link_settings
from tests.accounts import rails
from tests.links.conftest import ach_body, agreed, claim_body, send_claim, usdc_body
from tests.world import actor_for, fund, make_wallet
from wallgent import clock
from wallgent.api.shapes import timestamp_text

ALLOWED = {200, 201, 202, 400, 401, 402, 403, 404, 409}
amounts = st.sampled_from(["1", "7.50", "20"])
faults = st.sampled_from([0, 0, 0, *FAULTS])
numbers = st.integers(0, 10**6)  # which one of those there are
# Of a link: whether it sends, whether it is in USDC, its amount, its uses, its minutes.
terms = st.tuples(
    st.booleans(),
    st.booleans(),
    amounts,
    st.integers(1, 3),
    st.sampled_from([None, None, None, 1, 120]),
)


class LinkMachine(RuleBasedStateMachine):
    def __init__(self, cast: dict):
        super().__init__()
        self.acme, self.globex = cast["acme"], cast["globex"]
        self.api, self.stranger = cast["api"], cast["stranger"]
        self.undo = transaction.atomic()
        self.undo._from_testcase = True  # within it, what is durable is not: it is all undone
        self.undo.__enter__()
        self.links, self.addresses, self.people = [], [], 0
        self.dollars = make_wallet(self.acme, "Dollars", funds="200")
        self.coins = make_wallet(self.acme, "Coins", currency="USDC", funds="200")
        self.purses = [make_wallet(self.globex, f"Purse {n}", funds="200") for n in range(3)]
        self.purses.append(make_wallet(self.globex, "Coins", currency="USDC", funds="200"))

    def teardown(self):
        try:
            self.let_everything_end()
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    @initialize(allowed=st.sampled_from([True, True, False]), some=st.lists(terms, min_size=3))
    def begin(self, allowed, some):
        link_settings.set_conversion(self.acme, actor=actor_for(self.acme), allowed=allowed)
        for wanted in some[:6]:
            self.make(wanted)

    def one_of(self, things: list, number: int):
        return things[number % len(things)] if things else None

    def ok(self, answer):
        assert answer.status_code in ALLOWED, (answer.status_code, answer.content)
        return answer

    # What makers do

    @rule(wanted=terms)
    def offer(self, wanted):
        self.make(wanted)

    def make(self, wanted):
        is_send, is_coins, amount, uses, minutes = wanted
        wallet = self.coins if is_coins else self.dollars
        body = {
            "walletId": wallet.id,
            "amount": amount,
            "direction": "SEND" if is_send else "RECEIVE",
            "maxUses": uses,
        }
        if minutes:
            self.acme.refresh_from_db()
            until = clock.real_now() + self.acme.sandbox_offset + timedelta(minutes=minutes)
            body["expiresAt"] = timestamp_text(until)
        answer = self.ok(self.api.post("/v1/payment-links", body))
        if answer.status_code == 201:
            self.links.append(answer.json())

    @rule(number=numbers)
    def cancel(self, number):
        if link := self.one_of(self.links, number):
            self.ok(self.api.patch(f"/v1/payment-links/{link['id']}"))

    @rule(is_coins=st.booleans(), deed=st.sampled_from(["freeze", "unfreeze", "fund", "spend"]))
    def change_the_wallet(self, is_coins, deed):
        wallet = self.coins if is_coins else self.dollars
        if deed in ("freeze", "unfreeze"):
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/{deed}"))
        elif deed == "fund":
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "20"}))
        else:
            to = self.purses[3 if is_coins else 0]
            order = {"from": wallet.id, "to": to.id, "amount": "30"}
            self.ok(self.api.post("/v1/payments", order))

    # What strangers do

    @rule(number=numbers, fault=faults, is_new=st.sampled_from([True, True, False]))
    def claim_by_bank(self, number, fault, is_new):
        self.people += is_new
        body = ach_body(fault, number=f"55{self.people:06}") | agreed()
        self.claim(number, body)

    @rule(number=numbers, fault=faults, is_new=st.sampled_from([True, True, False]))
    def claim_by_chain(self, number, fault, is_new):
        self.people += is_new
        body = usdc_body(fault)
        if not fault:
            body["destination"]["address"] = f"0x{0xABC000 + self.people:040x}"
        answer = self.claim(number, body)
        if answer is not None and answer.status_code == 200 and answer.json()["deposit"]:
            self.addresses.append(answer.json()["deposit"]["address"])

    @rule(
        number=numbers,
        methods=st.lists(st.sampled_from(["bank", "chain", "wallet"]), min_size=2),
        fault=faults,
    )
    def claim_much(self, number, methods, fault):
        for offset, method in enumerate(methods[:6]):
            if method == "bank":
                self.claim_by_bank(number + offset, fault, True)
            elif method == "chain":
                self.claim_by_chain(number + offset, 0, True)
            else:
                self.claim_by_wallet(number + offset, (number + offset) % 4, offset % 2)

    @rule(number=numbers, which=st.integers(0, 3), has_key=st.booleans())
    def claim_by_wallet(self, number, which, has_key):
        client = self.stranger if has_key else None
        self.claim(number, claim_body(self.purses[which]), client=client)

    def claim(self, number: int, body: dict, client=None):
        link = self.one_of(self.links[-6:], number)
        return self.ok(send_claim(link, body, client=client)) if link else None

    @rule(
        number=numbers,
        amount=st.sampled_from(["1", "7.50", "20", "20", "40"]),
        chain=st.sampled_from(["ethereum", "ethereum", "ethereum", "polygon"]),
    )
    def pay(self, number, amount, chain):
        if address := self.one_of(self.addresses[-4:], number):
            pay_address(address, Decimal(amount), chain)
            Transfer.objects.filter(address=address).update(next_attempt_at=clock.real_now())

    @rule(number=numbers, verb=st.sampled_from(["approve", "approve", "reject"]))
    def decide(self, number, verb):
        waiting = list(Approval.objects.filter(status="PENDING").order_by("pk"))
        if approval := self.one_of(waiting, number):
            self.ok(self.stranger.post(f"/v1/approvals/{approval.id}/{verb}"))

    @rule(number=numbers, keep=st.booleans())
    def give_back(self, number, keep):
        """A recipient gives back what a claim has paid: the link's history stays."""
        paid = Claim.objects.filter(status="SETTLED", method="WALLET", link__direction="SEND")
        if claim := self.one_of(list(paid.order_by("pk")), number):
            self.ok(self.stranger.post(f"/v1/payments/{claim.payment_id}/reverse"))

    # What time does

    @rule(seconds=st.sampled_from([1, 5, 5, 60, 60, 900, 4000]))
    def let_time_pass(self, seconds):
        rails.advance(self.acme, seconds=seconds)
        rails.advance(self.globex, seconds=seconds)

    @rule(what=st.sampled_from(["rails", "rails", "links", "approvals"]))
    def work(self, what):
        if what == "rails":
            rails.sweep()
        elif what == "links":
            tasks.expire_links()
        else:
            account_tasks.expire_approvals()

    # What must be true

    @invariant()
    def each_link_pays_at_most_its_uses(self):
        for link in PaymentLink.objects.all():
            taken = link.claims.filter(takes_use=True).count()
            assert taken == link.use_count <= link.max_uses
            settled = link.claims.filter(status="SETTLED").count()
            assert settled <= link.max_uses

    @invariant()
    def the_books_agree(self):
        if not self.links:
            return
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        assert books.differences() == []

    def let_everything_end(self):
        """Time enough for every bank, payer and approver: then nothing is under way any more."""
        for _ in range(6):
            self.work("rails")
            self.work("approvals")
            self.work("links")
            self.let_time_pass(26 * 3600)
        for wallet in (self.dollars, self.coins):
            self.api.post(f"/v1/wallets/{wallet.id}/unfreeze")
        rails.sweep()
        self.each_link_pays_at_most_its_uses()
        self.the_books_agree()
        open_claims = Claim.objects.filter(
            status__in=["CLAIMED", "AWAITING_PAYMENT", "PENDING_APPROVAL"]
        )
        assert not open_claims.exists()
        assert not PaymentLink.objects.filter(status="CLAIMED").exists()
        self.acme.refresh_from_db()
        now = clock.real_now() + self.acme.sandbox_offset
        assert not PaymentLink.objects.filter(status="ACTIVE", expires_at__lt=now).exists()
        self.the_rail_agrees()

    def the_rail_agrees(self):
        """What the rail has moved is what our transfers say."""
        out = Transfer.objects.filter(direction="WITHDRAWAL", status="COMPLETED")
        into = Transfer.objects.filter(direction="DEPOSIT", rail_type="ACH", status="COMPLETED")
        ours = sum(t.amount for t in into) - sum(t.amount for t in out)
        entries = SimulatorEntry.objects.filter(payment=None)
        assert sum(entry.amount for entry in entries) == ours


@pytest.mark.hypothesis
@pytest.mark.timeout(3600)  # for shrinking, should it ever fail
def test_links_over_rails_that_misbehave(acme, globex, api, stranger, caplog):
    caplog.set_level(logging.CRITICAL, logger="wallgent")  # many thousand requests
    fund(make_wallet(acme, "Any"), "1")
    cast = {"acme": acme, "globex": globex, "api": api, "stranger": stranger}
    size = {"max_examples": 8, "stateful_step_count": 20}
    if settings.default.max_examples > 100:  # make soak
        size = {"max_examples": 300, "stateful_step_count": 80}

    run_state_machine_as_test(lambda: LinkMachine(cast), settings=settings(**size))
