"""Transfers over rails (contract 3.8)."""

from typing import Annotated

from accounts.transfers.errors import TransferNotFound
from accounts.transfers.models import RailType, Transfer
from accounts.transfers.services import orders
from accounts.wallets import services as wallets
from accounts.wallets.errors import WalletNotFound
from wallgent.api.operations import Loader, operation
from wallgent.api.pagination import Page, PageQuery
from wallgent.api.schemas import (
    AmountText,
    From,
    ObjectId,
    Schema,
    TimeText,
    one_of,
    spelled,
)
from wallgent.api.views import ApiView
from wallgent.money import Currency


class TransfersQuery(PageQuery):
    wallet_id: ObjectId | None = None
    direction: Transfer.Direction | None = None
    status: Transfer.Status | None = None


class CounterpartyOutput(Schema):
    """A bank account with the last four digits of its number, or an address on a chain."""

    type: Annotated[one_of(RailType), From("rail_type")]
    bank_account_id: str | None = None
    bank_name: str | None
    account_name: str | None
    account_number_last4: Annotated[str | None, From("account_last4")]
    address: str | None
    chain: str | None

    @classmethod
    def of(cls, transfer: Transfer) -> "CounterpartyOutput":
        # The address of a transfer that awaits its payer is ours, and anyone may pay to it.
        ours = {"address": None} if transfer.awaits_payer else {}
        return super().of(transfer, **ours)


class TransferOutput(Schema):
    """A transfer over a rail. `updatedAt` is when its status last changed."""

    id: str
    organization_id: str
    wallet_id: str
    direction: one_of(Transfer.Direction)
    rail_type: one_of(RailType) = spelled("railType", "rail")
    amount: AmountText
    currency: one_of(Currency)
    fee: AmountText = spelled("fee", "customerFee")
    status: one_of(Transfer.Status)
    description: str | None
    source: CounterpartyOutput | None
    destination: CounterpartyOutput | None
    bank_account_id: str | None = None
    deposit_address: str | None
    received_amount: AmountText | None
    reference_type: Annotated[str | None, From("purpose")]
    reference_id: Annotated[str | None, From("reference")]
    external_id: str | None
    transaction_id: str | None = spelled("transactionId", "ledgerTxnId", "settleTxnId")
    return_transaction_id: str | None
    charged_wallet_id: str | None  # the wallet a returned deposit was charged to, if another
    failure_code: str | None
    failure_reason: str | None
    created_at: TimeText
    updated_at: Annotated[TimeText, From("changed_at")]
    completed_at: TimeText | None
    failed_at: TimeText | None
    cancelled_at: TimeText | None
    returned_at: TimeText | None

    @classmethod
    def of(cls, transfer: Transfer) -> "TransferOutput":
        is_deposit = transfer.direction == Transfer.Direction.DEPOSIT
        counterparty = CounterpartyOutput.of(transfer)
        return super().of(
            transfer,
            source=counterparty if is_deposit else None,
            destination=None if is_deposit else counterparty,
            deposit_address=transfer.address if transfer.awaits_payer else None,
            received_amount=transfer.received if transfer.awaits_payer else None,
        )


class TransferListOutput(Page[TransferOutput]):
    data: list[TransferOutput] = spelled("data", "transfers")


class TransfersView(ApiView):
    path = "transfers"

    @operation(
        "payments:read",
        query=TransfersQuery,
        loads={"wallet": Loader("wallet_id", wallets.access, WalletNotFound)},
        answers=TransferListOutput,
    )
    def get(self, request, wallet, query):
        """List transfers."""
        found = orders.visible_to(request.actor)
        given = {"wallet": wallet, "direction": query.direction, "status": query.status}
        found = query.narrow(found, **given)
        return TransferListOutput.of(self.page(found, query, TransferOutput.of))


class TransferView(ApiView):
    path = "transfers/{transfer_id}"
    loads = {"transfer": Loader("transfer_id", orders.access, TransferNotFound)}

    @operation("payments:read", answers=TransferOutput)
    def get(self, request, transfer):
        """Get a transfer."""
        return TransferOutput.of(transfer)
