"""The refusals of this app, one class for each code of the contract."""

from wallgent.errors import DomainError, NotFound, Unauthorized


class ApiKeyRevoked(Unauthorized):
    code = "API_KEY_REVOKED"
    message = "This API key was revoked. Create a new one in the dashboard or with another key."


class WalletNotFound(NotFound):
    code = "WALLET_NOT_FOUND"
    message = "There is no such wallet."


class TransferNotFound(NotFound):
    code = "TRANSFER_NOT_FOUND"
    message = "There is no such transfer."


class PolicyNotFound(NotFound):
    code = "POLICY_NOT_FOUND"
    message = "There is no such policy."


class WebhookNotFound(NotFound):
    code = "WEBHOOK_NOT_FOUND"
    message = "There is no such webhook."


class MerchantNotFound(NotFound):
    code = "MERCHANT_NOT_FOUND"
    message = "There is no such merchant. Pay a wallet instead: name it in `to`."


class InsufficientFunds(DomainError):
    status = 402
    code = "INSUFFICIENT_FUNDS"
    message = "The wallet's available balance does not cover the amount and any fee. Fund it first."


class PolicyDenied(DomainError):
    status = 403
    code = "POLICY_DENIED"
    message = "A spending policy of the wallet denies this payment."


class WalletFrozen(DomainError):
    status = 403
    code = "WALLET_FROZEN"
    message = "The wallet is frozen. Unfreeze it before money leaves it or is funded into it."


class WalletLimitExceeded(DomainError):
    status = 403
    code = "WALLET_LIMIT_EXCEEDED"
    message = "The plan's number of wallets is reached. Close a wallet or change the plan."


class PlanLimitExceeded(DomainError):
    status = 403
    code = "PLAN_LIMIT_EXCEEDED"
    message = "The plan's limit is reached."


class SandboxOnly(DomainError):
    status = 403
    code = "SANDBOX_ONLY"
    message = "Wallets are funded by a call in the sandbox only. Deposit money in production."


class KybRequired(DomainError):
    status = 403
    code = "KYB_REQUIRED"
    message = "Production is not activated for this organization yet."


class MerchantSuspended(DomainError):
    status = 403
    code = "MERCHANT_SUSPENDED"
    message = "The merchant is suspended and cannot be paid."


class ClosedLoopUnavailable(DomainError):
    code = "CLOSED_LOOP_UNAVAILABLE"
    message = "This payment cannot be made within the closed loop."


class ReversalNotAllowed(DomainError):
    status = 422
    code = "REVERSAL_NOT_ALLOWED"
    message = "This payment cannot be reversed."


class ApprovalRequired(DomainError):
    status = 202
    code = "APPROVAL_REQUIRED"
    message = "A person must approve this payment before it is made."


class BatchPartialFailure(DomainError):
    status = 207
    code = "BATCH_PARTIAL_FAILURE"
    message = "A payment of the batch failed, so none of them was made. See results."
