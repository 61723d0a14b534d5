"""A payment into Acme's wallet for a purpose that tests register."""

from decimal import Decimal

import pytest

from accounts.pay_ins.services.pay_ins import PayIn
from accounts.wallets.models import Wallet
from tests import approving
from tests.accounts import rails


@pytest.fixture
def pay_in(wallet):
    """Builds a payment of 25 into Acme's wallet."""
    assert approving.KIND == rails.PURPOSE

    def build(reference: str = "inv_1", **fields) -> PayIn:
        fields = {"wallet": Wallet.objects.get(pk=wallet.pk), "amount": Decimal(25)} | fields
        return PayIn(
            purpose=rails.PURPOSE, reference=reference, description="Design work", **fields
        )

    with rails.recorded_outcomes():
        yield build
