"""Mandates: their text, the record of their acceptance, and the proof that each has a debit."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import translation

from accounts.ledger import checks as ledger_checks
from accounts.organizations.models import User
from accounts.pay_ins.models import Mandate
from accounts.pay_ins.services import mandates, pay_ins
from accounts.transfers.models import Transfer
from tests.accounts import rails
from tests.accounts.ledger.test_checks import corrupted
from tests.accounts.people import raises
from tests.accounts.test_admin import listed, path, signed_in
from tests.world import actor_for, balance_of, everything, make_organization
from wallgent import clock
from wallgent.errors import ValidationError

IP = "192.0.2.7"


def accept(organization, amount: str = "25", **fields) -> mandates.Acceptance:
    version = mandates.terms(organization, amount=Decimal(amount)).version
    return mandates.Acceptance(**{"version": version, "ip": IP, "user_agent": "A browser"} | fields)


def accept_nothing(**fields) -> mandates.Acceptance:
    return mandates.Acceptance(version="", ip=IP, **fields)


@pytest.fixture
def debit(pay_in, acme):
    """Debits a bank account for a payment into Acme's wallet."""

    def debit(acceptance, reference: str = "inv_1", **fields) -> Transfer:
        asked = pay_in(reference, **fields)
        actor = actor_for(acme, asked.wallet.environment)
        with transaction.atomic():
            return pay_ins.debit_bank(asked, rails.bank(), acceptance=acceptance, actor=actor)

    return debit


class TestTerms:
    def test_name_the_organization_and_the_amount(self, acme):
        wording = mandates.terms(acme, amount=Decimal("1250.5")).wording

        assert "I authorize Acme to debit" in wording
        assert "$1,250.50" in wording

    def test_a_version_is_of_one_exact_wording(self, acme):
        version = mandates.terms(acme, amount=Decimal(25)).version
        assert version == mandates.terms(acme, amount=Decimal("25.00")).version
        assert len(version) == 16

        others = {mandates.terms(acme, amount=Decimal(26)).version}
        with translation.override("es"):
            others.add(mandates.terms(acme, amount=Decimal(25)).version)
        acme.name = "Acme Robotics"
        others.add(mandates.terms(acme, amount=Decimal(25)).version)

        assert len(others - {version}) == 3

    def test_a_name_stays_in_one_line(self, acme):
        acme.name = "Acme\n\nPay \u202eeverything"

        assert "Acme Pay everything to debit" in mandates.terms(acme, amount=Decimal(1)).wording


class TestDebitBank:
    def test_orders_the_debit_and_records_the_mandate(self, debit, acme, wallet):
        transfer = debit(accept(acme))

        assert (transfer.rail_type, transfer.direction) == ("ACH", "DEPOSIT")
        mandate = Mandate.objects.get()
        assert (mandate.organization, mandate.environment) == (acme, "SANDBOX")
        assert (mandate.purpose, mandate.reference) == (transfer.purpose, transfer.reference)
        assert (mandate.amount, mandate.is_test) == (25, False)
        assert mandate.wording == mandates.terms(acme, amount=Decimal(25)).wording
        assert (mandate.ip, mandate.user_agent) == (IP, "A browser")
        assert abs(mandate.accepted_at - clock.real_now()) < timedelta(seconds=30)
        rails.settle(acme)
        assert balance_of(wallet) == 25

    def test_records_the_wording_as_it_was_read(self, debit, acme):
        with translation.override("es"):
            read = mandates.terms(acme, amount=Decimal(25))

        debit(accept(acme, version=read.version, wording=read.wording))

        assert Mandate.objects.get().wording == read.wording

    def test_records_a_long_user_agent_cut_and_an_unknown_address_as_none(self, debit, acme):
        debit(accept(acme, ip="", user_agent="x" * 501))

        mandate = Mandate.objects.get()
        assert (mandate.ip, mandate.user_agent) == (None, "x" * 500)

    @pytest.mark.parametrize("case", ["none", "stale", "another amount", "another wording"])
    def test_without_agreement_to_the_current_terms_is_refused(self, debit, acme, case):
        acceptance = {
            "none": None,
            "stale": accept(acme, version="2020-01"),
            "another amount": accept(acme, "1"),
            "another wording": accept(acme, wording="Whatever you like"),
        }[case]
        before = everything()

        with raises(ValidationError) as refusal:
            debit(acceptance)

        terms = mandates.terms(acme, amount=Decimal(25))
        assert refusal.value.details["mandate"] == {
            "version": terms.version,
            "wording": terms.wording,
        }
        assert everything() == before

    def test_a_test_authorization_is_enough_in_the_sandbox(self, debit):
        debit(accept_nothing())

        mandate = Mandate.objects.get()
        assert (mandate.is_test, mandate.version, mandate.wording) == (True, "", "")

    def test_a_test_authorization_is_refused_in_production(self, debit, live_wallet):
        assert mandates.is_required("PRODUCTION")
        assert not mandates.is_required("SANDBOX")
        before = everything()

        with raises(ValidationError):
            debit(accept_nothing(), wallet=live_wallet)

        assert everything() == before

    def test_a_reference_has_one_mandate(self, debit, acme):
        debit(accept(acme))
        debit(accept(acme), "inv_2")

        with pytest.raises(IntegrityError, match="mandate_once_for_a_reference"):
            debit(accept(acme))

        assert Mandate.objects.count() == Transfer.objects.count() == 2

    def test_a_mandate_can_be_erased_without_its_debit(self, debit, acme, wallet):
        transfer = debit(accept(acme))

        Mandate.objects.all().delete()
        rails.settle(acme)

        assert rails.stored(transfer).status == "COMPLETED"
        assert balance_of(wallet) == 25
        assert ledger_checks.differences() == []


