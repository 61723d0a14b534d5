"""Transfers (contract 3.8): those between an organization's own wallets."""

from accounts.models import Payment
from accounts.services import transfers
from accounts.services.payments import Order
from wallgent.api.commands import command
from wallgent.api.shapes import (
    Amount,
    AmountText,
    Description,
    ObjectId,
    Shape,
    TimeText,
    spelled,
)
from wallgent.api.views import ApiView, answer
from wallgent.money import Currency


class InternalTransferInput(Shape):
    from_wallet_id: ObjectId = spelled("fromWalletId", "from")
    to_wallet_id: ObjectId = spelled("toWalletId", "to")
    amount: Amount
    currency: Currency | None = None
    description: Description | None = None


class InternalTransferOutput(Shape):
    id: str = spelled("id", "transactionId")
    from_wallet_id: str = spelled("from", "fromWalletId")
    to_wallet_id: str = spelled("to", "toWalletId")
    amount: AmountText
    fee: AmountText
    currency: str
    status: str = spelled("status", "state")
    description: str | None
    created_at: TimeText

    @classmethod
    def of(cls, payment: Payment) -> "InternalTransferOutput":
        return cls.model_construct(
            id=payment.id,
            from_wallet_id=payment.sender_id,
            to_wallet_id=payment.recipient_id,
            amount=payment.amount,
            fee=payment.fee,
            currency=payment.currency,
            status=payment.status,
            description=payment.description or None,
            created_at=payment.created_at,
        )


class InternalTransfersView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(InternalTransferInput)
    def post(self, request, data):
        order = Order(
            sender_id=data.from_wallet_id,
            recipient_id=data.to_wallet_id,
            amount=data.amount,
            currency=data.currency,
            description=data.description or "",
            idempotency_key=request.run.key,
        )
        parties = transfers.internal_parties(order, actor=request.actor)
        request.run.start()
        payment = transfers.internal(parties, actor=request.actor)
        return answer(InternalTransferOutput.of(payment), status=201)
