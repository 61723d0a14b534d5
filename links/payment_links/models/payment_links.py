from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from accounts.ledger.models import Hold, Transaction
from accounts.organizations.models import LinkDirection, Organization
from accounts.wallets.models import Wallet
from wallgent import clock, public_origin
from wallgent.actors import Actor
from wallgent.api.json import MetadataDecoder, MetadataEncoder
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.mail import addresses
from wallgent.money import CurrencyField, MoneyField

MAX_USES_LIMIT = 10_000
EMAIL_LENGTH = addresses.MAX_LENGTH

PURPOSE = "payment_link"  # of the transfers, approvals, holds and payments of links
PAYMENT_KIND = PURPOSE.upper()


class LinkAddress(NamedTuple):
    """The address of a link; None if the reader may not know it."""

    slug: str | None
    url: str | None


class PaymentLinkQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """The links of the actor's organization and environment, within its wallet scope."""
        links = self.filter(organization=actor.organization, environment=actor.environment)
        if actor.wallet_scope is not None:
            links = links.filter(wallet__in=actor.wallet_scope)
        return links

    def in_status(self, status: str):
        """The links in a status. CLAIMED includes SETTLED (contract C11)."""
        both = (PaymentLink.Status.CLAIMED, PaymentLink.Status.SETTLED)
        return self.filter(status__in=both if status == both[0] else [status])

    def with_parties(self):
        """Select the organization, whose clock counts, and the wallet as a payment reads it."""
        return self.select_related("organization", "wallet__account", "wallet__organization")

    def locked(self, id: str) -> "PaymentLink":
        """Lock a link and return its current state. Every change to a link locks it first."""
        links = self.with_parties().select_for_update(no_key=True, of=("self",))
        return links.get(pk=id)


