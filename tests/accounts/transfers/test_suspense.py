"""What came for a wallet that could not take it waits in suspense, and support pays it out."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from accounts.ledger import chart, statements
from accounts.ledger import checks as books
from accounts.transfers.models import Suspended
from accounts.transfers.rails.simulator import pay_address
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.ledger.test_checks import corrupted
from tests.accounts.rails import stored
from tests.accounts.test_admin import act, boss, listed, path, support  # noqa: F401
from tests.accounts.transfers.test_closed_wallets import pass_on
from tests.world import balance_of, facts_of
from wallgent import clock
from wallgent.events.descriptions import printed

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(acme):
    """A wallet that is still open."""
    return world.make_wallet(acme, "Other")


def close(wallet) -> None:
    wallet = Wallet.objects.get(pk=wallet.pk)
    wallets.close(wallet, actor=world.actor_for(wallet.organization))


def kept_of(wallet, *, fault: int = 0) -> Suspended:
    """What came by bank, 25 of it, after the wallet was closed."""
    transfer = rails.deposit(wallet, fault=fault)
    close(wallet)
    rails.settle(wallet.organization)
    return transfer.suspended.get()


def in_suspense(currency: str = "USD") -> Decimal:
    return statements.exact_balance(chart.system_id("SANDBOX", "SUSPENSE", currency))


def test_support_finds_it_and_pays_it_into_a_wallet(support, acme, wallet, other):  # noqa: F811
    kept = kept_of(wallet)
    assert (in_suspense(), books.differences()) == (25, [])
    for term in (kept.id, kept.transfer_id, kept.transaction_id, wallet.id, acme.id):
        assert listed(support, "accounts.suspended", term) == {kept.pk}, term
    assert kept.id in support.get(path("accounts.suspended", "changelist")).text
    assert support.get(path("accounts.suspended", "change", kept.pk)).status_code == 200

    for thing in (wallet, kept.transfer):
        page = support.get(path(thing._meta.label_lower, "change", thing.pk)).text
        assert f"{path('accounts.suspended', 'changelist')}?q={thing.pk}" in page

    [said] = act(support, kept, "pay_out", wallet_id=other.id)
    assert "done" in said
    kept.refresh_from_db()
    assert (kept.wallet_id, balance_of(other), in_suspense()) == (other.id, 25, 0)
    assert kept.ended_at is not None
    [funded] = facts_of(acme, "wallet.funded")
    assert (funded.data["source"], funded.actor_type) == (kept.transfer_id, "USER")
    assert funded.data["transactionId"] == kept.end_transaction_id

    [said] = act(support, kept, "pay_out", wallet_id=other.id)
    assert "does not wait any more" in said
    assert (balance_of(other), books.differences()) == (25, [])


def test_the_organization_is_told_whom_to_ask(acme, wallet):
    kept_of(wallet)
    page = world.browser(world.make_member(acme)).get(f"/{acme.id}/sandbox/", follow=True)
    told = f"25.00 USD kept aside, as {printed(wallet.name)} could not take it: write to support"
    assert told in page.text


def test_it_goes_to_nobody_else(support, acme, shop, live_wallet, wallet):  # noqa: F811
    kept = kept_of(wallet)
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    for target in (shop, live_wallet, wallet, coins):
        [said] = act(support, kept, "pay_out", wallet_id=target.id)
        assert "done" not in said, target
    assert (in_suspense(), balance_of(shop), balance_of(coins)) == (25, 0, 0)


def test_a_return_takes_it_from_where_it_waits(acme, wallet):
    kept = kept_of(wallet, fault=10)
    rails.settle(acme, seconds=15)

    kept.refresh_from_db()
    assert (stored(kept.transfer).status, in_suspense()) == ("RETURNED", 0)
    assert kept.end_transaction_id == stored(kept.transfer).return_transaction_id
    assert (kept.wallet, books.differences()) == (None, [])


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_return_takes_it_from_who_has_got_it(
    support,  # noqa: F811
    api,
    acme,
    wallet,
    other,
    is_closed,
):
    main = acme.wallets.get(environment="SANDBOX", is_default=True)
    kept = kept_of(wallet, fault=10)
    act(support, kept, "pay_out", wallet_id=other.id)
    if is_closed:
        safe = world.make_wallet(acme, "Safe")
        api.post("/v1/transfers/internal", {"from": other.id, "to": safe.id, "amount": "25"})
        close(other)
    rails.settle(acme, seconds=15)

    assert (stored(kept.transfer).status, in_suspense()) == ("RETURNED", 0)
    assert (balance_of(other), books.differences()) == (0, [])
    assert stored(kept.transfer).charged_wallet == (main if is_closed else other)
    assert Wallet.objects.get(pk=main.pk).account.debt == (25 if is_closed else 0)
    assert statements.exact_balance(chart.system_id("SANDBOX", "EXPENSES", "USD")) == 0


def test_a_return_takes_it_from_its_own_wallet_that_got_it_late(support, acme, wallet, other):  # noqa: F811
    """A full wallet has room again: support paid it what it could not take at first."""
    world.deposit(wallet, "999999999999")
    transfer = rails.deposit(wallet, fault=10)
    rails.settle(acme)
    pass_on(wallet)
    act(support, transfer.suspended.get(), "pay_out", wallet_id=wallet.id)
    rails.settle(acme, seconds=15)

    assert (stored(transfer).status, stored(transfer).charged_wallet) == ("RETURNED", None)
    assert (balance_of(wallet), in_suspense(), books.differences()) == (0, 0, [])
    page = world.browser(world.make_member(acme)).get(f"/{acme.id}/sandbox/wallets/{wallet.id}")
    assert transfer.id in page.text
    assert "could not give it back" not in page.text


def test_the_default_wallet_that_was_full_is_charged_as_its_own(support, acme, other):  # noqa: F811
    """Another wallet got the money in its place, and was closed."""
    main = acme.wallets.get(environment="SANDBOX", is_default=True)
    world.deposit(main, "999999999999")
    transfer = rails.deposit(main, fault=10)
    rails.settle(acme)
    act(support, transfer.suspended.get(), "pay_out", wallet_id=other.id)
    pass_on(other)
    close(other)
    rails.settle(acme, seconds=15)

    assert (stored(transfer).status, stored(transfer).charged_wallet) == ("RETURNED", None)
    assert (balance_of(main), books.differences()) == (999_999_999_974, [])


def test_a_return_to_a_closed_wallet_waits_too(support, acme, wallet, other):  # noqa: F811
    world.fund(wallet, "25")
    transfer = rails.withdraw(wallet, fault=10)
    rails.settle(acme)
    close(wallet)
    rails.settle(acme, seconds=15)

    kept = transfer.suspended.get()
    assert kept.transaction_id == stored(transfer).return_transaction_id
    act(support, kept, "pay_out", wallet_id=other.id)
    assert (balance_of(other), in_suspense(), books.differences()) == (25, 0, [])


def test_each_payment_that_comes_waits_by_itself(acme, wallet):
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    transfer = rails.expect(coins)
    rails.sweep()
    close(coins)
    for amount in ("10", "20"):
        pay_address(transfer.address, Decimal(amount))
    rails.settle(acme, seconds=60)

    assert [kept.amount for kept in transfer.suspended.order_by("pk")] == [10, 20]
    assert (in_suspense("USDC"), books.differences()) == (30, [])


def test_what_is_exchanged_on_its_way_waits_in_the_wallet_s_currency(acme, wallet):
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    awaited = rails.expect(wallet, may_convert=True)
    debit = rails.deposit(coins, fault=10, may_convert=True)
    rails.sweep()
    for closed in (wallet, coins):
        close(closed)
    pay_address(awaited.address, Decimal(25))
    rails.settle(acme)
    assert (in_suspense("USD"), in_suspense("USDC")) == (25, 25)

    rails.settle(acme, seconds=60)
    assert stored(debit).status == "RETURNED"
    assert (in_suspense("USD"), in_suspense("USDC"), books.differences()) == (25, 0, [])


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        (
            "UPDATE accounts_suspended SET amount = 24 WHERE id = %(kept)s",
            "transfer {transfer}: the ledger does not know of its 24.00000000 in suspense",
        ),
        (
            "DELETE FROM accounts_suspended WHERE id = %(kept)s",
            "suspense in USD of SANDBOX: keeps 25.00000000, and 0 waits there for wallets",
        ),
    ],
)
def test_check_books_finds_what_nobody_waits_for(wallet, sql, sentence):
    kept = kept_of(wallet)
    things = {"kept": kept.id, "transfer": kept.transfer_id}
    with corrupted(sql, things):
        assert sentence.format(**things) in books.differences()


def test_check_books_finds_what_a_stranger_got(support, acme, wallet, other, shop):  # noqa: F811
    kept = kept_of(wallet)
    act(support, kept, "pay_out", wallet_id=other.id)
    with corrupted(
        "UPDATE accounts_suspended SET wallet_id = %(shop)s WHERE id = %(kept)s",
        {"kept": kept.id, "shop": shop.id},
    ):
        assert (
            f"transfer {kept.transfer_id}: kept in suspense, and paid into wallet {shop.id} of"
            " somebody else"
        ) in books.differences()


@pytest.mark.parametrize("change", [{"amount": 0}, {"ended_at": clock.real_now()}])
def test_the_database_refuses_half_of_it(wallet, change):
    kept = kept_of(wallet)
    with pytest.raises(IntegrityError, match="suspended_"), transaction.atomic():
        Suspended.objects.filter(pk=kept.pk).update(**change)


def test_what_had_gone_there_before_is_found_by_the_migration(acme, wallet):
    kept_of(wallet)
    back = kept_of(world.make_wallet(acme, "Another"), fault=10)
    rails.settle(acme, seconds=15)
    was = list(Suspended.objects.order_by("transfer").values_list(*_COLUMNS))
    assert back.transaction_id in str(was)

    Suspended.objects.all().delete()
    migration = MigrationLoader(None).get_migration("accounts", "0010_suspended_money")
    with connection.cursor() as cursor:
        cursor.execute(migration.operations[-1].sql)
    assert list(Suspended.objects.order_by("transfer").values_list(*_COLUMNS)) == was


_COLUMNS = ("transfer", "amount", "currency", "transaction", "end_transaction")
