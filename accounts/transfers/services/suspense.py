"""Money received over a rail that its wallet could not take: recorded, and later paid out.

Callers that post hold the transfer's lock, so that a return and a payout exclude each other.
"""

from decimal import Decimal

from django.db import transaction

from accounts.ledger import chart, journal
from accounts.ledger.journal import Move
from accounts.ledger.models import LedgerAccount
from accounts.organizations.services import organizations
from accounts.transfers.models import Suspended, Transfer
from accounts.wallets import ledger_errors
from accounts.wallets import services as wallets
from wallgent import clock, events, ids
from wallgent.actors import Actor
from wallgent.errors import InvalidState, ValidationError


def account_id(transfer: Transfer) -> str:
    """Return the id of the suspense account for the transfer's environment and currency."""
    return chart.system_id(transfer.environment, LedgerAccount.Kind.SUSPENSE, transfer.currency)


def record(transfer: Transfer, amount: Decimal, transaction_id: str) -> Suspended:
    """Record an amount that a ledger transaction put into suspense, with its event."""
    suspended = Suspended.objects.create(
        transfer=transfer,
        amount=amount,
        currency=transfer.currency,
        transaction_id=transaction_id,
        created_at=clock.now(transfer),
    )
    actor = organizations.system_actor(transfer.organization, transfer.environment)
    events.record(
        "transfer.suspended",
        transfer,
        actor=actor,
        amount=amount,
        suspended_id=suspended.id,
        transaction_id=transaction_id,
    )
    return suspended


def find(transaction_id: str) -> Suspended | None:
    """Return what a ledger transaction put into suspense, ended or not."""
    found = Suspended.objects.select_related("wallet")
    return found.filter(transaction=transaction_id).first()


def end(suspended: Suspended, transaction_id: str) -> None:
    """Record the ledger transaction that took the money out of suspense.

    The caller holds the transfer's lock.
    """
    suspended.end_transaction_id = transaction_id
    suspended.ended_at = clock.now(suspended.transfer)
    suspended.save(update_fields=["end_transaction", "wallet", "ended_at"])


@transaction.atomic(savepoint=False)
def pay_out(suspended: Suspended, *, actor: Actor, wallet_id: str) -> Suspended:
    """Pay suspended money into a wallet of the organization it was sent to. Support only.

    Raises InvalidState, WalletNotFound, EnvironmentMismatch, ValidationError, InvalidAmount.
    """
    transfer = Transfer.objects.locked(suspended.transfer_id)
    suspended = Suspended.objects.locked(suspended.pk)
    if suspended.ended_at is not None:
        raise InvalidState("This does not wait any more.", transferId=transfer.id)
    wallet = wallets.access(wallet_id, actor=actor)
    if wallet.currency != suspended.currency:
        raise ValidationError(
            f"This is in {suspended.currency}; the wallet holds {wallet.currency}.",
            fields={"walletId": f"must be a wallet in {suspended.currency}"},
        )
    transaction_id = ids.new("txn")
    amount = suspended.amount
    try:
        journal.post(
            transaction_id,
            Move(account_id(transfer), wallet.account_id, amount, suspended.currency),
            book=transfer.environment,
            reason=suspended.transaction.reason,  # the wallet's statement shows the original reason
            memo=transfer.description,
            ahead=clock.offset(transfer),
        )
    except journal.Refused as refused:
        raise ledger_errors.explain(refused, wallet) from None
    suspended.transfer, suspended.wallet = transfer, wallet
    end(suspended, transaction_id)
    wallet.account.refresh_from_db()
    funding = {"amount": amount, "transaction_id": transaction_id, "source": transfer.id}
    events.record("wallet.funded", wallet, actor=actor, **funding)
    return suspended
