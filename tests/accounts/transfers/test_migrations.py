"""Migrations of databases that are in use: there and back, with what is in them."""

import pytest
from django.core.management import call_command

from accounts.ledger import checks as books
from accounts.transfers.models import Transfer
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts import rails
from tests.accounts.rails import stored
from tests.accounts.transfers.test_closed_wallets import AFTER, abandon

BEFORE = [("accounts", "0010"), ("ledger", "0003")]


def migrate(*target: str) -> None:
    call_command("migrate", *target, interactive=False, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_charges_of_closed_wallets_can_be_taken_away_and_put_back(acme, wallet):
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    abandoned = [abandon(wallet), abandon(coins, may_convert=True)]
    rails.settle(acme, seconds=AFTER)
    charged = [stored(transfer).charged_wallet for transfer in abandoned]
    assert None not in charged
    try:
        for target in BEFORE:
            migrate(*target)
    finally:
        migrate()

    assert [stored(transfer).charged_wallet for transfer in abandoned] == charged
    assert set(Transfer.objects.values_list("is_test", flat=True)) == {True}
    for one in Wallet.objects.select_related("account"):
        assert one.currency == one.account.currency
    assert books.differences() == []