class PaymentLink(models.Model):
    """A secret address at which anyone who knows it is paid (SEND) or pays (RECEIVE)."""

    Direction = LinkDirection

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", "Open"
        CLAIMED = "CLAIMED", "Processing"  # no use remains
        SETTLED = "SETTLED", "Paid"  # and the money of every use has arrived
        EXPIRED = "EXPIRED", "Expired"
        CANCELLED = "CANCELLED", "Canceled"

    class Proof(models.TextChoices):
        TYPED = "TYPED"  # the claimant just enters the email
        CODE = "CODE"  # the claimant enters a code that is sent to the email

    TRANSITIONS = {
        Status.ACTIVE: {Status.CLAIMED, Status.EXPIRED, Status.CANCELLED},
        Status.CLAIMED: {Status.SETTLED, Status.ACTIVE},
        Status.SETTLED: {Status.ACTIVE},  # a payment was returned
    }

    PREFIXES = ("lnk", "pyl", "plink")  # accepted in ids (contract C10)

    id = PrefixedIdField("lnk")
    slug = models.CharField(max_length=64)  # a bearer secret: anyone who has it may claim
    # A composite foreign key in the database links (wallet, organization, environment).
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    environment = EnvironmentField()
    wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="payment_links", db_index=False, db_constraint=False
    )
    direction = models.CharField(max_length=7, choices=Direction)
    status = models.CharField(max_length=9, choices=Status, default=Status.ACTIVE)
    amount = MoneyField()  # of one use
    currency = CurrencyField()
    description = models.CharField(max_length=1024, blank=True, default="")
    # A claim must match every list that is not empty.
    emails = ArrayField(models.CharField(max_length=EMAIL_LENGTH), default=list, blank=True)
    wallet_ids = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    proof = models.CharField(max_length=5, choices=Proof, default=Proof.TYPED)
    metadata = models.JSONField(
        null=True, blank=True, encoder=MetadataEncoder, decoder=MetadataDecoder
    )
    max_uses = models.PositiveIntegerField(default=1)
    use_count = models.PositiveIntegerField(default=0)
    hold = models.OneToOneField(Hold, models.PROTECT, null=True, blank=True, related_name="+")
    # Of the last settled claim.
    transaction = models.ForeignKey(
        Transaction, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    # When a use was last released, and why, for the link's organization.
    reopened_at = models.DateTimeField(null=True, blank=True)
    reopen_reason = models.CharField(max_length=512, blank=True, default="")

    objects = PaymentLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["slug"], name="payment_link_slug_unique"),
            CheckConstraint(condition=Q(amount__gt=0), name="payment_link_amount_positive"),
            CheckConstraint(
                condition=Q(slug__regex=r"^[\w-]{22,}$"), name="payment_link_slug_long"
            ),
            CheckConstraint(
                condition=Q(max_uses__gte=1, max_uses__lte=MAX_USES_LIMIT, use_count__gte=0),
                name="payment_link_uses_within_limits",
            ),
            CheckConstraint(
                condition=Q(status__in=["CLAIMED", "SETTLED"], use_count=F("max_uses"))
                | Q(status__in=["ACTIVE", "EXPIRED", "CANCELLED"], use_count__lt=F("max_uses")),
                name="payment_link_claimed_when_used_up",
            ),
            CheckConstraint(
                condition=~Q(status="SETTLED") | Q(transaction__isnull=False),
                name="payment_link_settled_by_a_transaction",
            ),
            CheckConstraint(
                condition=Q(direction="SEND", hold__isnull=False)
                | Q(direction="RECEIVE", hold__isnull=True),
                name="payment_link_sends_out_of_a_hold",
            ),
            CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
                name="payment_link_expires_after_creation",
            ),
            CheckConstraint(
                condition=Q(status__in=["CLAIMED", "SETTLED"], claimed_at__isnull=False)
                | (~Q(status__in=["CLAIMED", "SETTLED"]) & Q(claimed_at__isnull=True)),
                name="payment_link_claimed_at_with_status",
            ),
            CheckConstraint(
                condition=Q(status="SETTLED", settled_at__isnull=False)
                | (~Q(status="SETTLED") & Q(settled_at__isnull=True)),
                name="payment_link_settled_at_with_status",
            ),
            CheckConstraint(
                condition=Q(status="EXPIRED", expired_at__isnull=False, expires_at__isnull=False)
                | (~Q(status="EXPIRED") & Q(expired_at__isnull=True)),
                name="payment_link_expired_at_with_status",
            ),
            CheckConstraint(
                condition=Q(status="CANCELLED", cancelled_at__isnull=False)
                | (~Q(status="CANCELLED") & Q(cancelled_at__isnull=True)),
                name="payment_link_cancelled_at_with_status",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "environment", "-id"], name="payment_link_by_organization"
            ),
            models.Index(fields=["wallet", "-id"], name="payment_link_by_wallet"),
        ]

    def __str__(self):
        return self.id

    @property
    def url(self) -> str:
        """The public page, for the link's recipient. Use `address_for` for other readers."""
        return public_origin.url(f"/pay/{self.slug}")

    def address_for(self, actor: Actor | None) -> LinkAddress:
        """The slug and url that `actor` may know. Every view and event uses this rule.

        Anyone with the address of a SEND link can claim its money, so it is shown only to actors
        who may pay from its wallet. An `actor` of None stands for unknown readers, such as those
        of an event or a stored answer, who get the address of no SEND link.
        """
        may_pay = (
            actor is not None
            and actor.may("payments:write")
            and actor.organization.id == self.organization_id
            and actor.environment == self.environment
            and actor.covers(self.wallet_id)
        )
        if self.direction == LinkDirection.SEND and not may_pay:
            return LinkAddress(None, None)
        return LinkAddress(self.slug, self.url)

    @property
    def is_past_expiry(self) -> bool:
        """Whether it has expired by its organization's clock, whatever its status."""
        return self.expires_at is not None and self.expires_at <= clock.now(self)

    @property
    def is_open(self) -> bool:
        """Whether a visitor can still use it."""
        return self.status == self.Status.ACTIVE and not self.is_past_expiry

    @property
    def status_now(self) -> Status:
        """Its status, or EXPIRED if that has not been saved yet."""
        is_lapsed = self.status == self.Status.ACTIVE and self.is_past_expiry
        return self.Status.EXPIRED if is_lapsed else self.Status(self.status)

    @property
    def unclaimed(self) -> Decimal:
        """The amount of all its remaining uses."""
        return self.amount * (self.max_uses - self.use_count)

    @property
    def is_restricted(self) -> bool:
        return bool(self.emails or self.wallet_ids)

    def advance(self, status: str, *, at: datetime) -> None:
        """Change the status and set its time; the caller saves. The only way it changes."""
        assert status in self.TRANSITIONS.get(self.status, ()), f"{self.status} -> {status}"
        self.status = self.Status(status)
        if status == self.Status.ACTIVE:
            self.claimed_at = self.settled_at = None
        else:
            setattr(self, f"{status.lower()}_at", at)
