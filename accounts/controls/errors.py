"""Errors of policies and approvals."""

from wallgent.errors import DomainError, NotFound


class PolicyNotFound(NotFound):
    code = "POLICY_NOT_FOUND"
    message = "There is no such policy."


class PolicyDenied(DomainError):
    status = 403
    code = "POLICY_DENIED"
    message = "A spending policy of the wallet denies this payment."


class ApprovalRequired(DomainError):
    status = 202
    code = "APPROVAL_REQUIRED"
    message = "A person must approve this payment before it is made."
