"""Random sequences of operations on links, over rails that fail, keep the ledger consistent.

The machine does what claimants, senders and banks do, in random order, and advances the clock.
After each step it checks the invariants. At the end it advances the clock past every deadline:
then nothing may be pending, and each event was recorded once, for the right organization.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.controls.models import Approval
from accounts.ledger import checks as books
from accounts.transfers.models import SimulatorEntry, Transfer
from accounts.transfers.rails.simulator import FAULTS, pay_address
from accounts.transfers.services import worker
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import settings as link_settings
from tests import approving
from tests.accounts import rails
from tests.links.conftest import ach_body, agreed, claim_body, expire_links, send_claim, usdc_body
from tests.world import actor_for, fund, make_wallet, reset_rate_limits
from wallgent import clock
from wallgent.api.schemas import timestamp_text
from wallgent.events.models import Event

ALLOWED = {200, 201, 202, 400, 401, 402, 403, 404, 409, 422}
EMAILS = ["ada@example.com", "bob@example.com"]
OPEN = ["CLAIMED", "AWAITING_PAYMENT", "PENDING_APPROVAL"]
numbers = st.integers(0, 10**6)  # picks one of the existing objects
faults = st.sampled_from([0, 0, 0, *FAULTS])
new = st.sampled_from([True, True, True, False])  # whether the claimant differs from the last
parts = st.sampled_from(["1", "1", "0.5", "1.5"])  # of the amount due
# Of a link: is it SEND, is it in USDC, its amount, uses, minutes to its expiry, and emails.
terms = st.tuples(
    st.booleans(),
    st.booleans(),
    st.sampled_from(["1", "7.50", "20"]),
    st.integers(1, 3),
    st.sampled_from([None, None, None, 1, 120]),
    st.sampled_from([None, None, None, EMAILS]),
)
# One rule runs all of these, because hypothesis leaves some rules out of each run.
operations = st.one_of(
    st.tuples(st.just("claim_by_bank"), numbers, faults, new),
    st.tuples(st.just("claim_by_chain"), numbers, faults, new, st.none() | parts),
    st.tuples(st.just("claim_by_wallet"), numbers, st.integers(0, 1), st.booleans()),
    st.tuples(
        st.just("pay"),
        numbers,
        parts,
        st.sampled_from(["ethereum", "ethereum", "ethereum", "polygon"]),
    ),
    st.tuples(st.just("decide"), numbers, st.sampled_from(["approve", "approve", "reject"])),
    st.tuples(st.just("cancel"), numbers),
    st.tuples(st.just("create"), terms),
    st.tuples(
        st.just("change_wallet"),
        numbers,
        st.sampled_from(["freeze", "unfreeze", "fund", "spend", "reverse"]),
    ),
    st.tuples(
        st.just("advance_clock"),
        st.sampled_from([1, 5, 60, 60, 900, 4000, 90_000]),
        st.sampled_from(["both", "both", "acme", "globex"]),
    ),
    st.tuples(st.just("work"), st.sampled_from(["rails", "rails", "links", "approvals"])),
)


class LinkMachine(RuleBasedStateMachine):
    def __init__(self, cast: dict):
        super().__init__()
        self.acme, self.globex = cast["acme"], cast["globex"]
        self.api, self.stranger = cast["api"], cast["stranger"]
        self.undo = transaction.atomic()
        self.undo._from_testcase = True  # durable blocks are allowed in it, and rolled back
        self.undo.__enter__()
        self.links, self.claimants = [], 0
        self.dollars = make_wallet(self.acme, "Dollars", funds="200")
        self.coins = make_wallet(self.acme, "Coins", currency="USDC", funds="200")
        self.purses = {
            currency: [
                make_wallet(self.globex, f"{n}", currency=currency, funds="50") for n in "ab"
            ]
            for currency in ("USD", "USDC")
        }

    def teardown(self):
        try:
            self.finish()
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    @initialize(allowed=st.sampled_from([True, True, False]), first=st.lists(terms, min_size=3))
    def begin(self, allowed, first):
        self.converts = allowed
        link_settings.set_conversion(self.acme, actor=actor_for(self.acme), allowed=allowed)
        for terms in first[:4]:
            self.create(terms)

    @rule(steps=st.lists(operations, min_size=2, max_size=6))
    def run_steps(self, steps):
        reset_rate_limits()  # limits use real time, which hardly passes here
        for operation, *arguments in steps:
            getattr(self, operation)(*arguments)

    def pick(self, objects, number: int):
        return objects[number % len(objects)] if objects else None

    def ok(self, answer, *also_allowed):
        assert answer.status_code in {*ALLOWED, *also_allowed}, (answer.status_code, answer.content)
        return answer

    # Operations of the link's organization

    def create(self, terms):
        is_send, is_usdc, amount, uses, minutes, emails = terms
        body = {
            "walletId": (self.coins if is_usdc else self.dollars).id,
            "amount": amount,
            "direction": "SEND" if is_send else "RECEIVE",
            "maxUses": uses,
        }
        if minutes:
            self.acme.refresh_from_db()
            until = clock.real_now() + self.acme.sandbox_offset + timedelta(minutes=minutes)
            body["expiresAt"] = timestamp_text(until)
        if emails:
            body["recipientRestrictions"] = {"emails": emails, "proof": "TYPED"}
        answer = self.ok(self.api.post("/v1/payment-links", body))
        if answer.status_code == 201:
            self.links.append(answer.json())

    def cancel(self, number):
        """Cancel a link, preferably one with claims under way."""
        claims = Claim.objects.filter(status__in=OPEN, link__status="ACTIVE").order_by("pk")
        busy = list(claims.values_list("link", flat=True))
        if id := self.pick(busy or [link["id"] for link in self.links], number):
            self.ok(self.api.patch(f"/v1/payment-links/{id}"))

    def change_wallet(self, number, operation):
        wallet = self.pick([self.dollars, self.coins], number)
        if operation in ("freeze", "unfreeze"):
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/{operation}"))
        elif operation == "fund":
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "20"}))
        elif operation == "spend":
            to = self.purses[wallet.currency][0]
            payment = {"from": wallet.id, "to": to.id, "amount": "60"}
            self.ok(self.api.post("/v1/payments", payment))
        else:
            # The recipient reverses the payment of a claim, which stays SETTLED.
            paid = Claim.objects.filter(status="SETTLED", method="WALLET", link__direction="SEND")
            if claim := self.pick(paid.order_by("pk"), number):
                self.ok(self.stranger.post(f"/v1/payments/{claim.payment_id}/reverse"), 422)

    # Operations of claimants and payers

    def claim_by_bank(self, number, fault, is_new):
        self.claimants += is_new
        body = ach_body(fault, number=f"55{self.claimants:06}") | agreed()
        self.claim(self.some_link(number, "USD"), body)

    def claim_by_chain(self, number, fault, is_new, part):
        self.claimants += is_new
        body = usdc_body(fault)
        if not fault:
            body["destination"]["address"] = f"0x{0xABC000 + self.claimants:040x}"
        claimed = self.claim(self.some_link(number, "USDC"), body)
        if part and claimed and claimed.status_code == 200 and claimed.json()["deposit"]:
            self.pay(0, part, "ethereum")  # the latest expected payment

    def claim_by_wallet(self, number, which, has_key):
        if link := self.some_link(number):
            body = claim_body(self.purses[link["currency"]][which])
            self.claim(link, body, client=self.stranger if has_key else None)

    def some_link(self, number: int, currency: str = "") -> dict | None:
        """A link that accepts the currency, if there is one; else any, to be refused."""
        active = set(PaymentLink.objects.filter(status="ACTIVE").values_list("pk", flat=True))
        fitting = [
            link
            for link in self.links
            if link["id"] in active
            and (not currency or self.converts or link["currency"] == currency)
        ]
        return self.pick(fitting or self.links, number)

    def claim(self, link: dict | None, body: dict, client=None):
        email = {"recipientEmail": EMAILS[self.claimants % 2]}
        return self.ok(send_claim(link, body | email, client=client)) if link else None

    def pay(self, number, part, chain):
        expected = Transfer.objects.filter(direction="DEPOSIT", rail_type="USDC").order_by("-pk")
        unpaid = expected.exclude(status="COMPLETED")[:3]
        if transfer := self.pick(unpaid or expected[:3], number):
            pay_address(transfer.address, transfer.amount * Decimal(part), chain)
            worker.check_now(transfer)

    def decide(self, number, verb):
        waiting = Approval.objects.filter(status="PENDING").order_by("pk")
        if approval := self.pick(waiting, number):
            self.ok(self.stranger.post(f"/v1/approvals/{approval.id}/{verb}"))

    # Time and background tasks

    def advance_clock(self, seconds, whose="both"):
        for name in ("acme", "globex"):
            if whose in ("both", name):
                rails.advance(getattr(self, name), seconds=seconds)

    def work(self, what):
        if what == "rails":
            rails.sweep()
        elif what == "links":
            expire_links()
        else:
            approving.expire_approvals()

    # Invariants

    @invariant()
    def each_link_pays_at_most_its_uses(self):
        for link in PaymentLink.objects.prefetch_related("claims"):
            claims = list(link.claims.all())
            assert sum(c.consumes_use for c in claims) == link.use_count <= link.max_uses
            assert sum(c.status == "SETTLED" for c in claims) <= link.max_uses
            if link.status not in ("ACTIVE", "CLAIMED"):
                assert not any(c.status == "PENDING_APPROVAL" for c in claims)

    @invariant()
    def the_ledger_agrees(self):
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        assert books.differences() == []

    def finish(self):
        """Pass every deadline of banks, payers and approvers: then nothing is under way."""
        for wallet in (self.dollars, self.coins):
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/unfreeze"))
        for _ in range(4):
            self.advance_clock(26 * 3600)
            for what in ("rails", "approvals", "links"):
                self.work(what)
        self.each_link_pays_at_most_its_uses()
        self.the_ledger_agrees()
        assert not Claim.objects.filter(status__in=OPEN).exists()
        assert not Approval.objects.filter(status="PENDING").exists()
        assert not PaymentLink.objects.filter(status="CLAIMED").exists()
        self.acme.refresh_from_db()
        now = clock.real_now() + self.acme.sandbox_offset
        assert not PaymentLink.objects.filter(status="ACTIVE", expires_at__lt=now).exists()
        self.rail_matches_transfers()
        self.each_event_was_recorded_once()

    def rail_matches_transfers(self):
        """The rail moved exactly the amounts of the completed transfers."""
        out = Transfer.objects.filter(direction="WITHDRAWAL", status="COMPLETED")
        into = Transfer.objects.filter(direction="DEPOSIT", rail_type="ACH", status="COMPLETED")
        ours = sum(t.amount for t in into) - sum(t.amount for t in out)
        entries = SimulatorEntry.objects.filter(payment=None)
        assert sum(entry.amount for entry in entries) == ours

    def each_event_was_recorded_once(self):
        """For the organization of the link, and no other."""
        events = list(Event.objects.filter(type__startswith="payment_link."))
        assert {event.organization_id for event in events} <= {self.acme.id}
        recorded = Counter(
            (e.type.split(".")[1], e.data.get("claimId") or e.subject) for e in events
        )
        expected = Counter()
        for link in PaymentLink.objects.all():
            expected["created", link.id] += 1
            if link.status in ("EXPIRED", "CANCELLED"):
                expected[link.status.lower(), link.id] += 1
        for claim in Claim.objects.select_related("link").prefetch_related("history"):
            for name in expected_events(claim):
                expected[name, claim.id] += 1
        assert recorded == expected


def expected_events(claim: Claim) -> Iterator[str]:
    """The events that a claim should have, according to its history."""
    link_ended_at, before, has_use = claim.link.expired_at or claim.link.cancelled_at, None, False
    for step in claim.history.all():
        if step.status == before:
            continue  # a remark about a payment
        before = step.status
        if before in ("CLAIMED", "AWAITING_PAYMENT", "SETTLED"):
            if not has_use:
                yield "claimed"
            has_use = True
            if before == "SETTLED":
                yield "settled"
        elif has_use and not (before == "RETURNED" and claim.consumes_use):
            has_use = False
            if not link_ended_at or step.at < link_ended_at:
                yield "reopened"


@pytest.mark.hypothesis
@pytest.mark.timeout(3600)  # for shrinking, should it ever fail in the soak
def test_random_operations_over_failing_rails_keep_the_ledger_consistent(
    acme, globex, api, stranger, caplog
):
    caplog.set_level(logging.CRITICAL, logger="wallgent")  # many thousand requests
    fund(make_wallet(acme, "Any"), "1")
    cast = {"acme": acme, "globex": globex, "api": api, "stranger": stranger}
    # Failing examples are short enough to read, and shrinking takes many minutes.
    size = {"max_examples": 14, "stateful_step_count": 14, "phases": [Phase.reuse, Phase.generate]}
    if settings.default.max_examples > 100:  # make soak
        size = {"max_examples": 600, "stateful_step_count": 40}

    run_state_machine_as_test(lambda: LinkMachine(cast), settings=settings(**size))
