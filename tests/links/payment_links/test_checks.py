"""The database refuses links in wrong states; what it cannot refuse, check_books finds."""

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
    """A link of three uses, of which one is taken."""
    link = make(amount="10", maxUses=3, expiresAt=soon())
    assert claim(link, make_wallet(acme, "Taker")).status_code == 200
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
    def test_of_a_link(self, link, name, change):
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
            ("takes_its_use", {"takes_use": False}),
            ("takes_its_use", {"status": "EXPIRED", "ended_at": NOW, **UNPAID}),
            ("ended_at_with_status", {"ended_at": NOW}),
            ("ended_at_with_status", {"status": "FAILED", "takes_use": False, **UNPAID}),
            ("open_has_a_deadline", {"status": "CLAIMED", "deadline_at": None, **UNPAID}),
        ],
        ids=str,
    )
    def test_of_a_claim(self, link, name, change):
        with (
            pytest.raises(IntegrityError, match=f"payment_link_claim_{name}"),
            transaction.atomic(),
        ):
            Claim.objects.update(**change)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("claimed_once_by_person", {"recipient_email": "other@example.com"}),
            ("claimed_once_by_email", {"person": "other"}),
        ],
    )
    def test_one_use_for_each_person(self, link, name, change):
        Claim.objects.update(recipient_email="ada@example.com", is_by_email=True)
        again = Claim.objects.get()
        for field, value in {**UNPAID, "status": "CLAIMED", **change}.items():
            setattr(again, field, value)
        again.pk = Claim._meta.pk.generate()

        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            again.save(force_insert=True)

    def test_one_pay_request_for_each_wallet(self, link):
        asked = Claim.objects.get()
        for field, value in UNPAID.items():
            setattr(asked, field, value)
        asked.status, asked.takes_use, asked.person = "PENDING_APPROVAL", False, "other"
        asked.pk = Claim._meta.pk.generate()
        asked.save(force_insert=True)
        asked.pk = Claim._meta.pk.generate()

        with pytest.raises(IntegrityError, match="asks_a_wallet_once"), transaction.atomic():
            asked.save(force_insert=True)
        Claim.objects.filter(status="PENDING_APPROVAL").delete()

    def test_no_two_links_share_a_slug_or_a_hold(self, link, make):
        other = PaymentLink.objects.filter(pk=make()["id"])
        for change in ({"slug": link["slug"]}, {"hold": stored(link).hold}):
            with pytest.raises(IntegrityError), transaction.atomic():
                other.update(**change)

    def test_a_status_changes_along_its_arrows_only(self, link):
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
    def test_finds_what_was_changed_behind_its_back(self, link, capsys, change, sentence):
        with transaction.atomic():
            change(PaymentLink.objects.filter(pk=link["id"]))
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        told = capsys.readouterr()
        assert re.search(sentence, told.out + told.err)

    @pytest.mark.parametrize(
        ("end", "change", "sentence"),
        [
            (False, {"status": "FAILED", "takes_use": False, "ended_at": NOW}, "claimed 1 times"),
            (False, {"status": "FAILED", "takes_use": False, "ended_at": NOW}, "is PENDING"),
            (False, {"hold": None}, "0 claims under way|its link is of"),
            (True, {"status": "RETURNED", "ended_at": NOW}, "RETURNED, but its transfer"),
            (True, {"status": "CLAIMED", **UNPAID}, "CLAIMED, but its transfer"),
            (True, {"status": "CLAIMED", **UNPAID}, "hold paid 20"),
        ],
    )
    def test_finds_claims_that_their_transfer_does_not_know(
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

        told = capsys.readouterr()
        assert re.search(sentence, told.out + told.err)

    @pytest.mark.parametrize("whose", [Approval, Claim])
    def test_finds_a_request_that_nobody_decides_about(self, make, shop, capsys, whose):
        for _ in range(2):
            send_claim(make(direction="RECEIVE"), claim_body(shop))
        ended = {"status": "EXPIRED"} | {
            "expired_at" if whose is Approval else "ended_at": NOW  # how each of them says when
        }
        with transaction.atomic():
            whose.objects.filter(pk=whose.objects.latest("pk").pk).update(**ended)
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        told = capsys.readouterr()
        asked = (2, 1) if whose is Approval else (1, 2)
        sentence = "{} claims wait for its approval, and {} approvals are pending".format(*asked)
        assert sentence in told.out + told.err

    def test_finds_a_claim_that_counts_as_paid_and_is_not(self, make, acme, capsys):
        coins = make_wallet(acme, "Coins", currency="USDC")
        link = make(walletId=coins.id, direction="RECEIVE")
        address = send_claim(link, usdc_body()).json()["deposit"]["address"]
        rails.sweep()
        pay_address(address, Decimal(10), "ethereum")
        rails.settle(acme, seconds=3700)
        part = IncomingPayment.objects.get()
        paid = {"status": "SETTLED", "settled_at": NOW, "transaction_id": part.transaction_id}
        with transaction.atomic():
            Claim.objects.update(takes_use=True, ended_at=None, **paid)
            PaymentLink.objects.update(use_count=1, claimed_at=NOW, **paid)
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        told = capsys.readouterr()
        assert re.search("SETTLED, but its transfer xfr_?.* is FAILED", told.out + told.err)

    def test_finds_a_transfer_of_no_claim(self, link, capsys):
        send_claim(link, ach_body())
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM links_claimstep")
            cursor.execute("DELETE FROM links_claim WHERE method = 'ACH'")
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        told = capsys.readouterr()
        assert "for a payment link, but of no claim" in told.out + told.err

    def test_finds_a_payment_out_of_nowhere(self, link, capsys):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE links_paymentlink SET use_count = 0")
            cursor.execute("UPDATE links_paymentlink SET direction = 'RECEIVE', hold_id = NULL")
            cursor.execute("DELETE FROM links_claimstep")
            cursor.execute("DELETE FROM links_claim")
            with pytest.raises(CommandError):
                call_command("check_books")
            transaction.set_rollback(True)

        told = capsys.readouterr()
        assert "out of a link, but without a claim" in told.out + told.err
        assert "for a link that does not know it" in told.out + told.err


def test_time_ahead_leaves_no_hold_open(make, api, acme, payer):
    """What a sandbox ahead of time releases is dated by its own clock."""
    acme.sandbox_offset = timedelta(days=3)
    acme.save()
    link = make()
    api.patch(f"/v1/payment-links/{link['id']}")

    ended = stored(link).hold.ended_at
    assert ended > clock.real_now() + timedelta(days=2)
    assert stored(link).hold.created_at <= ended
