"""The event types of approvals and policies (contract 4.2)."""

from functools import partial
from typing import Annotated

from pydantic import Field

from wallgent.api.schemas import AmountText, From, TimeText, one_of
from wallgent.events.catalogue import announce, event
from wallgent.events.descriptions import register_page
from wallgent.events.schemas import Payload
from wallgent.money import Currency

register_page("apr", "approval")
approval_event = partial(event, permission="payments:read")


@approval_event(
    "approval.created",
    "{to} asks for {money} from {from}",
    icon="user-check",
    tone="warning",
    is_by_system=False,
)
class ApprovalCreated(Payload):
    approval_id: Annotated[str, From("id")]
    wallet_id: str
    policy_id: str | None = None
    amount: AmountText
    currency: one_of(Currency)
    sender_id: Annotated[str, From("wallet_id")] = Field(alias="from")
    recipient_id: str = Field(alias="to")
    description: str | None
    expires_at: TimeText


@approval_event("approval.approved", "Request to pay approved", icon="circle-check", tone="success")
class ApprovalApproved(Payload):
    approval_id: Annotated[str, From("id")]
    wallet_id: str
    transaction_id: Annotated[str | None, From("payment_id")]
    decided_by: str | None


@approval_event(
    "approval.expired", "Request to pay ended without a decision{because}", icon="timer-off"
)
class ApprovalExpired(Payload):
    approval_id: Annotated[str, From("id")]
    wallet_id: str
    reason: str | None


@approval_event(
    "approval.rejected", "Request to pay rejected{because}", icon="circle-x", tone="error"
)
class ApprovalRejected(ApprovalExpired):
    decided_by: str | None


announce(
    *("policy.created", "policy.updated", "policy.deleted", "policy.denied"),
    permission="policies:read",
)
