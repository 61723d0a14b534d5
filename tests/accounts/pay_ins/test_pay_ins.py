"""Paying into a wallet in USDC or from another wallet."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.pay_ins.services import pay_ins
from accounts.payments.models import Payment
from accounts.transfers.rails.simulator import pay_address
from accounts.wallets.errors import InsufficientFunds
from accounts.wallets.models import Wallet
from tests.accounts import rails
from tests.accounts.people import raises
from tests.world import actor_for, balance_of, events_of, everything, fund, make_wallet
from wallgent import clock, service_runner
from wallgent.errors import ValidationError

LATER = timedelta(minutes=10)


class TestExpectUsdc:
    @pytest.fixture
    def expect(self, pay_in, acme):
        def expect(wallet, *, chain="ethereum", **fields):
            asked = pay_in(wallet=Wallet.objects.get(pk=wallet.pk), **fields)
            expires_at = clock.now(asked.wallet) + LATER
            return pay_ins.expect_usdc(
                asked, chain=chain, expires_at=expires_at, actor=actor_for(acme)
            )

        return expect

    def test_creates_an_address_until_the_given_time(
        self, expect, acme, django_capture_on_commit_callbacks
    ):
        coins = make_wallet(acme, "Coins", currency="USDC")

        transfer = expect(coins)

        assert (transfer.purpose, transfer.reference) == (rails.PURPOSE, "inv_1")
        assert (transfer.amount, transfer.description) == (25, "Design work")
        assert transfer.deadline_at - transfer.created_at == pytest.approx(
            LATER, abs=timedelta(seconds=5)
        )
        rails.sweep()
        with django_capture_on_commit_callbacks(execute=True):
            pay_address(transfer.address, Decimal(25))
        rails.sweep()
        assert balance_of(coins) == 25

    def test_is_converted_only_if_the_payment_allows_it(self, expect, wallet):
        before = everything()

        with raises(ValidationError):
            expect(wallet)

        assert everything() == before
        assert expect(wallet, may_convert=True).currency == "USD"

    def test_on_another_chain_is_refused(self, expect, wallet):
        with raises(ValidationError):
            expect(wallet, chain="polygon", may_convert=True)


class TestMaySpend:
    @pytest.mark.parametrize(
        ("case", "expected"),
        [
            ("owner", True),
            ("covered", True),
            ("stranger", False),
            ("other environment", False),
            ("reader", False),
            ("not covered", False),
        ],
    )
    def test_needs_organization_environment_permission_and_scope(
        self, acme, globex, shop, case, expected
    ):
        actor = {
            "owner": actor_for(globex),
            "covered": actor_for(globex, wallet_scope=frozenset({shop.id})),
            "stranger": actor_for(acme),
            "other environment": actor_for(globex, "PRODUCTION"),
            "reader": actor_for(globex, permissions=frozenset({"payments:read"})),
            "not covered": actor_for(globex, wallet_scope=frozenset({"wal_other"})),
        }[case]

        assert pay_ins.may_spend(actor, shop) is expected


class TestPayFromWallet:
    @pytest.fixture
    def pay(self, pay_in, shop, globex, acme):
        def pay(**fields) -> Payment:
            sender = Wallet.objects.get(pk=shop.pk)
            return service_runner.run(
                lambda: pay_ins.pay_from_wallet(
                    pay_in(**fields),
                    sender,
                    kind=Payment.Kind.PAYMENT,
                    actor=actor_for(globex),
                ),
                actor=actor_for(acme),  # the request came to the organization to be paid
            )

        return pay

    def test_moves_the_money_at_once(self, pay, shop, wallet):
        fund(shop, "100")

        payment = pay()

        assert (payment.status, payment.kind) == ("POSTED", "PAYMENT")
        assert (payment.amount, payment.description) == (25, "Design work")
        assert (balance_of(shop), balance_of(wallet)) == (75 - payment.fee, 25)

    def test_a_failed_payment_is_recorded_for_the_payer(self, pay, acme, globex, wallet):
        with pytest.raises(InsufficientFunds):
            pay()

        assert Payment.objects.get().status == "FAILED"
        assert len(events_of(globex, "payment.failed")) == 1
        assert events_of(acme, "payment.failed") == []
        assert balance_of(wallet) == 0

    def test_from_a_wallet_of_another_currency_is_refused(self, pay, acme):
        coins = make_wallet(acme, "Coins", currency="USDC")

        with pytest.raises(ValidationError):
            pay(wallet=coins)

        assert not Payment.objects.exists()
