from django.db import models
from django.db.models import CheckConstraint, Q

from accounts.ledger.models import Transaction
from accounts.transfers.models.transfers import Transfer
from accounts.wallets.models import Wallet
from wallgent.ids import PrefixedIdField
from wallgent.money import CurrencyField, MoneyField


class SuspendedQuerySet(models.QuerySet):
    def waiting(self):
        """Those that nobody has found a wallet for."""
        return self.filter(ended_at=None)

    def locked(self, id: str) -> "Suspended":
        """One as it is now, locked. Its transfer is locked first."""
        found = self.select_related("wallet").select_for_update(no_key=True, of=("self",))
        return found.get(pk=id)


class Suspended(models.Model):
    """Money that came over a rail for a wallet which was closed, or full. It waits for support."""

    id = PrefixedIdField("sus")
    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="suspended")
    amount = MoneyField()
    currency = CurrencyField()
    transaction = models.OneToOneField(Transaction, models.PROTECT, related_name="+")
    # What took it out again, and whom to. To no wallet: back over the rail.
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
                name="suspended_until_it_is_booked_out",
            ),
        ]

    def __str__(self):
        return self.id
