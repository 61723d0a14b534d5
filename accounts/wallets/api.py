"""API endpoints of wallets (contract 3.1)."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from accounts.ledger import statements
from accounts.ledger.models import Entry, Hold
from accounts.wallets import services as wallets
from accounts.wallets.errors import WalletFrozen, WalletLimitExceeded, WalletNotFound
from accounts.wallets.models import Wallet
from wallgent.api.operations import Loader, operation
from wallgent.api.pagination import Page, PageQuery
from wallgent.api.schemas import (
    Amount,
    AmountText,
    Description,
    From,
    Metadata,
    Name,
    ObjectId,
    Schema,
    TimeText,
    one_of,
)
from wallgent.api.views import ApiView
from wallgent.environments import Environment
from wallgent.errors import InvalidAmount, InvalidState, SandboxOnly
from wallgent.money import Currency


class WalletInput(Schema):
    name: Name
    agent_name: str | None = Field(None, max_length=256)
    metadata: Metadata | None = None
    currency: Currency = Currency.USD


class WalletChanges(Schema):
    name: Name = Field(default_factory=str)  # unchanged, unless sent
    agent_name: str | None = Field(None, max_length=256)
    metadata: Metadata | None = None


class FundInput(Schema):
    amount: Amount


class SandboxFundInput(FundInput):
    wallet_id: ObjectId


class FreezeInput(Schema):
    reason: Description | None = None


class HoldsQuery(PageQuery):
    status: statements.HoldStatus | None = None


class WalletOutput(Schema):
    id: str
    account_id: str
    organization_id: str
    name: str
    agent_name: str | None
    wallet_type: Annotated[one_of(Wallet.Type), From("type")]
    wallgent_address: Annotated[str, From("address")]
    environment: one_of(Environment)
    currency: one_of(Currency)
    status: one_of(Wallet.Status)
    balance: Annotated[AmountText, From("account.balance")]
    available: Annotated[AmountText, From("account.available")]
    pending: Annotated[AmountText, From("account.held")]
    metadata: dict[str, Any] | None
    created_at: TimeText
    updated_at: TimeText


class BalanceOutput(Schema):
    wallet_id: Annotated[str, From("id")]
    balance: Annotated[AmountText, From("account.balance")]
    available: Annotated[AmountText, From("account.available")]
    pending: Annotated[AmountText, From("account.held")]
    currency: one_of(Currency)


class FundOutput(Schema):
    transaction_id: str
    wallet_id: Annotated[str, From("id")]
    amount: AmountText
    currency: one_of(Currency)
    new_balance: Annotated[AmountText, From("account.balance")]


class LineOutput(Schema):
    id: str
    wallet_id: str
    account_id: str
    transaction_id: str
    related_transaction_id: Annotated[str | None, From("transaction.reverses_id")]
    direction: Annotated[one_of(Entry.Type), From("type")]
    entry_type: str
    amount: AmountText
    currency: one_of(Currency)
    balance_after: AmountText
    status: str = "POSTED"
    description: Annotated[str | None, From("transaction.memo")]
    created_at: TimeText


class HoldOutput(Schema):
    id: str
    wallet_id: str
    amount: AmountText
    captured_amount: Annotated[AmountText, From("captured")]
    remaining_amount: Annotated[AmountText, From("remaining")]
    currency: one_of(Currency)
    status: one_of(statements.HoldStatus)
    type: str
    reason: str
    reference_id: Annotated[str | None, From("reference")]
    created_at: TimeText
    expires_at: TimeText | None
    released_at: Annotated[TimeText | None, From("ended_at")]


_WALLET = {"wallet": Loader("wallet_id", wallets.access, WalletNotFound)}
_FUNDED = {"wallet": Loader("wallet_id", wallets.access_for_funding, WalletNotFound)}


class WalletsView(ApiView):
    path = "wallets"

    @operation("wallets:read", query=PageQuery, answers=Page[WalletOutput])
    def get(self, request, query):
        """List wallets."""
        return self.page(Wallet.objects.visible_to(request.actor), query, WalletOutput.of)

    @operation(
        "wallets:write",
        body=WalletInput,
        answers={201: WalletOutput},
        errors=(WalletLimitExceeded,),
        example={"name": "Research agent"},
    )
    def post(self, request, data):
        """Create a wallet."""
        wallet = wallets.create(
            actor=request.actor,
            name=data.name,
            agent_name=data.agent_name or "",
            metadata=data.metadata,
            currency=data.currency,
        )
        return WalletOutput.of(wallet)


class WalletView(ApiView):
    path = "wallets/{wallet_id}"
    loads = _WALLET

    @operation("wallets:read", answers=WalletOutput)
    def get(self, request, wallet):
        """Get a wallet."""
        return WalletOutput.of(wallet)

    @operation(
        "wallets:write",
        body=WalletChanges,
        answers=WalletOutput,
        errors=(InvalidState,),
        example={"name": "Research agent"},
    )
    def patch(self, request, wallet, data):
        """Change a wallet."""
        changes = data.given()
        if "agent_name" in changes:
            changes["agent_name"] = changes["agent_name"] or ""
        return WalletOutput.of(wallets.update(wallet, actor=request.actor, **changes))


class WalletBalanceView(ApiView):
    path = "wallets/{wallet_id}/balance"
    loads = _WALLET

    @operation("wallets:read", answers=BalanceOutput)
    def get(self, request, wallet):
        """Get a balance."""
        return BalanceOutput.of(wallet)


class WalletTransactionsView(ApiView):
    path = "wallets/{wallet_id}/transactions"
    loads = _WALLET

    @operation("wallets:read", query=PageQuery, answers=Page[LineOutput])
    def get(self, request, wallet, query):
        """List a wallet's transactions."""

        def output(entry: Entry) -> LineOutput:
            reason = entry.transaction.reason.upper()
            given = {"wallet_id": wallet.id, "currency": wallet.currency, "entry_type": reason}
            return LineOutput.of(entry, **given)

        return self.page(statements.lines(wallet.account_id), query, output, by="line")


