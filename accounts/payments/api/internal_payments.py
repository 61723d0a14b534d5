"""Internal payments, `POST /v1/transfers/internal`: between an organization's own wallets."""

from typing import Annotated

from accounts.payments.api.payments import PAYMENT_REFUSALS
from accounts.payments.models import Payment
from accounts.payments.services import internal_payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets.errors import WalletNotFound
from wallgent.api.operations import FormLoader, operation
from wallgent.api.schemas import (
    Amount,
    AmountText,
    Description,
    From,
    ObjectId,
    Schema,
    TimeText,
    one_of,
    spelled,
)
from wallgent.api.views import ApiView
from wallgent.money import Currency


class InternalPaymentInput(Schema):
    from_wallet_id: ObjectId = spelled("fromWalletId", "from")
    to_wallet_id: ObjectId = spelled("toWalletId", "to")
    amount: Amount
    currency: Currency | None = None
    description: Description | None = None


class InternalPaymentOutput(Schema):
    id: str = spelled("id", "transactionId")
    from_wallet_id: Annotated[str, From("sender_id")] = spelled("from", "fromWalletId")
    to_wallet_id: Annotated[str, From("recipient_id")] = spelled("to", "toWalletId")
    amount: AmountText
    fee: AmountText
    currency: one_of(Currency)
    status: one_of(Payment.Status) = spelled("status", "state")
    description: str | None
    created_at: TimeText


def _wallets(request, form: InternalPaymentInput):
    sent = (form.from_wallet_id, form.to_wallet_id)
    return internal_payments.resolve_wallets(*sent, actor=request.actor)


class InternalPaymentsView(ApiView):
    path = "transfers/internal"

    @operation(
        "payments:write",
        body=InternalPaymentInput,
        loads={"wallets": FormLoader("from_wallet_id", _wallets, WalletNotFound)},
        answers={201: InternalPaymentOutput},
        errors=PAYMENT_REFUSALS,
        example={"fromWalletId": "{wallet_id}", "toWalletId": "{savings_id}", "amount": "5"},
    )
    def post(self, request, wallets, data):
        """Move money between own wallets."""
        sender, recipient = wallets
        payment_request = PaymentRequest(
            sender=sender,
            recipient=recipient,
            amount=data.amount,
            currency=data.currency,
            description=data.description or "",
            idempotency_key=request.idempotency_key,
        )
        payment = internal_payments.create(payment_request, actor=request.actor)
        return InternalPaymentOutput.of(payment)
