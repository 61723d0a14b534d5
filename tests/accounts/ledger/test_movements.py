"""A movement is declared once; pages, totals and check_books come from its declaration."""

import re
from datetime import UTC
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.db import transaction

from accounts.activity import overview
from accounts.ledger import chart, holds, journal, movements
from accounts.ledger import checks as ledger_checks
from accounts.ledger.models import Entry, Hold, Transaction
from accounts.ledger.movements import Movement, NotDeclared, Record
from accounts.payments.models import RECORD, Payment, kinds
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets.models import Wallet
from tests.accounts.ledger import book
from tests.accounts.ledger.test_checks import corrupted
from tests.accounts.site import Site
from tests.world import actor_for, fund, hold
from wallgent import ids

TIP = Movement(
    "tip",
    "A tip",
    "Tip for",
    "Tip of",
    record=RECORD,
    check="SELECT format('payment txn_%s: a tip of %s', id, amount) FROM accounts_payment"
    " WHERE kind = 'TIP' AND amount > 10",
    counts_as_payment=True,
)
JAR = Movement(
    "tip",
    "Tip jar",
    record=Record("wallet", "SELECT NULL::uuid"),  # knows no hold
    is_hold=True,
    total_label="Kept in tip jars",
)


@pytest.fixture(autouse=True, scope="module")
def _tips():
    """Declare a movement for the tests of this module, and for the check after each of them."""
    with patch.dict(movements._declared):
        movements.declare(TIP)
        yield


@pytest.fixture
def tip(wallet, shop) -> Payment:
    """A tip of 5 from Acme's wallet to Globex's."""
    fund(wallet, "100")
    wallet = Wallet.objects.get(pk=wallet.pk)
    request = PaymentRequest(sender=wallet, recipient=shop, amount=Decimal(5))
    with transaction.atomic():
        return payments.create(request, actor=actor_for(wallet.organization), kind="TIP")


def text_of(html: str) -> str:
    return " ".join(re.sub("<[^>]*>|[\u2068\u2069]", " ", html).split())


class TestDeclaredPayment:
    def test_is_posted_with_its_reason_and_without_a_fee(self, tip, wallet):
        assert Transaction.objects.get(pk=tip.id).reason == "tip"
        assert Payment.objects.get(pk=tip.id).fee == 0
        assert Entry.objects.filter(transaction=tip.id).count() == 2
        assert ledger_checks.differences() == []

    @pytest.mark.parametrize("side", ["payer", "recipient"])
    def test_is_on_the_statement_of_each_side(self, tip, acme, globex, wallet, shop, side):
        own, viewed, label, change = {
            "payer": (acme, wallet, "Tip for Globex", "-$5.00"),
            "recipient": (globex, shop, "Tip of Acme", "+$5.00"),
        }[side]

        html = Site(own, "VIEWER").html(f"/wallets/{viewed.id}")

        assert re.search(f"{label} [^$]* {re.escape(change)}", text_of(html))
        assert f"/payments/{tip.id}" in html

    def test_is_named_on_its_page_and_a_kind_of_payment(self, tip, acme):
        assert "Kind A tip" in text_of(Site(acme, "VIEWER").html(f"/payments/{tip.id}"))
        assert "TIP" in kinds()

    def test_is_counted_on_the_overview(self, tip, acme, globex):
        for organization in (acme, globex):
            shown = overview.load(actor=actor_for(organization), zone=UTC)
            assert shown.payments == 1

    def test_its_check_finds_a_difference(self, tip):
        with corrupted(
            "UPDATE accounts_payment SET amount = 20 WHERE id = %(tip)s", {"tip": tip.id}
        ):
            found = ledger_checks.differences()

        assert f"payment {tip.id}: a tip of 20.00000000" in found

    def test_missing_payment_is_found(self, tip):
        with corrupted("DELETE FROM accounts_payment WHERE id = %(tip)s", {"tip": tip.id}):
            found = ledger_checks.differences()

        assert f"transaction {tip.id}: tip, but without its payment" in found


def test_declared_hold_is_named_and_added_up(acme, wallet):
    fund(wallet, "100")
    with patch.dict(movements._declared), transaction.atomic():
        movements.declare(JAR)
        fields = {"reason": "tip", "reference": "", "account_id": wallet.account_id}
        placed = holds.place(ids.new("hld"), amount=Decimal(7), **fields)
        site = Site(acme, "VIEWER")

        assert "Tip jar" in site.html(f"/wallets/{wallet.id}", show="holds")
        assert "Kept in tip jars $7.00" in text_of(site.html())
        sentence = f"hold {placed.id}: for a wallet that does not know it"
        assert ledger_checks.differences() == [sentence]
        transaction.set_rollback(True)


OURS = [
    movement
    for movement in [*movements.declared(), *movements.declared(is_hold=True)]
    if movement.record.noun != "test"
]


@pytest.mark.parametrize("movement", OURS, ids=lambda one: f"{one.reason}-{one.is_hold}")
def test_every_movement_has_a_check_and_a_record_that_cannot_be_missing(tip, wallet, movement):
    names = {"id": hold(wallet, "1") if movement.is_hold else tip.id}
    table = "hold" if movement.is_hold else "transaction"
    sql = f"""
        WITH payments AS (DELETE FROM accounts_payment)
        UPDATE ledger_{table} SET reason = '{movement.reason}' WHERE id = %(id)s
    """
    with corrupted(sql, names):
        found = ledger_checks.differences()

    noun = movement.record.noun
    if movement.is_hold:
        assert f"hold {names['id']}: for a {noun} that does not know it" in found
    else:
        assert f"transaction {tip.id}: {movement.reason}, but without its {noun}" in found
    assert movement.check


class TestUndeclaredReason:
    def test_is_refused_when_it_is_posted(self, wallet):
        move = book.move(chart.treasury("SANDBOX", "USD"), wallet.account_id, "1")
        for reason in ("gift", "card"):  # "card" is declared for holds only
            posting = book.posting(move, reason=reason)
            with pytest.raises(NotDeclared, match=reason), transaction.atomic():
                journal.post_set([book.posting(move), posting], book="SANDBOX")

        assert not Transaction.objects.exists()

    def test_is_refused_for_a_hold(self, wallet):
        fund(wallet, "10")
        fields = {"account_id": wallet.account_id, "amount": Decimal(1)}
        for reason in ("gift", "payment"):  # "payment" is declared for transactions only
            with pytest.raises(NotDeclared, match=reason), transaction.atomic():
                holds.place(ids.new("hld"), reason=reason, **fields)

        assert not Hold.objects.exists()

    @pytest.mark.parametrize("table", ["transaction", "hold"])
    def test_in_the_ledger_is_found_and_shown(self, tip, acme, wallet, table):
        id = hold(wallet, "1") if table == "hold" else tip.id
        sql = f"UPDATE ledger_{table} SET reason = 'late_gift' WHERE id = %(id)s"
        with corrupted(sql, {"id": id}):
            found = ledger_checks.differences()
            show = "holds" if table == "hold" else "entries"
            html = Site(acme, "VIEWER").html(f"/wallets/{wallet.id}", show=show)

        assert f"{table} {id}: its reason is not declared: late_gift" in found
        assert "Late gift" in html


class TestDeclaration:
    def test_is_made_once(self):
        with pytest.raises(AssertionError, match="twice"):
            movements.declare(TIP)

    def test_names_its_record(self):
        with pytest.raises(AssertionError, match="nothing proves"):
            movements.declare(Movement("gift", "Gift"))
