"""The label, icon and tone of each status, so that color alone never carries the meaning."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    label: str
    icon: str
    tone: str


_LOOKS = {
    # Wallets, keys, links, members
    "ACTIVE": Look("Active", "circle-check", "success"),
    "FROZEN": Look("Frozen", "snowflake", "info"),
    "CLOSED": Look("Closed", "lock", "neutral"),
    "REVOKED": Look("Revoked", "ban", "neutral"),
    "EXPIRED": Look("Expired", "timer-off", "neutral"),
    "CANCELLED": Look("Cancelled", "circle-x", "neutral"),
    "DISABLED": Look("Disabled", "ban", "neutral"),
    "INVITED": Look("Invited", "mail", "info"),
    "SUSPENDED": Look("Suspended", "pause", "warning"),
    "REMOVED": Look("Removed", "user-minus", "neutral"),
    # Payments, holds, transfers, claims
    "PENDING": Look("Pending", "clock", "warning"),
    "PENDING_APPROVAL": Look("Needs approval", "user-check", "warning"),
    "AWAITING_PAYMENT": Look("Waiting for payment", "hourglass", "warning"),
    "PROCESSING": Look("Processing", "refresh-cw", "info"),
    "POSTED": Look("Posted", "circle-check", "success"),
    "COMPLETED": Look("Completed", "circle-check", "success"),
    "CAPTURED": Look("Captured", "circle-check", "success"),
    "CLAIMED": Look("Claimed", "hand-coins", "info"),
    "SETTLED": Look("Settled", "circle-check", "success"),
    "RELEASED": Look("Released", "lock-open", "neutral"),
    "REVERSED": Look("Reversed", "undo-2", "neutral"),
    "RETURNED": Look("Returned", "undo-2", "warning"),
    "FAILED": Look("Failed", "circle-alert", "error"),
    "APPROVED": Look("Approved", "circle-check", "success"),
    # Orders in the rail simulator
    "ACCEPTED": Look("Accepted", "circle-dot", "info"),
    "NOT_RECEIVED": Look("Not heard", "circle-help", "neutral"),
    # Emails
    "WAITING": Look("Waiting", "clock", "info"),
    "SENT": Look("Sent", "circle-check", "success"),
    # Imports of files, and their rows
    "DRAFT": Look("Not confirmed", "circle-dashed", "neutral"),
    "CREATING": Look("Being made", "refresh-cw", "info"),
    "DONE": Look("Done", "circle-check", "success"),
    "STOPPED": Look("Stopped", "ban", "warning"),
    "READY": Look("Ready", "circle-dot", "info"),
    "WRONG": Look("Has errors", "circle-alert", "error"),
    "CREATED": Look("Made", "circle-check", "success"),
    "REFUSED": Look("Refused", "circle-x", "error"),
    "REJECTED": Look("Rejected", "circle-x", "error"),
    "DENIED": Look("Denied", "shield-x", "error"),
}

STATES = tuple(_LOOKS)


def look_of(value: str) -> Look:
    """Return the look of a status. An unknown status is shown by its name."""
    known = _LOOKS.get(value.upper())
    return known or Look(value.replace("_", " ").capitalize() or "Unknown", "circle", "neutral")
