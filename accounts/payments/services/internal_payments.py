"""Transfers between an organization's own wallets."""

from django.db import transaction

from accounts.errors import WalletNotFound
from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import Parties, PaymentRequest
from wallgent.actors import Actor


def internal_parties(order: PaymentRequest, *, actor: Actor) -> Parties:
    """The wallets of an internal transfer: a stranger's wallet does not exist here.

    Raises what `payments.parties` raises.
    """
    parties = payments.parties(order, actor=actor)
    if parties.recipient.organization_id != actor.organization.id:
        raise WalletNotFound("This organization has no such wallet to transfer to.")
    return parties


@transaction.atomic(savepoint=False)
def internal(parties: Parties, *, actor: Actor) -> Payment:
    """Move money between two wallets of one organization, free of charge.

    Raises what `payments.create` raises.
    """
    return payments.create(parties, actor=actor, kind=Payment.Kind.INTERNAL)
