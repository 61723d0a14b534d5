"""Errors of wallets."""

from wallgent.errors import DomainError, NotFound


class WalletNotFound(NotFound):
    code = "WALLET_NOT_FOUND"
    message = "There is no such wallet."


class InsufficientFunds(DomainError):
    status = 402
    code = "INSUFFICIENT_FUNDS"
    message = "The wallet's available balance does not cover the amount and any fee. Fund it first."


class WalletFrozen(DomainError):
    status = 403
    code = "WALLET_FROZEN"
    message = "The wallet is frozen. Unfreeze it before money leaves it or is funded into it."


class WalletLimitExceeded(DomainError):
    status = 403
    code = "WALLET_LIMIT_EXCEEDED"
    message = "The plan's number of wallets is reached. Close a wallet or change the plan."
