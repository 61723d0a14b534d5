from datetime import datetime

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from accounts.ledger.models import Hold, Transaction
from accounts.payments.models import Payment
from accounts.transfers.models import Transfer
from accounts.wallets.models import Wallet
from links.payment_links.models.payment_links import EMAIL_LENGTH, PaymentLink
from wallgent.ids import PrefixedIdField
from wallgent.money import MoneyField

REASON_LENGTH = 512


class ClaimStatus(models.TextChoices):
    """The progress of a claim."""

    PENDING_APPROVAL = (
        "PENDING_APPROVAL",
        "Needs approval",
    )  # a pay request: consumes no use before its approval
    AWAITING_PAYMENT = "AWAITING_PAYMENT", "Open"  # an address was shown; not paid in full yet
    CLAIMED = "CLAIMED", "Processing"  # a transfer is under way
    SETTLED = "SETTLED", "Paid"
    FAILED = "FAILED", "Failed"  # no money moved
    REJECTED = "REJECTED", "Declined"  # the payer declined
    EXPIRED = "EXPIRED", "Expired"  # the payer did not pay or decide in time
    RETURNED = "RETURNED", "Returned"  # the money had arrived and was returned


_OPEN = ("PENDING_APPROVAL", "AWAITING_PAYMENT", "CLAIMED")
_OVER = ("FAILED", "REJECTED", "EXPIRED", "RETURNED")
_PAID = ("SETTLED", "RETURNED")


class Claim(models.Model):
    """A use of a link: the claimant, the method, and the money that moves."""

    class Method(models.TextChoices):
        ACH = "ACH", "ACH"
        USDC = "USDC", "USDC"
        WALLET = "WALLET", "Wallet"

    Status = ClaimStatus
    TRANSITIONS = {
        Status.PENDING_APPROVAL: {Status.SETTLED, Status.REJECTED, Status.EXPIRED},
        Status.AWAITING_PAYMENT: {Status.SETTLED, Status.EXPIRED},
        Status.CLAIMED: {Status.SETTLED, Status.FAILED},
        Status.EXPIRED: {Status.SETTLED},  # paid late, while the link had a use left
        Status.SETTLED: {Status.RETURNED},
    }

    id = PrefixedIdField("clm")
    link = models.ForeignKey(PaymentLink, models.PROTECT, related_name="claims", db_index=False)
    method = models.CharField(max_length=6, choices=Method)
    status = models.CharField(max_length=16, choices=Status, default=Status.CLAIMED)
    # Whether it consumes one of the link's uses.
    consumes_use = models.BooleanField(default=True)
    # The wallet that a SEND link pays, or that pays a RECEIVE link.
    wallet = models.ForeignKey(Wallet, models.PROTECT, null=True, blank=True, related_name="+")
    # A keyed digest of the claimant's wallet, bank account or address; empty if unknown.
    claimant_fingerprint = models.CharField(max_length=64, blank=True, default="")
    recipient_email = models.CharField(max_length=EMAIL_LENGTH, blank=True, default="")
    # Whether the link is for certain emails: then each email may use it only once, too.
    is_by_email = models.BooleanField(default=False)
    amount = MoneyField()
    payment = models.OneToOneField(Payment, models.PROTECT, null=True, blank=True, related_name="+")
    transfer = models.OneToOneField(
        Transfer, models.PROTECT, null=True, blank=True, related_name="+"
    )
    # The ledger transaction of the payment or the transfer.
    transaction = models.ForeignKey(
        Transaction, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    # The hold that a SEND link pays the claim from.
    hold = models.ForeignKey(Hold, models.PROTECT, null=True, blank=True, related_name="+")
    failure_reason = models.CharField(max_length=REASON_LENGTH, blank=True, default="")
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # ended unpaid, or was returned
    deadline_at = models.DateTimeField(null=True, blank=True)  # ends if still open then

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="payment_link_claim_amount_positive"),
            CheckConstraint(
                condition=Q(method="WALLET", wallet__isnull=False, transfer__isnull=True)
                | (
                    ~Q(method="WALLET")
                    & Q(wallet__isnull=True, payment__isnull=True, transfer__isnull=False)
                ),
                name="payment_link_claim_wallet_with_method",
            ),
            CheckConstraint(
                condition=(
                    Q(status__in=_PAID, settled_at__isnull=False, transaction__isnull=False)
                    & (Q(payment__isnull=False) | Q(transfer__isnull=False))
                )
                | (
                    ~Q(status__in=_PAID)
                    & Q(settled_at__isnull=True, payment__isnull=True, transaction__isnull=True)
                ),
                name="payment_link_claim_settled_with_payment",
            ),
            CheckConstraint(
                condition=Q(
                    status__in=["AWAITING_PAYMENT", "CLAIMED", "SETTLED"], consumes_use=True
                )
                | Q(
                    status__in=["PENDING_APPROVAL", "FAILED", "REJECTED", "EXPIRED"],
                    consumes_use=False,
                )
                | Q(status="RETURNED"),
                name="payment_link_claim_consumes_its_use",
            ),
            CheckConstraint(
                condition=Q(status__in=_OVER, ended_at__isnull=False)
                | (~Q(status__in=_OVER) & Q(ended_at__isnull=True)),
                name="payment_link_claim_ended_at_with_status",
            ),
            CheckConstraint(
                condition=~Q(status__in=_OPEN) | Q(deadline_at__isnull=False),
                name="payment_link_claim_open_has_a_deadline",
            ),
            UniqueConstraint(
                fields=["link", "claimant_fingerprint"],
                condition=Q(consumes_use=True) & ~Q(claimant_fingerprint=""),
                name="payment_link_claimed_once_by_claimant",
            ),
            UniqueConstraint(
                fields=["link", "recipient_email"],
                condition=Q(consumes_use=True, is_by_email=True),
                name="payment_link_claimed_once_by_email",
            ),
            UniqueConstraint(
                fields=["link", "wallet"],
                condition=Q(status="PENDING_APPROVAL"),
                name="payment_link_asks_a_wallet_once",
            ),
        ]
        indexes = [models.Index(fields=["link", "-id"], name="payment_link_claims")]

    def __str__(self):
        return self.id

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN

    def advance(self, status: str, *, at: datetime, reason: str = "") -> None:
        """Change the status, its time and reason; the caller saves. The only way it changes."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)
        self.failure_reason = reason[:REASON_LENGTH]
        if status == self.Status.SETTLED:
            self.settled_at, self.ended_at = at, None
        else:
            self.ended_at = at


class ClaimStep(models.Model):
    """A step in the history of a claim."""

    id = models.BigAutoField(primary_key=True)
    claim = models.ForeignKey(Claim, models.PROTECT, related_name="history")
    status = models.CharField(max_length=16, choices=ClaimStatus)
    reason = models.CharField(max_length=REASON_LENGTH, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"{self.status} {self.at}"
