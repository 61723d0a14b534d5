"""Money that its wallet cannot take goes into suspense, and support pays it out."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts.ledger import chart, statements
from accounts.ledger import checks as ledger_checks
from accounts.transfers.models import Suspended
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.ledger.test_checks import corrupted
from tests.accounts.rails import stored
from tests.accounts.test_admin import act, listed, path, superuser, support  # noqa: F401
from tests.accounts.transfers.test_closed_wallets import empty
from tests.world import balance_of, events_of
from wallgent import clock
from wallgent.events.descriptions import isolate

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(acme):
    """Another wallet, which stays open."""
    return world.make_wallet(acme, "Other")


def close(wallet) -> None:
    wallet = Wallet.objects.get(pk=wallet.pk)
    wallets.close(wallet, actor=world.actor_for(wallet.organization))


def suspend_deposit(wallet, *, fault: int = 0) -> Suspended:
    """Deposit 25 into a wallet that is closed before the deposit completes."""
    transfer = rails.deposit(wallet, fault=fault)
    close(wallet)
    rails.settle(wallet.organization)
    return transfer.suspended.get()


def suspense_balance(currency: str = "USD") -> Decimal:
    return statements.exact_balance(chart.system_id("SANDBOX", "SUSPENSE", currency))


def test_support_finds_suspended_money_and_pays_it_into_a_wallet(support, acme, wallet, other):  # noqa: F811
    suspended = suspend_deposit(wallet)
    assert (suspense_balance(), ledger_checks.differences()) == (25, [])
    for term in (suspended.id, suspended.transfer_id, suspended.transaction_id, wallet.id, acme.id):
        assert listed(support, "accounts.suspended", term) == {suspended.pk}, term
    assert suspended.id in support.get(path("accounts.suspended", "changelist")).text
    assert support.get(path("accounts.suspended", "change", suspended.pk)).status_code == 200

    for obj in (wallet, suspended.transfer):
        page = support.get(path(obj._meta.label_lower, "change", obj.pk)).text
        assert f"{path('accounts.suspended', 'changelist')}?q={obj.pk}" in page

    [message] = act(support, suspended, "pay_out", wallet_id=other.id)
    assert "done" in message
    suspended.refresh_from_db()
    assert (suspended.wallet_id, balance_of(other), suspense_balance()) == (other.id, 25, 0)
    assert suspended.ended_at is not None
    [funded] = events_of(acme, "wallet.funded")
    assert (funded.data["source"], funded.actor_type) == (suspended.transfer_id, "USER")
    assert funded.data["transactionId"] == suspended.end_transaction_id

    [message] = act(support, suspended, "pay_out", wallet_id=other.id)
    assert "does not wait any more" in message
    assert (balance_of(other), ledger_checks.differences()) == (25, [])


def test_activity_tells_the_organization_to_contact_support(acme, wallet):
    suspend_deposit(wallet)
    page = world.browser(world.make_member(acme)).get(f"/{acme.id}/sandbox/", follow=True)
    name = isolate(wallet.name)
    assert f"$25.00 kept aside, as {name} could not take it: write to support" in page.text


def test_payout_to_a_wrong_wallet_is_refused(support, acme, shop, live_wallet, wallet):  # noqa: F811
    """Of another organization, environment or currency, or closed."""
    suspended = suspend_deposit(wallet)
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    for target in (shop, live_wallet, wallet, coins):
        [message] = act(support, suspended, "pay_out", wallet_id=target.id)
        assert "done" not in message, target
    assert (suspense_balance(), balance_of(shop), balance_of(coins)) == (25, 0, 0)


def test_return_takes_the_money_out_of_suspense(acme, wallet):
    suspended = suspend_deposit(wallet, fault=10)
    rails.settle(acme, seconds=15)

    suspended.refresh_from_db()
    assert (stored(suspended.transfer).status, suspense_balance()) == ("RETURNED", 0)
    assert suspended.end_transaction_id == stored(suspended.transfer).return_transaction_id
    assert (suspended.wallet, ledger_checks.differences()) == (None, [])


@pytest.mark.parametrize("is_closed", [False, True])
def test_return_charges_the_wallet_it_was_paid_into(
    support,  # noqa: F811
    api,
    acme,
    wallet,
    other,
    is_closed,
):
    main = acme.wallets.get(environment="SANDBOX", is_default=True)
    suspended = suspend_deposit(wallet, fault=10)
    act(support, suspended, "pay_out", wallet_id=other.id)
    if is_closed:
        safe = world.make_wallet(acme, "Safe")
        api.post("/v1/transfers/internal", {"from": other.id, "to": safe.id, "amount": "25"})
        close(other)
    rails.settle(acme, seconds=15)

    assert (stored(suspended.transfer).status, suspense_balance()) == ("RETURNED", 0)
    assert (balance_of(other), ledger_checks.differences()) == (0, [])
    assert stored(suspended.transfer).charged_wallet == (main if is_closed else other)
    assert Wallet.objects.get(pk=main.pk).account.debt == (25 if is_closed else 0)
    assert statements.exact_balance(chart.system_id("SANDBOX", "EXPENSES", "USD")) == 0


def test_return_charges_the_own_wallet_that_was_paid_later(support, acme, wallet, other):  # noqa: F811
    """The wallet was full, and support paid it once it had room again."""
    world.deposit(wallet, "999999999999")
    transfer = rails.deposit(wallet, fault=10)
    rails.settle(acme)
    empty(wallet)
    act(support, transfer.suspended.get(), "pay_out", wallet_id=wallet.id)
    rails.settle(acme, seconds=15)

    assert (stored(transfer).status, stored(transfer).charged_wallet) == ("RETURNED", None)
    assert (balance_of(wallet), suspense_balance(), ledger_checks.differences()) == (0, 0, [])
    page = world.browser(world.make_member(acme)).get(f"/{acme.id}/sandbox/wallets/{wallet.id}")
    assert transfer.id in page.text
    assert "could not give it back" not in page.text


def test_full_default_wallet_is_charged_for_its_own_deposit(support, acme, other):  # noqa: F811
    """The money was paid into another wallet, which was closed since."""
    main = acme.wallets.get(environment="SANDBOX", is_default=True)
    world.deposit(main, "999999999999")
    transfer = rails.deposit(main, fault=10)
    rails.settle(acme)
    act(support, transfer.suspended.get(), "pay_out", wallet_id=other.id)
    empty(other)
    close(other)
    rails.settle(acme, seconds=15)

    assert (stored(transfer).status, stored(transfer).charged_wallet) == ("RETURNED", None)
    assert (balance_of(main), ledger_checks.differences()) == (999_999_999_974, [])


def test_returned_withdrawal_to_a_closed_wallet_goes_into_suspense(support, acme, wallet, other):  # noqa: F811
    world.fund(wallet, "25")
    transfer = rails.withdraw(wallet, fault=10)
    rails.settle(acme)
    close(wallet)
    rails.settle(acme, seconds=15)

    suspended = transfer.suspended.get()
    assert suspended.transaction_id == stored(transfer).return_transaction_id
    act(support, suspended, "pay_out", wallet_id=other.id)
    assert (balance_of(other), suspense_balance(), ledger_checks.differences()) == (25, 0, [])


def test_each_incoming_payment_is_suspended_separately(acme, wallet):
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    transfer = rails.expect(coins)
    rails.sweep()
    close(coins)
    for amount in ("10", "20"):
        rails.pay(transfer, amount)
    rails.settle(acme, seconds=60)

    assert [suspended.amount for suspended in transfer.suspended.order_by("pk")] == [10, 20]
    assert (suspense_balance("USDC"), ledger_checks.differences()) == (30, [])


def test_converted_money_is_suspended_in_the_wallet_currency(acme, wallet):
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    expected = rails.expect(wallet, may_convert=True)
    deposit = rails.deposit(coins, fault=10, may_convert=True)
    rails.sweep()
    for closed in (wallet, coins):
        close(closed)
    rails.pay(expected, "25")
    rails.settle(acme)
    assert (suspense_balance("USD"), suspense_balance("USDC")) == (25, 25)

    rails.settle(acme, seconds=60)
    assert stored(deposit).status == "RETURNED"
    assert (suspense_balance("USD"), suspense_balance("USDC"), ledger_checks.differences()) == (
        25,
        0,
        [],
    )


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        (
            "UPDATE accounts_suspended SET amount = 24 WHERE id = %(suspended)s",
            "transfer {transfer}: the ledger does not know of its 24.00000000 in suspense",
        ),
        (
            "DELETE FROM accounts_suspended WHERE id = %(suspended)s",
            "suspense in USD of SANDBOX: keeps 25.00000000, and 0 waits there for wallets",
        ),
    ],
)
def test_check_books_finds_suspense_without_its_record(wallet, sql, sentence):
    suspended = suspend_deposit(wallet)
    ids_by_name = {"suspended": suspended.id, "transfer": suspended.transfer_id}
    with corrupted(sql, ids_by_name):
        assert sentence.format(**ids_by_name) in ledger_checks.differences()


def test_check_books_finds_a_payout_to_another_organization(support, acme, wallet, other, shop):  # noqa: F811
    suspended = suspend_deposit(wallet)
    act(support, suspended, "pay_out", wallet_id=other.id)
    with corrupted(
        "UPDATE accounts_suspended SET wallet_id = %(shop)s WHERE id = %(suspended)s",
        {"suspended": suspended.id, "shop": shop.id},
    ):
        assert (
            f"transfer {suspended.transfer_id}: kept in suspense, and paid into wallet {shop.id},"
            " which is not its own"
        ) in ledger_checks.differences()


@pytest.mark.parametrize("change", [{"amount": 0}, {"ended_at": clock.real_now()}])
def test_database_refuses_inconsistent_suspended_rows(wallet, change):
    suspended = suspend_deposit(wallet)
    with pytest.raises(IntegrityError, match="suspended_"), transaction.atomic():
        Suspended.objects.filter(pk=suspended.pk).update(**change)
