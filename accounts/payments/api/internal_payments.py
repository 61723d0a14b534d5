"""Internal payments, `POST /v1/transfers/internal`: between an organization's own wallets."""

from accounts.payments.models import Payment
from accounts.payments.services import internal_payments
from accounts.payments.services.payments import PaymentRequest
from wallgent.api.commands import command
from wallgent.api.schemas import (
    Amount,
    AmountText,
    Description,
    ObjectId,
    Schema,
    TimeText,
    spelled,
)
from wallgent.api.views import ApiView, answer
from wallgent.money import Currency


class InternalPaymentInput(Schema):
    from_wallet_id: ObjectId = spelled("fromWalletId", "from")
    to_wallet_id: ObjectId = spelled("toWalletId", "to")
    amount: Amount
    currency: Currency | None = None
    description: Description | None = None


class InternalPaymentOutput(Schema):
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
    def of(cls, payment: Payment) -> "InternalPaymentOutput":
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


class InternalPaymentsView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(InternalPaymentInput)
    def post(self, request, data):
        sender, recipient = internal_payments.resolve_wallets(
            data.from_wallet_id, data.to_wallet_id, actor=request.actor
        )
        request.run.start()
        payment_request = PaymentRequest(
            sender=sender,
            recipient=recipient,
            amount=data.amount,
            currency=data.currency,
            description=data.description or "",
            idempotency_key=request.run.key,
        )
        payment = internal_payments.create(payment_request, actor=request.actor)
        return answer(InternalPaymentOutput.of(payment), status=201)
