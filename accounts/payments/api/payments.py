"""Payments (contract 3.2)."""

from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from accounts.payments.errors import MerchantNotFound, ReversalNotAllowed
from accounts.payments.models import Payment, kinds
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets import services as wallets
from accounts.wallets.errors import InsufficientFunds, WalletFrozen, WalletNotFound
from accounts.wallets.models import Wallet
from wallgent.actors import Actor
from wallgent.api.operations import FormLoader, Loader, operation
from wallgent.api.pagination import Page, PageQuery
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
from wallgent.errors import InvalidAmount, InvalidState, ValidationError
from wallgent.money import Currency


class MerchantHint(Schema):
    domain: Annotated[str, Field(min_length=1, max_length=253)]


class PaymentInput(Schema):
    from_wallet_id: ObjectId = spelled("from", "fromWalletId")
    to_wallet_id: ObjectId | None = spelled("to", "toWalletId", default=None)
    amount: Amount
    currency: Currency | None = None
    description: Description | None = None
    merchant_id: ObjectId | None = None
    merchant_hint: MerchantHint | None = None
    preference: Literal["cheapest", "fastest", "card_only", "closed_loop_preferred"] | None = None

    def to_request(
        self,
        *,
        actor: Actor,
        idempotency_key: str = "",
        found: dict[str, Wallet] | None = None,
    ) -> PaymentRequest:
        """Return the payment to make; `found` is as in `payments.resolve_wallets`.

        Raises ValidationError without a payee, and what `payments.resolve_wallets` raises.
        """
        if not (self.to_wallet_id or self.merchant_id or self.merchant_hint):
            raise ValidationError(
                "Say who is paid: give `to` a wallet id, or a merchantId or merchantHint.",
                fields={"to": "is required"},
            )
        sender, recipient = payments.resolve_wallets(
            self.from_wallet_id,
            self.to_wallet_id,
            actor=actor,
            merchant=self.merchant_id or (self.merchant_hint and self.merchant_hint.domain),
            found=found,
        )
        return PaymentRequest(
            sender=sender,
            recipient=recipient,
            amount=self.amount,
            currency=self.currency,
            description=self.description or "",
            idempotency_key=idempotency_key,
        )


class ReverseInput(Schema):
    reason: Description | None = None


class PaymentsQuery(PageQuery):
    wallet_id: ObjectId | None = None
    status: Payment.Status | None = None


class PaymentOutput(Schema):
    id: str
    from_wallet_id: Annotated[str, From("sender_id")] = spelled("from", "fromWalletId")
    to_wallet_id: Annotated[str, From("recipient_id")] = spelled("to", "toWalletId")
    amount: AmountText
    fee: AmountText | None  # null for the recipient's organization
    currency: one_of(Currency)
    status: one_of(Payment.Status) = spelled("status", "state")
    kind: one_of(kinds)
    rail: str = "internal"
    merchant_id: str | None = None
    description: str | None
    idempotency_key: str | None
    failure_code: str | None
    failure_reason: str | None
    reversal_of: Annotated[str | None, From("reversal_of_id")]
    reversed_by: str | None = None
    policy_evaluation_id: str | None = None
    created_at: TimeText
    settled_at: TimeText | None

    @classmethod
    def of_stored(cls, payment: Payment, *, actor: Actor) -> "PaymentOutput":
        """Render a payment that was fetched with its reversals, as the actor may see it."""
        reversals = payment.reversals.all()
        output = cls.of(payment, reversed_by=reversals[0].id if reversals else None)
        if payment.organization_id != actor.organization.id:
            # Only the sender sees its idempotency key and the fee it paid.
            output.fee = output.idempotency_key = None
        output.created_at, output.settled_at = payment.dates_for(actor.organization)
        return output


PAYMENT_REFUSALS = (InvalidAmount, InsufficientFunds, WalletFrozen, InvalidState)
_PAYMENT = {"payment": Loader("payment_id", payments.access)}


def _payment_request(request, form: PaymentInput) -> PaymentRequest:
    return form.to_request(actor=request.actor, idempotency_key=request.idempotency_key)


class PaymentsView(ApiView):
    path = "payments"

    @operation(
        "payments:read",
        query=PaymentsQuery,
        loads={"wallet": Loader("wallet_id", wallets.access, WalletNotFound)},
        answers=Page[PaymentOutput],
    )
    def get(self, request, wallet, query):
        """List payments."""
        found = query.narrow(payments.visible_to(request.actor), status=query.status)
        if wallet:
            found = found.of_wallet(wallet)
        return self.page(found, query, partial(PaymentOutput.of_stored, actor=request.actor))

    @operation(
        "payments:write",
        body=PaymentInput,
        loads={"payment_request": FormLoader("from_wallet_id", _payment_request, WalletNotFound)},
        answers={201: PaymentOutput},
        errors=(MerchantNotFound, *PAYMENT_REFUSALS),
        example={"from": "{wallet_id}", "to": "{savings_id}", "amount": "5"},
    )
    def post(self, request, payment_request, data):
        """Send a payment."""
        return PaymentOutput.of(payments.create(payment_request, actor=request.actor))


class PaymentView(ApiView):
    path = "payments/{payment_id}"
    loads = _PAYMENT

    @operation("payments:read", answers=PaymentOutput)
    def get(self, request, payment):
        """Get a payment."""
        return PaymentOutput.of_stored(payment, actor=request.actor)


class PaymentReverseView(ApiView):
    path = "payments/{payment_id}/reverse"
    loads = _PAYMENT

    @operation(
        "payments:write",
        body=ReverseInput,
        answers=PaymentOutput,
        errors=(ReversalNotAllowed, *PAYMENT_REFUSALS),
    )
    def post(self, request, payment, data):
        """Reverse a payment."""
        payment = payments.reverse(payment, actor=request.actor, reason=data.reason or "")
        return PaymentOutput.of_stored(payment, actor=request.actor)
