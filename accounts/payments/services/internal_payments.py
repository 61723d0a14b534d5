"""Internal payments: between an organization's own wallets, free of charge."""

from django.db import transaction

from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets.errors import WalletNotFound
from accounts.wallets.models import Wallet
from wallgent.actors import Actor


def resolve_wallets(sender_id: str, recipient_id: str, *, actor: Actor) -> tuple[Wallet, Wallet]:
    """Return the wallets of an internal payment. Raises what `payments.resolve_wallets` does.

    A wallet of another organization is not found.
    """
    sender, recipient = payments.resolve_wallets(sender_id, recipient_id, actor=actor)
    if recipient.organization_id != actor.organization.id:
        raise WalletNotFound("This organization has no such wallet to transfer to.")
    return sender, recipient


@transaction.atomic(savepoint=False)
def create(request: PaymentRequest, *, actor: Actor) -> Payment:
    """Move money between two wallets of one organization, free of charge.

    Raises what `payments.create` raises.
    """
    return payments.create(request, actor=actor, kind=Payment.Kind.INTERNAL)
