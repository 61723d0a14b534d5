"""The events of this app: each type with what it says (contract 4.2).

A type without a renderer is promised by the public catalogue and not built yet.
"""

from accounts.controls.models import Approval
from accounts.organizations.models import ApiKey, Invitation, Membership, Organization, User
from accounts.payments.models import Payment
from accounts.transfers.models import Suspended, Transfer
from accounts.wallets.models import Wallet
from wallgent import money
from wallgent.api.schemas import timestamp_text
from wallgent.events.catalogue import declare


def _payment(payment: Payment, *, organization: Organization) -> dict:
    rendered = {
        "transactionId": payment.id,
        "from": payment.sender_id,
        "to": payment.recipient_id,
        "amount": money.amount_text(payment.amount),
        "currency": payment.currency,
        "status": payment.status,
        "description": payment.description or None,
        "merchantId": None,
        "createdAt": timestamp_text(payment.created_at),
    }
    if organization.id == payment.organization_id:  # what the sender paid for it is its own affair
        rendered["fee"] = money.amount_text(payment.fee)
    return rendered


def _payment_failed(payment: Payment, *, organization: Organization) -> dict:
    return _payment(payment, organization=organization) | {
        "code": payment.failure_code,
        "reason": payment.failure_reason,
    }


def _payment_reversed(
    payment: Payment, *, organization: Organization, reversal: Payment, reason: str
) -> dict:
    return _payment(payment, organization=organization) | {
        "reversalTransactionId": reversal.id,
        "reason": reason or None,
    }


def _wallet(wallet: Wallet, *, organization: Organization, **extra) -> dict:
    return {
        "walletId": wallet.id,
        "name": wallet.name,
        "agentName": wallet.agent_name or None,
        "walletType": wallet.type,
        **extra,
    }


def _wallet_funded(
    wallet: Wallet,
    *,
    organization: Organization,
    amount,
    transaction_id: str,
    source: str = "sandbox",
) -> dict:
    return {
        "walletId": wallet.id,
        "transactionId": transaction_id,
        "amount": money.amount_text(amount),
        "currency": wallet.currency,
        "newBalance": money.amount_text(wallet.account.balance),
        "source": source,
    }


def _wallet_charged(
    wallet: Wallet,
    *,
    organization: Organization,
    transfer: Transfer,
    closed: Wallet,
    transaction_id: str,
) -> dict:
    return {
        "walletId": wallet.id,
        "closedWalletId": closed.id,
        "transferId": transfer.id,
        "transactionId": transaction_id,
        "amount": money.amount_text(transfer.amount),
        "currency": transfer.currency,
        "newBalance": money.amount_text(wallet.account.balance),
        "debt": money.amount_text(wallet.account.debt),
    }


def _wallet_frozen(wallet: Wallet, *, organization: Organization, reason: str) -> dict:
    return {"walletId": wallet.id, "reason": reason or None}


def _wallet_id(wallet: Wallet, *, organization: Organization) -> dict:
    return {"walletId": wallet.id}


def _transfer(transfer: Transfer, *, organization: Organization) -> dict:
    return {
        "transferId": transfer.id,
        "walletId": transfer.wallet_id,
        "direction": transfer.direction,
        "railType": transfer.rail_type,
        "amount": money.amount_text(transfer.amount),
        "currency": transfer.currency,
        "fee": money.amount_text(transfer.fee),
        "status": transfer.status,
    }


def _transfer_completed(transfer: Transfer, *, organization: Organization) -> dict:
    return _transfer(transfer, organization=organization) | {
        "transactionId": transfer.transaction_id,
        "completedAt": timestamp_text(transfer.completed_at),
    }


def _transfer_failed(transfer: Transfer, *, organization: Organization) -> dict:
    return _transfer(transfer, organization=organization) | {
        "failureCode": transfer.failure_code,
        "failureReason": transfer.failure_reason,
    }


def _transfer_returned(transfer: Transfer, *, organization: Organization) -> dict:
    return _transfer_failed(transfer, organization=organization) | {
        "transactionId": transfer.return_transaction_id,
        "returnedAt": timestamp_text(transfer.returned_at),
        "chargedWalletId": transfer.charged_wallet_id,
    }


