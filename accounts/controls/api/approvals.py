"""Approvals (contract 3.6)."""

from typing import Annotated, Any

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.wallets import services as wallets
from accounts.wallets.errors import InsufficientFunds, WalletFrozen, WalletNotFound
from wallgent.api.operations import Loader, operation
from wallgent.api.pagination import Page, PageQuery
from wallgent.api.schemas import (
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
from wallgent.errors import InvalidAmount, InvalidState, NotAvailable
from wallgent.money import Currency


class ApprovalsQuery(PageQuery):
    wallet_id: ObjectId | None = None
    status: Approval.Status | None = None


class RejectInput(Schema):
    reason: Description | None = None


class DetailsOutput(Schema):
    """The payment to approve, as the TypeScript client reads it (contract C7)."""

    amount: AmountText
    currency: one_of(Currency)
    recipient: Annotated[str, From("recipient_id")]
    recipient_name: Annotated[str, From("recipient_organization.name")]
    from_wallet_id: Annotated[str, From("wallet_id")] = spelled("from", "fromWalletId")
    to_wallet_id: Annotated[str, From("recipient_id")] = spelled("to", "toWalletId")
    description: str | None


class ApprovalOutput(Schema):
    id: str
    status: one_of(Approval.Status)
    kind: str
    subject_id: str
    wallet_id: str
    amount: AmountText
    currency: one_of(Currency)
    policy_id: str | None = None
    rule: str | None
    # None for a request from another organization
    requested_by: Annotated[str | None, From("asked_by")]
    requested_by_organization: Annotated[str, From("asked_by_organization.name")]
    transaction_details: DetailsOutput
    reason: str | None
    decided_by: str | None
    transaction_id: Annotated[str | None, From("payment_id")]
    created_at: TimeText
    expires_at: TimeText
    decided_at: TimeText | None
    expired_at: TimeText | None

    @classmethod
    def of(cls, approval: Approval, **values) -> "ApprovalOutput":
        return super().of(approval, transaction_details=DetailsOutput.of(approval), **values)


class ApprovedOutput(ApprovalOutput):
    payment: dict[str, Any] | None  # what the approved request did


_APPROVAL = {"approval": Loader("approval_id", approvals.access)}
_TO_DECIDE = {"approval": Loader("approval_id", approvals.access_to_decide)}


class ApprovalsView(ApiView):
    path = "approvals"

    @operation(
        "payments:read",
        query=ApprovalsQuery,
        loads={"wallet": Loader("wallet_id", wallets.access, WalletNotFound)},
        answers=Page[ApprovalOutput],
    )
    def get(self, request, wallet, query):
        """List approvals."""
        found = approvals.visible_to(request.actor)
        found = query.narrow(found, wallet=wallet, status=query.status)
        return self.page(found, query, ApprovalOutput.of)


class ApprovalView(ApiView):
    path = "approvals/{approval_id}"
    loads = _APPROVAL

    @operation("payments:read", answers=ApprovalOutput)
    def get(self, request, approval):
        """Get an approval."""
        return ApprovalOutput.of(approval)


class ApprovalApproveView(ApiView):
    path = "approvals/{approval_id}/approve"
    loads = _TO_DECIDE

    @operation(
        "payments:write",
        answers=ApprovedOutput,
        errors=(InvalidAmount, InvalidState, InsufficientFunds, WalletFrozen, NotAvailable),
    )
    def post(self, request, approval):
        """Approve a request."""
        approval = approvals.approve(approval, actor=request.actor)
        result = approvals.kind_of(approval).result_json(approval)
        return ApprovedOutput.of(approval, payment=result)


class ApprovalRejectView(ApiView):
    path = "approvals/{approval_id}/reject"
    loads = _TO_DECIDE

    @operation(
        "payments:write",
        body=RejectInput,
        answers=ApprovalOutput,
        errors=(InvalidState,),
        example={"reason": "Not this month"},
    )
    def post(self, request, approval, data):
        """Reject a request."""
        reason = data.reason or ""
        return ApprovalOutput.of(approvals.reject(approval, actor=request.actor, reason=reason))
