import uuid

import pytest

from accounts.ledger import chart
from accounts.ledger.journal import Refused
from accounts.ledger.models import LedgerAccount
from tests.accounts.ledger.book import (
    ACTIVE,
    CLOSED,
    FROZEN,
    PRODUCTION,
    SANDBOX,
    find,
    force,
    hold,
    open_account,
    refused,
    refused_by,
    transfer,
)
from tests.world import in_parallel

pytestmark = pytest.mark.django_db


class TestSystemAccounts:
    def test_every_book_and_currency_has_its_own_accounts(self):
        system_accounts = LedgerAccount.objects.filter(is_system=True)

        for book in (SANDBOX, PRODUCTION):
            for currency in ("USD", "USDC"):
                found = system_accounts.filter(book=book, currency=currency, rail="")
                assert dict(found.values_list("kind", "type")) == {
                    "TREASURY": "ASSET",
                    "FEES": "REVENUE",
                    "EXPENSES": "EXPENSE",
                    "SUSPENSE": "LIABILITY",
                    "EXCHANGE": "ASSET",
                }

    def test_ids_are_derived(self):
        for account in LedgerAccount.objects.filter(is_system=True):
            parts = account.book, account.kind, account.currency, account.rail
            assert chart.system_id(*parts) == account.id

        assert find(chart.fees(PRODUCTION, "USDC")).kind == "FEES"
        assert find(chart.treasury(SANDBOX, "USD")).kind == "TREASURY"

    def test_opening_them_again_changes_nothing(self):
        before = list(LedgerAccount.objects.order_by("pk").values())

        chart.open_system_accounts()

        assert list(LedgerAccount.objects.order_by("pk").values()) == before

    def test_rail_has_its_own_treasury_and_in_transit_accounts(self):
        for _ in range(2):
            chart.open_system_accounts("ach")

        opened = LedgerAccount.objects.filter(rail="ach", book=SANDBOX, currency="USD")
        assert {account.kind for account in opened} == {"TREASURY", "IN_TRANSIT"}
        assert chart.treasury(SANDBOX, "USD", "ach") in {account.id for account in opened}

    def test_second_account_of_a_kind_is_refused(self):
        one = LedgerAccount.objects.get(pk=chart.fees(SANDBOX, "USD"))
        one.id = None

        with refused_by("ledger_system_account_unique"):
            one.save(force_insert=True)


class TestWalletAccounts:
    def test_new_account_is_an_empty_liability(self):
        owner = uuid.uuid4()

        account = chart.open_wallet_account(book=SANDBOX, currency="USDC", owner=owner)

        account = find(account.id)
        assert (account.book, account.currency, account.owner) == (SANDBOX, "USDC", owner)
        assert (account.type, account.kind, account.is_system) == ("LIABILITY", "WALLET", False)
        assert (account.state, account.balance, account.lines) == (ACTIVE, 0, 0)

    def test_frozen_account_pays_again_after_unfreezing(self):
        ada, bob = open_account("10"), open_account()

        chart.set_state(ada, FROZEN)
        refused("FROZEN", transfer, ada, bob, "1")
        chart.set_state(ada, ACTIVE)

        transfer(ada, bob, "1")

    def test_only_an_empty_account_can_be_closed(self):
        rich, owing, holding = open_account("0.00000001"), open_account(), open_account("10")
        force(owing, "1")
        hold(holding, "10")
        force(holding, "10")

        for account in (rich, owing, holding):
            with refused_by("ledger_closed_account_is_empty"):
                chart.set_state(account, CLOSED)

        chart.set_state(open_account(), CLOSED)

    @pytest.mark.django_db(transaction=True)
    def test_freezing_waits_for_a_started_payment(self):
        ada, bob = open_account("100"), open_account()

        def act(number):
            if number == 0:
                return chart.set_state(ada, FROZEN).lines
            paid = 0
            try:
                while True:
                    transfer(ada, bob, "0.01")
                    paid += 1
            except Refused:
                return paid

        lines, *paid = in_parallel(4, act)

        assert find(ada).lines == lines == 1 + sum(paid)