def _transfer_suspended(transfer: Transfer, *, organization: Organization, kept: Suspended) -> dict:
    return _transfer(transfer, organization=organization) | {
        "amount": money.amount_text(kept.amount),
        "suspendedId": kept.id,
        "transactionId": kept.transaction_id,
    }


def _clock(subject: Organization, *, organization: Organization, by) -> dict:
    return {
        "organizationId": subject.id,
        "bySeconds": int(by.total_seconds()),
        "aheadSeconds": int(subject.sandbox_offset.total_seconds()),
    }


def _api_key(key: ApiKey, *, organization: Organization, **extra) -> dict:
    return {
        "apiKeyId": key.id,
        "name": key.name,
        "keyPrefix": key.key_prefix,
        "permissions": key.permissions,
        **extra,
    }


def _organization(subject: Organization, *, organization: Organization, **extra) -> dict:
    return {"organizationId": subject.id, "name": subject.name, "plan": subject.plan, **extra}


def _user(user: User, *, organization: Organization, **extra) -> dict:
    return {"userId": user.id, **extra}


def _member(member: Membership, *, organization: Organization, **extra) -> dict:
    return {"memberId": member.id, "userId": member.user_id, "role": member.role, **extra}


def _invitation(invitation: Invitation, *, organization: Organization) -> dict:
    # Not the address: what is written here cannot be erased.
    return {"invitationId": invitation.id, "role": invitation.role}


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


def declare_all() -> None:
    """Make this app's event types known. Called once, at start."""
    declare("payment.completed", _payment)
    declare("payment.failed", _payment_failed)
    declare("payment.reversed", _payment_reversed)
    declare("approval.created", _approval_created)
    declare("approval.approved", _approval_approved)
    declare("approval.rejected", _approval_rejected)
    declare("approval.expired", _approval_expired)
    declare("wallet.created", _wallet)
    declare("wallet.funded", _wallet_funded)
    declare("wallet.frozen", _wallet_frozen)
    declare("wallet.unfrozen", _wallet_id)
    declare("wallet.closed", _wallet_id)
    declare("wallet.updated", _wallet, public=False)
    declare("wallet.charged", _wallet_charged, public=False)
    declare("transfer.created", _transfer)
    declare("transfer.processing", _transfer)
    declare("transfer.completed", _transfer_completed)
    declare("transfer.failed", _transfer_failed)
    declare("transfer.cancelled", _transfer)
    declare("transfer.returned", _transfer_returned)
    declare("transfer.asked_about", _transfer, public=False)
    declare("transfer.suspended", _transfer_suspended, public=False)
    declare("sandbox.clock_advanced", _clock, public=False)
    declare("api_key.created", _api_key, public=False)
    declare("api_key.updated", _api_key, public=False)
    declare("api_key.revoked", _api_key, public=False)
    declare("organization.created", _organization, public=False)
    declare("organization.updated", _organization, public=False)
    declare("organization.activated", _organization, public=False)
    declare("user.signed_in", _user, public=False)
    declare("user.locked_out", _user, public=False)
    declare("user.password_changed", _user, public=False)
    declare("user.email_changed", _user, public=False)
    declare("user.mfa_added", _user, public=False)
    declare("user.mfa_removed", _user, public=False)
    declare("user.recovery_codes_renewed", _user, public=False)
    declare("member.invited", _invitation, public=False)
    declare("invitation.revoked", _invitation, public=False)
    declare("member.joined", _member, public=False)
    declare("member.role_changed", _member, public=False)
    declare("member.removed", _member, public=False)
    for name in NOT_BUILT_YET:
        declare(name)


NOT_BUILT_YET = (
    "policy.created",
    "policy.updated",
    "policy.deleted",
    "policy.denied",
    "agent.created",
    "agent.paused",
    "agent.resumed",
    "agent.key_rotated",
    "agent.deleted",
    "dispute.created",
    "dispute.responded",
    "dispute.resolved",
    "risk_event.created",
    "risk_event.resolved",
    "kyb.approved",
    "kyb.rejected",
)
