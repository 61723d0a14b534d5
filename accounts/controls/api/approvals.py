"""Approvals (contract 3.6)."""

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.wallets import services as wallets
from wallgent.api.commands import command
from wallgent.api.pagination import PageQuery
from wallgent.api.schemas import AmountText, Description, ObjectId, Schema, TimeText, spelled
from wallgent.api.views import ApiView, Empty, answer


class ApprovalsQuery(PageQuery):
    wallet_id: ObjectId | None = None
    status: Approval.Status | None = None


class RejectInput(Schema):
    reason: Description | None = None


class DetailsOutput(Schema):
    """The payment to approve, as the TypeScript client reads it (contract C7)."""

    amount: AmountText
    currency: str
    recipient: str
    recipient_name: str
    from_wallet_id: str = spelled("from", "fromWalletId")
    to_wallet_id: str = spelled("to", "toWalletId")
    description: str | None


class ApprovalOutput(Schema):
    id: str
    status: str
    kind: str
    subject_id: str
    wallet_id: str
    amount: AmountText
    currency: str
    policy_id: str | None
    rule: str | None
    requested_by: str | None  # None for a request from another organization
    requested_by_organization: str
    transaction_details: dict
    reason: str | None
    decided_by: str | None
    transaction_id: str | None
    created_at: TimeText
    expires_at: TimeText
    decided_at: TimeText | None
    expired_at: TimeText | None

    @classmethod
    def of(cls, approval: Approval) -> "ApprovalOutput":
        return cls.model_construct(
            id=approval.id,
            status=approval.status,
            kind=approval.kind,
            subject_id=approval.subject_id,
            wallet_id=approval.wallet_id,
            amount=approval.amount,
            currency=approval.currency,
            policy_id=None,
            rule=approval.rule or None,
            requested_by=approval.asked_by or None,
            requested_by_organization=approval.asked_by_organization.name,
            transaction_details=_details(approval).to_json(),
            reason=approval.reason or None,
            decided_by=approval.decided_by or None,
            transaction_id=approval.payment_id,
            created_at=approval.created_at,
            expires_at=approval.expires_at,
            decided_at=approval.decided_at,
            expired_at=approval.expired_at,
        )


def _details(approval: Approval) -> DetailsOutput:
    return DetailsOutput.model_construct(
        amount=approval.amount,
        currency=approval.currency,
        recipient=approval.recipient_id,
        recipient_name=approval.recipient_organization.name,
        from_wallet_id=approval.wallet_id,
        to_wallet_id=approval.recipient_id,
        description=approval.description or None,
    )


class ApprovalsView(ApiView):
    permissions = {"GET": "payments:read"}

    def get(self, request):
        query = self.query(ApprovalsQuery)
        found = approvals.visible_to(request.actor)
        if query.wallet_id:
            found = found.filter(wallet=wallets.access(query.wallet_id, actor=request.actor))
        if query.status:
            found = found.filter(status=query.status)
        return self.page(found, query, lambda approval: ApprovalOutput.of(approval).to_json())


class ApprovalView(ApiView):
    permissions = {"GET": "payments:read"}

    def get(self, request, id):
        return answer(ApprovalOutput.of(approvals.access(id, actor=request.actor)))


class ApprovalApproveView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(Empty)
    def post(self, request, data, id):
        approval = _access_to_decide(request, id)
        approval = approvals.approve(approval, actor=request.actor)
        result = approvals.kind_of(approval).result_json(approval)
        return answer(ApprovalOutput.of(approval).to_json() | {"payment": result})


class ApprovalRejectView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(RejectInput)
    def post(self, request, data, id):
        approval = _access_to_decide(request, id)
        reason = data.reason or ""
        return answer(
            ApprovalOutput.of(approvals.reject(approval, actor=request.actor, reason=reason))
        )


def _access_to_decide(request, id: str) -> Approval:
    """Return the approval if this key may decide about it, and start the idempotent part."""
    approval = approvals.access(id, actor=request.actor)
    approvals.require_decider(request.actor)
    request.run.start()
    return approval
