from decimal import Decimal

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from accounts.ledger.models import LedgerAccount
from wallgent.actors import Actor
from wallgent.api.json import MetadataDecoder, MetadataEncoder
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.money import ZERO, CurrencyField, MoneyField

# The most that funding calls may add to a sandbox wallet in total (contract 3.26).
SANDBOX_FUNDS_CEILING = Decimal(100_000)


class WalletQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """Return the wallets of the actor's organization and environment, within its scope."""
        wallets = self.filter(organization=actor.organization, environment=actor.environment)
        if actor.wallet_scope is not None:
            wallets = wallets.filter(pk__in=actor.wallet_scope)
        return wallets

    def with_payment_fields(self):
        """Load only the fields that a payment reads. The rest adds a tenth to its time."""
        return self.only(
            *("organization", "environment", "account", "currency"),
            *("account__state", "organization__sandbox_offset"),
        )

    def locked(self, id: str) -> "Wallet":
        """Return a wallet, locked for a decision. Its ledger account is not locked."""
        return self.select_for_update(no_key=True, of=("self",)).get(pk=id)


class WalletManager(models.Manager.from_queryset(WalletQuerySet)):
    def get_queryset(self):
        # Every use of a wallet reads its account, which holds balance, currency and state.
        return super().get_queryset().select_related("account", "organization")


class Wallet(models.Model):
    """Holds money of one currency for an organization or one of its agents."""

    class Type(models.TextChoices):
        ORG = "ORG"
        AGENT = "AGENT"

    Status = LedgerAccount.State

    id = PrefixedIdField("wal")
    organization = models.ForeignKey("Organization", models.PROTECT, related_name="wallets")
    environment = EnvironmentField()
    # The database's foreign key is (account, currency, environment).
    account = models.OneToOneField(LedgerAccount, models.PROTECT)
    currency = CurrencyField()
    name = models.CharField(max_length=256)
    agent_name = models.CharField(max_length=256, blank=True, default="")
    metadata = models.JSONField(
        null=True, blank=True, encoder=MetadataEncoder, decoder=MetadataDecoder
    )
    type = models.CharField(max_length=5, choices=Type)
    # One for each currency; the USD one is created with the organization. It funds agents, pays
    # what a network takes back from closed wallets, and cannot be closed.
    is_default = models.BooleanField(default=False)
    address = models.CharField(max_length=64)  # wg_…, by which agents find each other
    sandbox_funds = MoneyField(default=ZERO)  # total of funding calls
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = WalletManager()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["address"], name="wallet_address_unique"),
            # The target of a payment's foreign keys.
            UniqueConstraint(
                fields=["id", "organization", "environment"], name="wallet_of_its_organization"
            ),
            UniqueConstraint(
                fields=["organization", "environment", "currency"],
                condition=Q(is_default=True),
                name="wallet_one_default",
            ),
            CheckConstraint(
                condition=Q(sandbox_funds__gte=0, sandbox_funds__lte=SANDBOX_FUNDS_CEILING),
                name="wallet_sandbox_funds_within_ceiling",
            ),
            CheckConstraint(
                condition=Q(environment="SANDBOX") | Q(sandbox_funds=0),
                name="wallet_no_sandbox_funds_in_production",
            ),
        ]

    def __str__(self):
        return self.name

    @property
    def status(self) -> str:
        return self.account.state
