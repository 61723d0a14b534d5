"""Simulated USDC payments, in the sandbox only."""

from pydantic import Field

from accounts.transfers.services import orders
from wallgent.api.operations import operation
from wallgent.api.schemas import Amount, AmountText, Schema, one_of
from wallgent.api.views import ApiView
from wallgent.errors import InvalidAmount, SandboxOnly
from wallgent.money import Currency


class UsdcPaymentInput(Schema):
    address: str = Field(max_length=64)
    amount: Amount
    # ASCII only: other characters can be longer in lowercase than the column allows.
    chain: str = Field("ethereum", max_length=20, pattern="^[0-9A-Za-z._ -]+$")


class UsdcPaymentOutput(Schema):
    id: str
    address: str
    chain: str
    amount: AmountText
    currency: one_of(Currency) = Currency.USDC
    is_expected: bool  # whether a transfer expects a payment at that address


class UsdcPaymentsView(ApiView):
    path = "sandbox/usdc-payments"

    @operation(
        "payments:write",
        body=UsdcPaymentInput,
        answers={201: UsdcPaymentOutput},
        errors=(SandboxOnly, InvalidAmount),
        example={"address": "0x52908400098527886E0F7030069857D2E4169EE7", "amount": "5"},
    )
    def post(self, request, data):
        """Simulate a USDC payment."""
        payment, is_expected = orders.simulate_payment(
            data.address, actor=request.actor, amount=data.amount, chain=data.chain
        )
        return UsdcPaymentOutput.of(payment, is_expected=is_expected)
