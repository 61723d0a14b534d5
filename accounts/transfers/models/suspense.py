"""Money in suspense: received over a rail, but its wallet could not take it."""

from django.db import models
from django.db.models import CheckConstraint, Q

from accounts.ledger.models import Transaction
from accounts.transfers.models.transfers import Transfer
from accounts.wallets.models import Wallet
from wallgent.ids import PrefixedIdField
from wallgent.money import CurrencyField, MoneyField


class SuspendedQuerySet(models.QuerySet):
    def waiting(self):
        """What is still in suspense: neither paid out nor returned."""
        return self.filter(ended_at=None)

    def locked(self, id: str) -> "Suspended":
        """Return one as it is now, locked. The caller has locked its transfer first."""
        found = self.select_related("wallet").select_for_update(no_key=True, of=("self",))
        return found.get(pk=id)


class Suspended(models.Model):
    """Money received for a wallet that was closed or full. Support pays it into another wallet."""

    id = PrefixedIdField("sus")
    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="suspended")
    amount = MoneyField()
    currency = CurrencyField()
    transaction = models.OneToOneField(Transaction, models.PROTECT, related_name="+")
    # The transaction that took it out, and the wallet paid. No wallet: a return took it back.
    end_transaction = models.OneToOneField(
        Transaction, models.PROTECT, null=True, blank=True, related_name="+"
    )
    wallet = models.ForeignKey(Wallet, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = SuspendedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "suspended"
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="suspended_amount_positive"),
            CheckConstraint(
                condition=Q(ended_at__isnull=True, end_transaction__isnull=True, wallet=None)
                | Q(ended_at__isnull=False, end_transaction__isnull=False),
                name="suspended_ended_with_transaction",
            ),
        ]

    def __str__(self):
        return self.id
