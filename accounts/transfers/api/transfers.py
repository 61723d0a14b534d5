"""Transfers over rails (contract 3.8)."""

from accounts.transfers.models import Transfer
from accounts.transfers.services import orders
from accounts.wallets import services as wallets
from wallgent.api import pagination
from wallgent.api.pagination import PageQuery
from wallgent.api.schemas import (
    AmountText,
    ObjectId,
    Schema,
    TimeText,
    spelled,
)
from wallgent.api.views import ApiView, answer


class TransfersQuery(PageQuery):
    wallet_id: ObjectId | None = None
    direction: Transfer.Direction | None = None
    status: Transfer.Status | None = None


class CounterpartyOutput(Schema):
    """A bank account with the last four digits of its number, or an address on a chain."""

    type: str
    bank_account_id: str | None
    bank_name: str | None
    account_name: str | None
    account_number_last4: str | None
    address: str | None
    chain: str | None

    @classmethod
    def of(cls, transfer: Transfer) -> "CounterpartyOutput":
        is_known = not transfer.awaits_payer  # otherwise the address is ours, and anyone may pay
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
    charged_wallet_id: str | None  # the wallet a returned deposit was charged to, if another
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
        counterparty = CounterpartyOutput.of(transfer).to_json()
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
            source=counterparty if is_deposit else None,
            destination=None if is_deposit else counterparty,
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
        page = pagination.page(found, query, lambda transfer: TransferOutput.of(transfer).to_json())
        return answer(page | {"transfers": page["data"]})


class TransferView(ApiView):
    permissions = {"GET": "payments:read"}

    def get(self, request, id):
        return answer(TransferOutput.of(orders.access(id, actor=request.actor)))