class TestConstraints:
    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("amount_positive", {"amount": 0}),
            ("has_wording_unless_a_test", {"version": ""}),
            ("has_wording_unless_a_test", {"wording": ""}),
            ("has_wording_unless_a_test", {"is_test": True}),
            (
                "tests_in_the_sandbox",
                {"environment": "PRODUCTION", "is_test": True, "version": "", "wording": ""},
            ),
        ],
        ids=str,
    )
    def test_of_a_mandate(self, debit, acme, name, change):
        debit(accept(acme))

        with pytest.raises(IntegrityError, match=f"mandate_{name}"), transaction.atomic():
            Mandate.objects.update(**change)


class TestChecks:
    @pytest.mark.parametrize(
        "change",
        [
            "amount = 26",
            "environment = 'PRODUCTION'",
            "reference = 'inv_2'",
            "purpose = 'other'",
            "organization_id = %(other)s",
        ],
    )
    def test_find_a_mandate_without_its_debit(self, debit, acme, change):
        debit(accept(acme))
        names = {"mandate": Mandate.objects.get().id, "other": make_organization("Other").id}

        with corrupted(
            f"UPDATE accounts_mandate SET {change} WHERE id = %(mandate)s",
            names,
        ):
            [difference] = ledger_checks.differences()

        assert difference.startswith(f"mandate {names['mandate']}: there is no bank debit of ")

    @pytest.mark.parametrize(
        "change",
        ["amount = 26", "reference = 'inv_2'", "purpose = 'other'"],
    )
    def test_find_a_debit_that_its_mandate_does_not_authorize(self, debit, acme, change):
        names = {"transfer": debit(accept(acme)).id}
        mandate = Mandate.objects.get()

        with corrupted(
            f"UPDATE accounts_transfer SET {change} WHERE id = %(transfer)s",
            names,
        ):
            differences = ledger_checks.differences()

        expected = f"mandate {mandate.id}: there is no bank debit of 25.00000000 for inv_1"
        assert expected in differences


class TestAdmin:
    def test_a_mandate_is_found_by_its_id_its_reference_and_its_organization(self, debit, acme):
        debit(accept(acme))
        debit(accept(acme), "inv_2")
        mandate = Mandate.objects.get(reference="inv_1")
        support = signed_in(User.objects.create_superuser("boss@wallgent.example"))

        for term in (mandate.id, "inv_1"):
            assert listed(support, "accounts.mandate", term) == {mandate.id}
        assert len(listed(support, "accounts.mandate", acme.id)) == 2
        page = support.get(path("accounts.mandate", "change", mandate.id)).text
        assert mandate.wording in page
        assert "?q=inv_1" in page
