"""Simulated USDC payments, in the sandbox only."""

from pydantic import Field

from accounts.transfers.services import orders
from wallgent.api.commands import command
from wallgent.api.schemas import Amount, AmountText, Schema
from wallgent.api.views import ApiView, answer
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
    currency: str
    is_expected: bool  # whether a transfer expects a payment at that address


class UsdcPaymentsView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(UsdcPaymentInput)
    def post(self, request, data):
        request.run.start()
        payment, is_expected = orders.simulate_payment(
            data.address, actor=request.actor, amount=data.amount, chain=data.chain
        )
        output = UsdcPaymentOutput.model_construct(
            id=payment.id,
            address=payment.address,
            chain=payment.chain,
            amount=payment.amount,
            currency=Currency.USDC,
            is_expected=is_expected,
        )
        return answer(output, status=201)
