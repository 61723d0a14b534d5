from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from accounts.models import Payment, Wallet
from links.models.payment_links import EMAIL_LENGTH, PaymentLink
from wallgent.ids import PrefixedIdField
from wallgent.money import MoneyField


class Claim(models.Model):
    """One use of a link: who took it, by which method, and what was paid for it."""

    class Method(models.TextChoices):
        ACH = "ACH", "ACH"
        USDC = "USDC", "USDC"
        WALLET = "WALLET", "Wallet"

    class Status(models.TextChoices):
        CLAIMED = "CLAIMED"
        SETTLED = "SETTLED"

    ARROWS = {Status.CLAIMED: {Status.SETTLED}}

    id = PrefixedIdField("clm")
    link = models.ForeignKey(PaymentLink, models.PROTECT, related_name="claims", db_index=False)
    method = models.CharField(max_length=6, choices=Method)
    status = models.CharField(max_length=7, choices=Status, default=Status.CLAIMED)
    wallet = models.ForeignKey(Wallet, models.PROTECT, null=True, blank=True, related_name="+")
    recipient_email = models.CharField(max_length=EMAIL_LENGTH, blank=True, default="")
    amount = MoneyField()
    payment = models.OneToOneField(Payment, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="payment_link_claim_amount_positive"),
            CheckConstraint(
                condition=Q(method="WALLET", wallet__isnull=False)
                | (~Q(method="WALLET") & Q(wallet__isnull=True)),
                name="payment_link_claim_wallet_with_method",
            ),
            CheckConstraint(
                condition=Q(status="SETTLED", settled_at__isnull=False, payment__isnull=False)
                | (~Q(status="SETTLED") & Q(settled_at__isnull=True)),
                name="payment_link_claim_settled_with_payment",
            ),
            # Its index also finds the claims of a link.
            UniqueConstraint(fields=["link", "wallet"], name="payment_link_claimed_once_by_wallet"),
        ]

    def __str__(self):
        return self.id

    def advance(self, status: str, *, at) -> None:
        """Move to another status and note when; the caller saves. The only way it changes."""
        assert status in self.ARROWS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)
        setattr(self, f"{status.lower()}_at", at)
