"""Whatever becomes of links in whatever order, over rails that misbehave: the money agrees.

The machine does what strangers, makers and banks do, at random, and lets time pass. After each step
it looks at what must always be true; at its end it lets all the time pass that there is, and then
nothing may be stuck, and everything that happened has been said once, to whom it concerns.
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

from accounts import tasks as account_tasks
from accounts.controls.models import Approval
from accounts.ledger import checks as books
from accounts.transfers.models import SimulatorEntry, Transfer
from accounts.transfers.rails.simulator import FAULTS, pay_address
from links.payment_links import tasks
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import settings as link_settings
from tests.accounts import rails
from tests.links.conftest import ach_body, agreed, claim_body, send_claim, usdc_body
from tests.world import actor_for, forget_rates, fund, make_wallet
from wallgent import clock
from wallgent.api.schemas import timestamp_text
from wallgent.events.models import Event

ALLOWED = {200, 201, 202, 400, 401, 402, 403, 404, 409, 422}
PEOPLE = ["ada@example.com", "bob@example.com"]
OPEN = ["CLAIMED", "AWAITING_PAYMENT", "PENDING_APPROVAL"]
numbers = st.integers(0, 10**6)  # which one of those there are
faults = st.sampled_from([0, 0, 0, *FAULTS])
new = st.sampled_from([True, True, True, False])  # whether it is somebody else than the last time
parts = st.sampled_from(["1", "1", "0.5", "1.5"])  # of what is asked for
# Of a link: whether it sends, whether it is in USDC, its amount, its uses, its minutes, for whom.
terms = st.tuples(
    st.booleans(),
    st.booleans(),
    st.sampled_from(["1", "7.50", "20"]),
    st.integers(1, 3),
    st.sampled_from([None, None, None, 1, 120]),
    st.sampled_from([None, None, None, PEOPLE]),
)
# One rule for all of these: of several rules some are left out of each run.
deeds = st.one_of(
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
    st.tuples(st.just("offer"), terms),
    st.tuples(
        st.just("handle_money"),
        numbers,
        st.sampled_from(["freeze", "unfreeze", "fund", "spend", "give back"]),
    ),
    st.tuples(
        st.just("let_time_pass"),
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
        self.undo._from_testcase = True  # within it, what is durable is not: it is all undone
        self.undo.__enter__()
        self.links, self.people = [], 0
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
            self.let_everything_end()
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    @initialize(allowed=st.sampled_from([True, True, False]), some=st.lists(terms, min_size=3))
    def begin(self, allowed, some):
        self.converts = allowed
        link_settings.set_conversion(self.acme, actor=actor_for(self.acme), allowed=allowed)
        for wanted in some[:4]:
            self.offer(wanted)

    @rule(deeds=st.lists(deeds, min_size=2, max_size=6))
    def live(self, deeds):
        forget_rates()  # limits count real time, of which hardly any passes here
        for deed, *how in deeds:
            getattr(self, deed)(*how)

    def one_of(self, things, number: int):
        return things[number % len(things)] if things else None

    def ok(self, answer, *more):
        assert answer.status_code in {*ALLOWED, *more}, (answer.status_code, answer.content)
        return answer

    # What makers do

    def offer(self, wanted):
        is_send, is_coins, amount, uses, minutes, people = wanted
        body = {
            "walletId": (self.coins if is_coins else self.dollars).id,
            "amount": amount,
            "direction": "SEND" if is_send else "RECEIVE",
            "maxUses": uses,
        }
        if minutes:
            self.acme.refresh_from_db()
            until = clock.real_now() + self.acme.sandbox_offset + timedelta(minutes=minutes)
            body["expiresAt"] = timestamp_text(until)
        if people:
            body["recipientRestrictions"] = {"emails": people, "proof": "TYPED"}
        answer = self.ok(self.api.post("/v1/payment-links", body))
        if answer.status_code == 201:
            self.links.append(answer.json())

    def cancel(self, number):
        """End a link, rather one that somebody is paying or being paid by."""
        claimed = Claim.objects.filter(status__in=OPEN, link__status="ACTIVE").order_by("pk")
        busy = list(claimed.values_list("link", flat=True))
        if id := self.one_of(busy or [link["id"] for link in self.links], number):
            self.ok(self.api.patch(f"/v1/payment-links/{id}"))

    def handle_money(self, number, deed):
        wallet = self.one_of([self.dollars, self.coins], number)
        if deed in ("freeze", "unfreeze"):
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/{deed}"))
        elif deed == "fund":
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "20"}))
        elif deed == "spend":
            to = self.purses[wallet.currency][0]
            order = {"from": wallet.id, "to": to.id, "amount": "60"}
            self.ok(self.api.post("/v1/payments", order))
        else:
            # A recipient gives back what a claim has paid: the link's history stays.
            paid = Claim.objects.filter(status="SETTLED", method="WALLET", link__direction="SEND")
            if claim := self.one_of(paid.order_by("pk"), number):
                self.ok(self.stranger.post(f"/v1/payments/{claim.payment_id}/reverse"), 422)

    # What strangers do

    def claim_by_bank(self, number, fault, is_new):
        self.people += is_new
        body = ach_body(fault, number=f"55{self.people:06}") | agreed()
        self.claim(self.some_link(number, "USD"), body)

    def claim_by_chain(self, number, fault, is_new, part):
        self.people += is_new
        body = usdc_body(fault)
        if not fault:
            body["destination"]["address"] = f"0x{0xABC000 + self.people:040x}"
        claimed = self.claim(self.some_link(number, "USDC"), body)
        if part and claimed and claimed.status_code == 200 and claimed.json()["deposit"]:
            self.pay(0, part, "ethereum")  # the latest one that is expected

    def claim_by_wallet(self, number, which, has_key):
        if link := self.some_link(number):
            body = claim_body(self.purses[link["currency"]][which])
            self.claim(link, body, client=self.stranger if has_key else None)

    def some_link(self, number: int, currency: str = "") -> dict | None:
        """One that can be claimed like that, if there is one; else any, to be refused."""
        active = set(PaymentLink.objects.filter(status="ACTIVE").values_list("pk", flat=True))
        fitting = [
            link
            for link in self.links
            if link["id"] in active
            and (not currency or self.converts or link["currency"] == currency)
        ]
        return self.one_of(fitting or self.links, number)

    def claim(self, link: dict | None, body: dict, client=None):
        email = {"recipientEmail": PEOPLE[self.people % 2]}
        return self.ok(send_claim(link, body | email, client=client)) if link else None

    def pay(self, number, part, chain):
        expected = Transfer.objects.filter(direction="DEPOSIT", rail_type="USDC").order_by("-pk")
        unpaid = expected.exclude(status="COMPLETED")[:3]
        if transfer := self.one_of(unpaid or expected[:3], number):
            pay_address(transfer.address, transfer.amount * Decimal(part), chain)
            Transfer.objects.filter(pk=transfer.pk).update(next_attempt_at=clock.real_now())

    def decide(self, number, verb):
        waiting = Approval.objects.filter(status="PENDING").order_by("pk")
        if approval := self.one_of(waiting, number):
            self.ok(self.stranger.post(f"/v1/approvals/{approval.id}/{verb}"))

    # What time does

    def let_time_pass(self, seconds, whose="both"):
        for name in ("acme", "globex"):
            if whose in ("both", name):
                rails.advance(getattr(self, name), seconds=seconds)

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
        for link in PaymentLink.objects.prefetch_related("claims"):
            claims = list(link.claims.all())
            assert sum(c.takes_use for c in claims) == link.use_count <= link.max_uses
            assert sum(c.status == "SETTLED" for c in claims) <= link.max_uses
            if link.status not in ("ACTIVE", "CLAIMED"):
                assert not any(c.status == "PENDING_APPROVAL" for c in claims)

    @invariant()
    def the_books_agree(self):
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        assert books.differences() == []

    def let_everything_end(self):
        """Time enough for every bank, payer and approver: then nothing is under way any more."""
        for wallet in (self.dollars, self.coins):
            self.ok(self.api.post(f"/v1/wallets/{wallet.id}/unfreeze"))
        for _ in range(4):
            self.let_time_pass(26 * 3600)
            for what in ("rails", "approvals", "links"):
                self.work(what)
        self.each_link_pays_at_most_its_uses()
        self.the_books_agree()
        assert not Claim.objects.filter(status__in=OPEN).exists()
        assert not Approval.objects.filter(status="PENDING").exists()
        assert not PaymentLink.objects.filter(status="CLAIMED").exists()
        self.acme.refresh_from_db()
        now = clock.real_now() + self.acme.sandbox_offset
        assert not PaymentLink.objects.filter(status="ACTIVE", expires_at__lt=now).exists()
        self.the_rail_agrees()
        self.each_thing_was_said_once()

    def the_rail_agrees(self):
        """What the rail has moved is what our transfers say."""
        out = Transfer.objects.filter(direction="WITHDRAWAL", status="COMPLETED")
        into = Transfer.objects.filter(direction="DEPOSIT", rail_type="ACH", status="COMPLETED")
        ours = sum(t.amount for t in into) - sum(t.amount for t in out)
        entries = SimulatorEntry.objects.filter(payment=None)
        assert sum(entry.amount for entry in entries) == ours

    def each_thing_was_said_once(self):
        """To the link's organization, and to nobody else."""
        events = list(Event.objects.filter(type__startswith="payment_link."))
        assert {event.organization_id for event in events} <= {self.acme.id}
        said = Counter((e.type.split(".")[1], e.data.get("claimId") or e.subject) for e in events)
        happened = Counter()
        for link in PaymentLink.objects.all():
            happened["created", link.id] += 1
            if link.status in ("EXPIRED", "CANCELLED"):
                happened[link.status.lower(), link.id] += 1
        for claim in Claim.objects.select_related("link").prefetch_related("history"):
            for what in happened_to(claim):
                happened[what, claim.id] += 1
        assert said == happened


def happened_to(claim: Claim) -> Iterator[str]:
    """What there is to say of a claim, read off its history."""
    over_at, before, has_use = claim.link.expired_at or claim.link.cancelled_at, None, False
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
        elif has_use and not (before == "RETURNED" and claim.takes_use):
            has_use = False
            if not over_at or step.at < over_at:
                yield "reopened"


@pytest.mark.hypothesis
@pytest.mark.timeout(3600)  # for shrinking, should it ever fail in the soak
def test_links_over_rails_that_misbehave(acme, globex, api, stranger, caplog):
    caplog.set_level(logging.CRITICAL, logger="wallgent")  # many thousand requests
    fund(make_wallet(acme, "Any"), "1")
    cast = {"acme": acme, "globex": globex, "api": api, "stranger": stranger}
    # What fails here is short enough to be read, and shrinking takes many minutes.
    size = {"max_examples": 14, "stateful_step_count": 14, "phases": [Phase.reuse, Phase.generate]}
    if settings.default.max_examples > 100:  # make soak
        size = {"max_examples": 600, "stateful_step_count": 40}

    run_state_machine_as_test(lambda: LinkMachine(cast), settings=settings(**size))
