"""API endpoints of wallets (contract 3.1)."""

from decimal import Decimal
from typing import Any

from pydantic import Field

from accounts.ledger import statements
from accounts.ledger.models import Entry, Hold
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent.api.commands import command
from wallgent.api.pagination import PageQuery
from wallgent.api.schemas import (
    Amount,
    AmountText,
    Description,
    Metadata,
    Name,
    ObjectId,
    Schema,
    TimeText,
)
from wallgent.api.views import ApiView, Empty, answer
from wallgent.money import Currency


class WalletInput(Schema):
    name: Name
    agent_name: str | None = Field(None, max_length=256)
    metadata: Metadata | None = None
    currency: Currency = Currency.USD


class WalletChanges(Schema):
    name: Name = ""
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
    wallet_type: str
    wallgent_address: str
    environment: str
    currency: str
    status: str
    balance: AmountText
    available: AmountText
    pending: AmountText
    metadata: dict[str, Any] | None
    created_at: TimeText
    updated_at: TimeText

    @classmethod
    def of(cls, wallet: Wallet) -> "WalletOutput":
        account = wallet.account
        return cls.model_construct(
            id=wallet.id,
            account_id=wallet.account_id,
            organization_id=wallet.organization_id,
            name=wallet.name,
            agent_name=wallet.agent_name or None,
            wallet_type=wallet.type,
            wallgent_address=wallet.address,
            environment=wallet.environment,
            currency=wallet.currency,
            status=wallet.status,
            balance=account.balance,
            available=account.available,
            pending=account.held,
            metadata=wallet.metadata,
            created_at=wallet.created_at,
            updated_at=wallet.updated_at,
        )


class BalanceOutput(Schema):
    wallet_id: str
    balance: AmountText
    available: AmountText
    pending: AmountText
    currency: str

    @classmethod
    def of(cls, wallet: Wallet) -> "BalanceOutput":
        account = wallet.account
        return cls.model_construct(
            wallet_id=wallet.id,
            balance=account.balance,
            available=account.available,
            pending=account.held,
            currency=wallet.currency,
        )


class FundOutput(Schema):
    transaction_id: str
    wallet_id: str
    amount: AmountText
    currency: str
    new_balance: AmountText


class LineOutput(Schema):
    id: str
    wallet_id: str
    account_id: str
    transaction_id: str
    related_transaction_id: str | None
    direction: str
    entry_type: str
    amount: AmountText
    currency: str
    balance_after: AmountText
    status: str
    description: str | None
    created_at: TimeText

    @classmethod
    def of(cls, entry: Entry, wallet: Wallet) -> "LineOutput":
        transaction = entry.transaction
        return cls.model_construct(
            id=entry.id,
            wallet_id=wallet.id,
            account_id=entry.account_id,
            transaction_id=transaction.id,
            related_transaction_id=transaction.reverses_id,
            direction=entry.type,
            entry_type=transaction.reason.upper(),
            amount=entry.amount,
            currency=wallet.currency,
            balance_after=entry.balance_after,
            status="POSTED",
            description=transaction.memo or None,
            created_at=transaction.created_at,
        )


class HoldOutput(Schema):
    id: str
    wallet_id: str
    amount: AmountText
    captured_amount: AmountText
    remaining_amount: AmountText
    currency: str
    status: str
    type: str
    reason: str
    reference_id: str | None
    created_at: TimeText
    expires_at: TimeText | None
    released_at: TimeText | None

    @classmethod
    def of(cls, hold: Hold, wallet: Wallet) -> "HoldOutput":
        return cls.model_construct(
            id=hold.id,
            wallet_id=wallet.id,
            amount=hold.amount,
            captured_amount=hold.captured,
            remaining_amount=hold.remaining,
            currency=wallet.currency,
            status=statements.hold_status(hold),
            type=hold.reason.upper(),
            reason=hold.reason,
            reference_id=hold.reference or None,
            created_at=hold.created_at,
            expires_at=hold.expires_at,
            released_at=hold.ended_at,
        )


