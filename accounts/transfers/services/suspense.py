"""Money that came over a rail and that its wallet could not take: kept, and then paid out.

Callers who book hold the transfer's lock, under which a return and a payment out exclude each
other.
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


def account(transfer: Transfer) -> str:
    """The ledger account in which a transfer's money waits."""
    return chart.system_id(transfer.environment, LedgerAccount.Kind.SUSPENSE, transfer.currency)


def keep(transfer: Transfer, amount: Decimal, transaction_id: str) -> Suspended:
    """Write down that a transaction has left an amount in suspense, and tell of it."""
    kept = Suspended.objects.create(
        transfer=transfer,
        amount=amount,
        currency=transfer.currency,
        transaction_id=transaction_id,
        created_at=clock.now(transfer),
    )
    actor = organizations.system_actor(transfer.organization, transfer.environment)
    events.record("transfer.suspended", transfer, actor=actor, kept=kept)
    return kept


def of(transaction_id: str) -> Suspended | None:
    """What a transaction has left in suspense, whether it is still there or not."""
    found = Suspended.objects.select_related("wallet")
    return found.filter(transaction=transaction_id).first()


def end(kept: Suspended, transaction_id: str) -> None:
    """Note what took the money out again. The caller holds the lock of its transfer."""
    kept.end_transaction_id, kept.ended_at = transaction_id, clock.now(kept.transfer)
    kept.save(update_fields=["end_transaction", "wallet", "ended_at"])


@transaction.atomic(savepoint=False)
def pay_out(kept: Suspended, *, actor: Actor, wallet_id: str) -> Suspended:
    """Pay what waits into a wallet of the organization that it came for. Support only.

    Raises InvalidState, WalletNotFound, EnvironmentMismatch, ValidationError, InvalidAmount.
    """
    transfer = Transfer.objects.locked(kept.transfer_id)
    kept = Suspended.objects.locked(kept.pk)
    if kept.ended_at is not None:
        raise InvalidState("This does not wait any more.", transferId=transfer.id)
    wallet = wallets.access(wallet_id, actor=actor)
    if wallet.currency != kept.currency:
        raise ValidationError(
            f"This is in {kept.currency}; the wallet holds {wallet.currency}.",
            fields={"walletId": f"must be a wallet in {kept.currency}"},
        )
    transaction_id = ids.new("txn")
    try:
        journal.post(
            transaction_id,
            Move(account(transfer), wallet.account_id, kept.amount, kept.currency),
            book=transfer.environment,
            reason=kept.transaction.reason,  # in the wallet's statement it is what it was
            memo=transfer.description,
            ahead=clock.offset(transfer),
        )
    except journal.Refused as refused:
        raise ledger_errors.explain(refused, wallet) from None
    kept.transfer, kept.wallet = transfer, wallet
    end(kept, transaction_id)
    wallet.account.refresh_from_db()
    told = {"amount": kept.amount, "transaction_id": transaction_id, "source": transfer.id}
    events.record("wallet.funded", wallet, actor=actor, **told)
    return kept
