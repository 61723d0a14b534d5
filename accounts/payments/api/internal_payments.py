"""Transfers (contract 3.8): over rails, and between an organization's own wallets."""

from accounts.payments.models import Payment
from accounts.payments.services import internal_payments
from accounts.payments.services.payments import PaymentRequest
from accounts.transfers.models import Transfer
from accounts.transfers.services import orders
from accounts.wallets import services as wallets
from wallgent.api import pagination
from wallgent.api.commands import command
from wallgent.api.pagination import PageQuery
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


class TransfersQuery(PageQuery):
    wallet_id: ObjectId | None = None
    direction: Transfer.Direction | None = None
    status: Transfer.Status | None = None


class PartyOutput(Schema):
    """A bank account, its number only by its end, or an address on a chain."""

    type: str
    bank_account_id: str | None
    bank_name: str | None
    account_name: str | None
    account_number_last4: str | None
    address: str | None
    chain: str | None

    @classmethod
    def of(cls, transfer: Transfer) -> "PartyOutput":
        is_known = not transfer.awaits_payer  # else the address is ours, and anybody may pay
        return cls.model_construct(
            type=transfer.rail_type,
            bank_account_id=None,
            bank_name=transfer.bank_name or None,
            account_name=transfer.account_name or None,
            account_number_last4=transfer.account_last4 or None,
            address=(transfer.address or None) if is_known else None,
            chain=transfer.chain or None,
        )


class TransferOutput(Schema):
    """A transfer over a rail. `updatedAt` is when its status last changed."""

    id: str
    organization_id: str
    wallet_id: str
    direction: str
    rail_type: str = spelled("railType", "rail")
    amount: AmountText
    currency: str
    fee: AmountText = spelled("fee", "customerFee")
    status: str
    description: str | None
    source: dict | None
    destination: dict | None
    bank_account_id: str | None
    deposit_address: str | None
    received_amount: AmountText | None
    reference_type: str | None
    reference_id: str | None
    external_id: str | None
    transaction_id: str | None = spelled("transactionId", "ledgerTxnId", "settleTxnId")
    return_transaction_id: str | None
    charged_wallet_id: str | None  # what a returned deposit was taken from, if another wallet
    failure_code: str | None
    failure_reason: str | None
    created_at: TimeText
    updated_at: TimeText
    completed_at: TimeText | None
    failed_at: TimeText | None
    cancelled_at: TimeText | None
    returned_at: TimeText | None

    @classmethod
    def of(cls, transfer: Transfer) -> "TransferOutput":
        is_deposit = transfer.direction == Transfer.Direction.DEPOSIT
        party = PartyOutput.of(transfer).to_json()
        return cls.model_construct(
            id=transfer.id,
            organization_id=transfer.organization_id,
            wallet_id=transfer.wallet_id,
            direction=transfer.direction,
            rail_type=transfer.rail_type,
            amount=transfer.amount,
            currency=transfer.currency,
            fee=transfer.fee,
            status=transfer.status,
            description=transfer.description or None,
            source=party if is_deposit else None,
            destination=None if is_deposit else party,
            bank_account_id=None,
            deposit_address=transfer.address if transfer.awaits_payer else None,
            received_amount=transfer.received if transfer.awaits_payer else None,
            reference_type=transfer.purpose or None,
            reference_id=transfer.reference or None,
            external_id=transfer.external_id or None,
            transaction_id=transfer.transaction_id,
            return_transaction_id=transfer.return_transaction_id,
            charged_wallet_id=transfer.charged_wallet_id,
            failure_code=transfer.failure_code or None,
            failure_reason=transfer.failure_reason or None,
            created_at=transfer.created_at,
            updated_at=transfer.changed_at,
            completed_at=transfer.completed_at,
            failed_at=transfer.failed_at,
            cancelled_at=transfer.cancelled_at,
            returned_at=transfer.returned_at,
        )


class TransfersView(ApiView):
    permissions = {"GET": "payments:read"}

    def get(self, request):
        query = self.query(TransfersQuery)
        found = orders.visible_to(request.actor)
        if query.wallet_id:
            found = found.filter(wallet=wallets.access(query.wallet_id, actor=request.actor))
        if query.direction:
            found = found.filter(direction=query.direction)
        if query.status:
            found = found.filter(status=query.status)
        page = pagination.page(found, query, lambda one: TransferOutput.of(one).to_json())
        return answer(page | {"transfers": page["data"]})


class TransferView(ApiView):
    permissions = {"GET": "payments:read"}

    def get(self, request, id):
        return answer(TransferOutput.of(orders.access(id, actor=request.actor)))


class InternalTransferInput(Schema):
    from_wallet_id: ObjectId = spelled("fromWalletId", "from")
    to_wallet_id: ObjectId = spelled("toWalletId", "to")
    amount: Amount
    currency: Currency | None = None
    description: Description | None = None


class InternalTransferOutput(Schema):
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
        order = PaymentRequest(
            sender_id=data.from_wallet_id,
            recipient_id=data.to_wallet_id,
            amount=data.amount,
            currency=data.currency,
            description=data.description or "",
            idempotency_key=request.run.key,
        )
        parties = internal_payments.internal_parties(order, actor=request.actor)
        request.run.start()
        payment = internal_payments.internal(parties, actor=request.actor)
        return answer(InternalTransferOutput.of(payment), status=201)