class WalletsView(ApiView):
    permissions = {"GET": "wallets:read", "POST": "wallets:write"}

    def get(self, request):
        query = self.query(PageQuery)
        found = Wallet.objects.visible_to(request.actor)
        return self.page(found, query, lambda wallet: WalletOutput.of(wallet).to_json())

    @command(WalletInput)
    def post(self, request, data):
        request.run.start()
        wallet = wallets.create(
            actor=request.actor,
            name=data.name,
            agent_name=data.agent_name or "",
            metadata=data.metadata,
            currency=data.currency,
        )
        return answer(WalletOutput.of(wallet), status=201)


class WalletView(ApiView):
    permissions = {"GET": "wallets:read", "PATCH": "wallets:write"}

    def get(self, request, id):
        return answer(WalletOutput.of(wallets.access(id, actor=request.actor)))

    @command(WalletChanges)
    def patch(self, request, data, id):
        wallet = wallets.access(id, actor=request.actor)
        request.run.start()
        changes = data.given()
        if "agent_name" in changes:
            changes["agent_name"] = changes["agent_name"] or ""
        return answer(WalletOutput.of(wallets.update(wallet, actor=request.actor, **changes)))


class WalletBalanceView(ApiView):
    permissions = {"GET": "wallets:read"}

    def get(self, request, id):
        return answer(BalanceOutput.of(wallets.access(id, actor=request.actor)))


class WalletTransactionsView(ApiView):
    permissions = {"GET": "wallets:read"}

    def get(self, request, id):
        query = self.query(PageQuery)
        wallet = wallets.access(id, actor=request.actor)
        lines = statements.lines(wallet.account_id)
        return self.page(
            lines, query, lambda line: LineOutput.of(line, wallet).to_json(), by="line"
        )


class WalletHoldsView(ApiView):
    permissions = {"GET": "wallets:read"}

    def get(self, request, id):
        query = self.query(HoldsQuery)
        wallet = wallets.access(id, actor=request.actor)
        holds = statements.holds(wallet.account_id, status=query.status)
        return self.page(holds, query, lambda hold: HoldOutput.of(hold, wallet).to_json())


def _fund(request, wallet: Wallet, amount: Decimal):
    request.run.start()
    transaction_id, wallet = wallets.fund(wallet, actor=request.actor, amount=amount)
    return answer(
        FundOutput.model_construct(
            transaction_id=transaction_id,
            wallet_id=wallet.id,
            amount=amount,
            currency=wallet.currency,
            new_balance=wallet.account.balance,
        ),
        status=201,
    )


class WalletFundView(ApiView):
    permissions = {"POST": "wallets:write"}

    @command(FundInput)
    def post(self, request, data, id):
        return _fund(request, wallets.access_for_funding(id, actor=request.actor), data.amount)


class SandboxFundView(ApiView):
    permissions = {"POST": "wallets:write"}

    @command(SandboxFundInput)
    def post(self, request, data):
        return _fund(
            request, wallets.access_for_funding(data.wallet_id, actor=request.actor), data.amount
        )


class WalletFreezeView(ApiView):
    permissions = {"POST": "wallets:write"}

    @command(FreezeInput)
    def post(self, request, data, id):
        wallet = wallets.access(id, actor=request.actor)
        request.run.start()
        wallet = wallets.freeze(wallet, actor=request.actor, reason=data.reason or "")
        return answer(WalletOutput.of(wallet))


class WalletUnfreezeView(ApiView):
    permissions = {"POST": "wallets:write"}

    @command(Empty)
    def post(self, request, data, id):
        wallet = wallets.access(id, actor=request.actor)
        request.run.start()
        return answer(WalletOutput.of(wallets.unfreeze(wallet, actor=request.actor)))


class WalletCloseView(ApiView):
    permissions = {"POST": "wallets:write"}

    @command(Empty)
    def post(self, request, data, id):
        wallet = wallets.access(id, actor=request.actor)
        request.run.start()
        return answer(WalletOutput.of(wallets.close(wallet, actor=request.actor)))
