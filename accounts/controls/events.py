"""The events of controls: their payloads and how they are described (contract 4.2)."""

from accounts.controls.models import Approval
from accounts.organizations.models import Organization
from wallgent import money
from wallgent.api.schemas import timestamp_text
from wallgent.events.catalogue import declare
from wallgent.events.descriptions import (
    Description,
    Names,
    money_text,
    register_page,
    with_reason,
)


def _approval_created(approval: Approval, *, organization: Organization) -> dict:
    return {
        "approvalId": approval.id,
        "walletId": approval.wallet_id,
        "policyId": None,
        "amount": money.amount_text(approval.amount),
        "currency": approval.currency,
        "from": approval.wallet_id,
        "to": approval.recipient_id,
        "description": approval.description or None,
        "expiresAt": timestamp_text(approval.expires_at),
    }


def _approval_approved(approval: Approval, *, organization: Organization) -> dict:
    return {
        "approvalId": approval.id,
        "walletId": approval.wallet_id,
        "transactionId": approval.payment_id,
        "decidedBy": approval.decided_by or None,
    }


def _approval_rejected(approval: Approval, *, organization: Organization) -> dict:
    return {
        "approvalId": approval.id,
        "walletId": approval.wallet_id,
        "reason": approval.reason or None,
        "decidedBy": approval.decided_by or None,
    }


def _approval_expired(approval: Approval, *, organization: Organization) -> dict:
    return {
        "approvalId": approval.id,
        "walletId": approval.wallet_id,
        "reason": approval.reason or None,
    }


def _describe_created(data: dict, names: Names) -> str:
    to, of = names.of(data["to"]), names.of(data["from"])
    return f"{to} asks for {money_text(data)} from {of}"


def _description_of(result: str):
    return lambda data, names: with_reason(f"Request to pay {result}", data)


NOT_BUILT_YET = (
    "policy.created",
    "policy.updated",
    "policy.deleted",
    "policy.denied",
)


def declare_all() -> None:
    """Declare the events of approvals and policies. Called once, at start."""
    register_page("apr", "approval")
    declare(
        "approval.created",
        _approval_created,
        Description(_describe_created, "user-check", "warning", is_by_system=False),
    )
    declare(
        "approval.approved",
        _approval_approved,
        Description(_description_of("approved"), "circle-check", "success"),
    )
    declare(
        "approval.rejected",
        _approval_rejected,
        Description(_description_of("rejected"), "circle-x"),
    )
    declare(
        "approval.expired",
        _approval_expired,
        Description(_description_of("ended without a decision"), "timer-off"),
    )
    for name in NOT_BUILT_YET:
        declare(name)
