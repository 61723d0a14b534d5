"""Constraints refuse invalid links and claims; `check_books` finds the other errors."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from accounts.controls.models import Approval
from accounts.transfers.models import IncomingPayment
from accounts.transfers.rails.simulator import pay_address
from links.payment_links.models import Claim, PaymentLink
from tests.accounts import rails
from tests.links.conftest import ach_body, claim_body, send_claim, soon, stored, usdc_body
from tests.world import make_wallet
from wallgent import clock

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTLED = {"status": "SETTLED", "use_count": 3, "claimed_at": NOW, "settled_at": NOW}
UNPAID = {"payment": None, "transaction": None, "settled_at": None}


@pytest.fixture
def link(make, claim, acme):
    """A link with three uses, one of them claimed."""
    link = make(amount="10", maxUses=3, expiresAt=soon())
    assert claim(link, make_wallet(acme, "Recipient")).status_code == 200
    return link


class TestConstraints:
    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("amount_positive", {"amount": 0}),
            ("slug_long", {"slug": "short"}),
            ("slug_long", {"slug": "with a space and so on and on"}),
            ("uses_within_limits", {"max_uses": 10_001}),
            ("claimed_when_used_up", {"use_count": 3}),
            ("claimed_when_used_up", {"use_count": 4}),
            ("claimed_when_used_up", {"status": "CLAIMED", "claimed_at": NOW}),
            ("sends_out_of_a_hold", {"hold": None}),
            ("sends_out_of_a_hold", {"direction": "RECEIVE"}),
            ("expires_after_creation", {"expires_at": F("created_at")}),
            ("claimed_at_with_status", {"claimed_at": NOW}),
            ("claimed_at_with_status", {"status": "CLAIMED", "use_count": 3}),
            ("settled_at_with_status", {"settled_at": NOW}),
            ("settled_at_with_status", {"status": "SETTLED", "use_count": 3, "claimed_at": NOW}),
            ("settled_by_a_transaction", {**SETTLED, "transaction": None}),
            ("expired_at_with_status", {"expired_at": NOW}),
            ("expired_at_with_status", {"status": "EXPIRED"}),
            (
                "expired_at_with_status",
                {"status": "EXPIRED", "expired_at": NOW, "expires_at": None},
            ),
            ("cancelled_at_with_status", {"cancelled_at": NOW}),
            ("cancelled_at_with_status", {"status": "CANCELLED"}),
            ("wallet_in_its_organization", {"environment": "PRODUCTION"}),
        ],
        ids=str,
    )
    def test_refuse_an_invalid_link(self, link, name, change):
        with pytest.raises(IntegrityError, match=f"payment_link_{name}"), transaction.atomic():
            PaymentLink.objects.filter(pk=link["id"]).update(**change)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("amount_positive", {"amount": 0}),
            ("wallet_with_method", {"wallet": None}),
            ("wallet_with_method", {"method": "ACH"}),
            ("settled_with_payment", {"payment": None}),
            ("settled_with_payment", {"settled_at": None}),
            ("settled_with_payment", {"status": "CLAIMED"}),
            ("settled_with_payment", {"transaction": None}),
            ("consumes_its_use", {"consumes_use": False}),
            ("consumes_its_use", {"status": "EXPIRED", "ended_at": NOW, **UNPAID}),
            ("ended_at_with_status", {"ended_at": NOW}),
            ("ended_at_with_status", {"status": "FAILED", "consumes_use": False, **UNPAID}),
            ("open_has_a_deadline", {"status": "CLAIMED", "deadline_at": None, **UNPAID}),
        ],
        ids=str,
    )
    def test_refuse_an_invalid_claim(self, link, name, change):
        with (
            pytest.raises(IntegrityError, match=f"payment_link_claim_{name}"),
            transaction.atomic(),
        ):
            Claim.objects.update(**change)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("claimed_once_by_claimant", {"recipient_email": "other@example.com"}),
            ("claimed_once_by_email", {"claimant_fingerprint": "other"}),
        ],
    )
    def test_allow_one_use_per_claimant(self, link, name, change):
        Claim.objects.update(recipient_email="ada@example.com", is_by_email=True)
        second = Claim.objects.get()
        for field, value in {**UNPAID, "status": "CLAIMED", **change}.items():
            setattr(second, field, value)
        second.pk = Claim._meta.pk.generate()

        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            second.save(force_insert=True)

    def test_allow_one_pay_request_per_wallet(self, link):
        claim = Claim.objects.get()
        for field, value in UNPAID.items():
            setattr(claim, field, value)
        claim.status, claim.consumes_use, claim.claimant_fingerprint = (
            "PENDING_APPROVAL",
            False,
            "other",
        )
        claim.pk = Claim._meta.pk.generate()
        claim.save(force_insert=True)
        claim.pk = Claim._meta.pk.generate()

        with pytest.raises(IntegrityError, match="asks_a_wallet_once"), transaction.atomic():
            claim.save(force_insert=True)
        Claim.objects.filter(status="PENDING_APPROVAL").delete()

    def test_slug_and_hold_of_a_link_are_unique(self, link, make):
        other = PaymentLink.objects.filter(pk=make()["id"])
        for change in ({"slug": link["slug"]}, {"hold": stored(link).hold}):
            with pytest.raises(IntegrityError), transaction.atomic():
                other.update(**change)

    def test_status_changes_only_by_a_transition(self, link):
        for status in set(PaymentLink.Status) - {"ACTIVE"}:
            with pytest.raises(AssertionError):
                PaymentLink(status="SETTLED").advance(status, at=NOW)
        for end in ("FAILED", "REJECTED", "RETURNED"):
            for status in Claim.Status:
                with pytest.raises(AssertionError):
                    Claim(status=end).advance(status, at=NOW)
        with pytest.raises(AssertionError):
            PaymentLink(status="ACTIVE").advance(PaymentLink.Status.SETTLED, at=NOW)


class TestCheckBooks:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda link: link.update(currency="USDC"), "its wallet holds USD, not USDC"),
            (lambda link: link.update(use_count=2), "used 2 times, but claimed 1 times"),
            (lambda link: link.update(amount=11), "keeps 20.* and 2 uses are left"),
            (
                lambda link: link.update(status="CANCELLED", cancelled_at=NOW),
                "CANCELLED, keeps 20",
            ),
            (lambda link: Claim.objects.update(amount=9), "claims come to 9"),
            (lambda link: Claim.objects.update(amount=9), "does not agree with payment txn_"),
            (
                lambda link: link.update(direction="RECEIVE", hold=None),
                "keeps 20.* and 2 uses are left",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_finds_a_link_or_claim_that_disagrees_with_the_ledger(
        self, link, capsys, change, sentence
    ):
        with transaction.atomic():
            change(PaymentLink.objects.filter(pk=link["id"]))
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        output = capsys.readouterr()
        assert re.search(sentence, output.out + output.err)

    @pytest.mark.parametrize(
        ("end", "change", "sentence"),
        [
            (
                False,
                {"status": "FAILED", "consumes_use": False, "ended_at": NOW},
                "claimed 1 times",
            ),
            (False, {"status": "FAILED", "consumes_use": False, "ended_at": NOW}, "is PENDING"),
            (False, {"hold": None}, "0 claims under way|its link is of"),
            (True, {"status": "RETURNED", "ended_at": NOW}, "RETURNED, but its transfer"),
            (True, {"status": "CLAIMED", **UNPAID}, "CLAIMED, but its transfer"),
            (True, {"status": "CLAIMED", **UNPAID}, "hold paid 20"),
        ],
    )
    def test_finds_a_claim_that_disagrees_with_its_transfer(
        self, link, acme, capsys, end, change, sentence
    ):
        send_claim(link, ach_body())
        if end:
            rails.settle(acme)
        with transaction.atomic():
            Claim.objects.filter(method="ACH").update(**change)
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        output = capsys.readouterr()
        assert re.search(sentence, output.out + output.err)

    @pytest.mark.parametrize("model", [Approval, Claim])
    def test_finds_a_pay_request_without_a_pending_approval(self, make, shop, capsys, model):
        for _ in range(2):
            send_claim(make(direction="RECEIVE"), claim_body(shop))
        ended = {"status": "EXPIRED"} | {"expired_at" if model is Approval else "ended_at": NOW}
        with transaction.atomic():
            model.objects.filter(pk=model.objects.latest("pk").pk).update(**ended)
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        output = capsys.readouterr()
        counts = (2, 1) if model is Approval else (1, 2)
        sentence = "{} claims wait for its approval, and {} approvals are pending".format(*counts)
        assert sentence in output.out + output.err

    def test_finds_a_settled_claim_without_its_money(self, make, acme, capsys):
        coins = make_wallet(acme, "Coins", currency="USDC")
        link = make(walletId=coins.id, direction="RECEIVE")
        address = send_claim(link, usdc_body()).json()["deposit"]["address"]
        rails.sweep()
        pay_address(address, Decimal(10), "ethereum")
        rails.settle(acme, seconds=3700)
        partial = IncomingPayment.objects.get()
        paid = {"status": "SETTLED", "settled_at": NOW, "transaction_id": partial.transaction_id}
        with transaction.atomic():
            Claim.objects.update(consumes_use=True, ended_at=None, **paid)
            PaymentLink.objects.update(use_count=1, claimed_at=NOW, **paid)
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        output = capsys.readouterr()
        assert re.search("SETTLED, but its transfer xfr_?.* is FAILED", output.out + output.err)

    def test_finds_a_transfer_without_a_claim(self, link, capsys):
        send_claim(link, ach_body())
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM links_claimstep")
            cursor.execute("DELETE FROM links_claim WHERE method = 'ACH'")
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        output = capsys.readouterr()
        assert "for a payment link, but of no claim" in output.out + output.err

    def test_finds_a_payment_and_a_hold_without_a_claim(self, link, capsys):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE links_paymentlink SET use_count = 0")
            cursor.execute("UPDATE links_paymentlink SET direction = 'RECEIVE', hold_id = NULL")
            cursor.execute("DELETE FROM links_claimstep")
            cursor.execute("DELETE FROM links_claim")
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        output = capsys.readouterr()
        assert "out of a link, but without a claim" in output.out + output.err
        assert "for a link that does not know it" in output.out + output.err


def test_cancelling_ends_the_hold_at_the_sandbox_time(make, api, acme, payer):
    """A release in a sandbox whose clock is ahead is dated by that clock."""
    acme.sandbox_offset = timedelta(days=3)
    acme.save()
    link = make()
    api.patch(f"/v1/payment-links/{link['id']}")

    ended = stored(link).hold.ended_at
    assert ended > clock.real_now() + timedelta(days=2)
    assert stored(link).hold.created_at <= ended