class WalletHoldsView(ApiView):
    path = "wallets/{wallet_id}/holds"
    loads = _WALLET

    @operation("wallets:read", query=HoldsQuery, answers=Page[HoldOutput])
    def get(self, request, wallet, query):
        """List a wallet's holds."""

        def output(hold: Hold) -> HoldOutput:
            given = {"wallet_id": wallet.id, "currency": wallet.currency}
            status = statements.hold_status(hold)
            return HoldOutput.of(hold, status=status, type=hold.reason.upper(), **given)

        return self.page(statements.holds(wallet.account_id, status=query.status), query, output)


def _fund(wallet: Wallet, amount: Decimal, request) -> FundOutput:
    transaction_id, wallet = wallets.fund(wallet, actor=request.actor, amount=amount)
    return FundOutput.of(wallet, transaction_id=transaction_id, amount=amount)


class WalletFundView(ApiView):
    path = "wallets/{wallet_id}/fund"
    loads = _FUNDED

    @operation(
        "wallets:write",
        body=FundInput,
        answers={201: FundOutput},
        errors=(SandboxOnly, InvalidAmount, WalletFrozen, InvalidState),
        example={"amount": "5"},
    )
    def post(self, request, wallet, data):
        """Fund a sandbox wallet."""
        return _fund(wallet, data.amount, request)


class SandboxFundView(ApiView):
    path = "sandbox/fund"
    loads = _FUNDED

    @operation(
        "wallets:write",
        body=SandboxFundInput,
        answers={201: FundOutput},
        errors=(SandboxOnly, InvalidAmount, WalletFrozen, InvalidState),
        example={"walletId": "{wallet_id}", "amount": "5"},
    )
    def post(self, request, wallet, data):
        """Fund a sandbox wallet by its id."""
        return _fund(wallet, data.amount, request)


class WalletFreezeView(ApiView):
    path = "wallets/{wallet_id}/freeze"
    loads = _WALLET

    @operation("wallets:write", body=FreezeInput, answers=WalletOutput, errors=(InvalidState,))
    def post(self, request, wallet, data):
        """Freeze a wallet."""
        wallet = wallets.freeze(wallet, actor=request.actor, reason=data.reason or "")
        return WalletOutput.of(wallet)


class WalletUnfreezeView(ApiView):
    path = "wallets/{wallet_id}/unfreeze"
    loads = _WALLET

    @operation("wallets:write", answers=WalletOutput, errors=(InvalidState,))
    def post(self, request, wallet):
        """Unfreeze a wallet."""
        return WalletOutput.of(wallets.unfreeze(wallet, actor=request.actor))


class WalletCloseView(ApiView):
    path = "wallets/{wallet_id}/close"
    loads = _WALLET

    @operation("wallets:write", answers=WalletOutput, errors=(InvalidState,))
    def post(self, request, wallet):
        """Close a wallet."""
        return WalletOutput.of(wallets.close(wallet, actor=request.actor))
