"""Converts the ledger's refusals into errors of wallets."""

from accounts.ledger import journal
from accounts.wallets.errors import InsufficientFunds, WalletFrozen
from accounts.wallets.models import Wallet
from wallgent import money
from wallgent.errors import DomainError, InvalidAmount, InvalidState


def explain(refused: journal.Refused, *wallets: Wallet) -> DomainError:
    """Return the error for a ledger's refusal that concerns one of `wallets`."""
    wallet_id = next((w.id for w in wallets if w.account_id == refused.account_id), None)
    if refused.outcome == "NO_FUNDS":
        return InsufficientFunds(
            walletId=wallet_id,
            balance=money.amount_text(refused.available),
            requested=money.amount_text(refused.needed),
        )
    if refused.outcome == "FROZEN":
        return WalletFrozen(walletId=wallet_id)
    if refused.outcome == "DEBT":
        return InsufficientFunds(
            "The wallet owes money: it can pay again once what it receives has covered the debt.",
            walletId=wallet_id,
            balance=money.amount_text(refused.available),
            requested=money.amount_text(refused.needed),
        )
    if refused.outcome == "CLOSED":
        return InvalidState("The wallet is closed.", walletId=wallet_id)
    if refused.outcome == "FULL":
        return InvalidAmount("The wallet cannot hold that much.", walletId=wallet_id)
    raise refused  # a bug, not an expected refusal
