"""The ledger: accounts, transactions, entries and holds, independent of users and products."""

from django.db import models
from django.db.models import CheckConstraint, F, Q, Sum, UniqueConstraint
from django.db.models.functions import Coalesce

from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.money import ZERO, CurrencyField, MoneyField, TotalField


class LedgerAccountQuerySet(models.QuerySet):
    def locked(self, ids):
        # Always in id order, so that two transactions never wait for each other.
        return self.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)

    def with_exact_balance(self):
        """Annotate `exact_balance`: the balance with the changes that are not rolled up yet.

        Only system accounts have such changes.
        """
        unrolled = (
            Unrolled.objects.filter(account=models.OuterRef("pk"))
            .order_by()
            .values("account")
            .annotate(total=Sum("net_debit"))
            .values("total")
        )
        waiting = Coalesce(models.Subquery(unrolled), ZERO, output_field=MoneyField())
        return self.annotate(
            exact_balance=models.Case(
                # First, so that the unrolled changes are not searched for each wallet.
                models.When(is_system=False, then=F("balance")),
                models.When(type__in=LedgerAccount.DEBIT_NORMAL, then=F("balance") + waiting),
                default=F("balance") - waiting,
            )
        )


class LedgerAccount(models.Model):
    """One currency on its normal side. A wallet is a LIABILITY: money we owe its owner."""

    class Type(models.TextChoices):
        ASSET = "ASSET"
        LIABILITY = "LIABILITY"
        REVENUE = "REVENUE"
        EXPENSE = "EXPENSE"
        EQUITY = "EQUITY"

    class Kind(models.TextChoices):
        WALLET = "WALLET"
        TREASURY = "TREASURY"
        IN_TRANSIT = "IN_TRANSIT"
        FEES = "FEES"
        EXPENSES = "EXPENSES"
        SUSPENSE = "SUSPENSE"
        EXCHANGE = "EXCHANGE"

    class State(models.TextChoices):
        ACTIVE = "ACTIVE", "Active"
        FROZEN = "FROZEN", "Frozen"  # can receive money, cannot pay
        CLOSED = "CLOSED", "Closed"

    DEBIT_NORMAL = (Type.ASSET, Type.EXPENSE)
    TYPES = {
        Kind.WALLET: Type.LIABILITY,
        Kind.TREASURY: Type.ASSET,
        Kind.IN_TRANSIT: Type.ASSET,
        Kind.FEES: Type.REVENUE,
        Kind.EXPENSES: Type.EXPENSE,
        Kind.SUSPENSE: Type.LIABILITY,
        Kind.EXCHANGE: Type.ASSET,
    }

    id = PrefixedIdField("acc")
    book = EnvironmentField()  # sandbox money and real money are separate
    kind = models.CharField(max_length=10, choices=Kind)
    type = models.CharField(max_length=9, choices=Type)  # follows from the kind
    is_system = models.BooleanField(default=False)  # our own; may be negative, is never locked
    rail = models.CharField(max_length=20, blank=True, default="")
    currency = CurrencyField()
    owner = models.UUIDField(null=True, blank=True)  # opaque to the ledger
    state = models.CharField(max_length=6, choices=State, default=State.ACTIVE)
    # `ledger_post` limits the balance of a wallet. System accounts add up the changes of all
    # wallets, and the debt of a wallet may exceed that limit, so these columns are wider.
    balance = TotalField(default=ZERO)
    held = MoneyField(default=ZERO)  # reserved, and still part of the balance
    debt = TotalField(default=ZERO)  # from forced postings; every credit pays it first
    lines = models.BigIntegerField(default=0)  # the number of its newest entry
    last_entry_at = models.DateTimeField(null=True, blank=True)  # the date of that entry
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LedgerAccountQuerySet.as_manager()

    class Meta:
        db_table = "ledger_account"
        constraints = [
            # A single short constraint: every posting evaluates it twice. What a posting cannot
            # change is checked by the trigger ledger_account_identity.
            CheckConstraint(
                condition=Q(held__gte=0, debt__gte=0)
                & (Q(is_system=True) | Q(balance__gte=F("held") - F("debt"))),
                name="ledger_account_covers_its_holds",
            ),
            # The target of an entry's foreign key, so that both have one currency and book.
            UniqueConstraint(fields=["id", "currency", "book"], name="ledger_account_in_its_book"),
            UniqueConstraint(
                fields=["book", "kind", "currency", "rail"],
                condition=Q(is_system=True),
                name="ledger_system_account_unique",
            ),
        ]

    @property
    def available(self):
        return self.balance - self.held


class Transaction(models.Model):
    """A balanced set of entries. Immutable; the object that it settles has the status."""

    id = PrefixedIdField("txn")  # chosen by the caller; posting it again does nothing
    book = EnvironmentField()
    reason = models.CharField(max_length=24)  # of a declared movement, such as "payment"
    memo = models.CharField(max_length=1024, blank=True, default="")
    reverses = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="reversals", db_index=False
    )
    created_at = models.DateTimeField()  # on the payer's clock, read under the lock

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["reverses"],
                condition=Q(reverses__isnull=False),
                name="ledger_transaction_reversed_once",
            ),
        ]


class Entry(models.Model):
    """One side of a transaction on one account. Immutable."""

    class Type(models.TextChoices):
        DEBIT = "DEBIT"
        CREDIT = "CREDIT"

    id = PrefixedIdField("ent")
    transaction = models.ForeignKey(Transaction, models.PROTECT, related_name="entries")
    # The foreign key in the database includes currency and book: see posting.sql.
    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    book = EnvironmentField()
    type = models.CharField(max_length=6, choices=Type)
    amount = MoneyField()
    currency = CurrencyField()
    # On the clock of the account's owner, so the sides of a transaction can have different dates.
    # On one account, dates never decrease from line to line.
    created_at = models.DateTimeField()
    # For wallets only: a system account is never locked, so its entries have no order.
    line = models.BigIntegerField(null=True, blank=True)
    balance_after = TotalField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="ledger_entry_amount_positive"),
            CheckConstraint(
                condition=Q(line__isnull=True, balance_after__isnull=True)
                | Q(line__isnull=False, balance_after__isnull=False),
                name="ledger_entry_line_has_balance",
            ),
            UniqueConstraint(fields=["account", "line"], name="ledger_entry_line_unique"),
        ]


class Unrolled(models.Model):
    """A change to a system account that waits to be added to its balance.

    Payments insert rows here instead of all updating the same account row.
    """

    id = models.BigAutoField(primary_key=True)
    # No foreign key and no index: rows exist for about a second, and every payment inserts one.
    account = models.ForeignKey(
        LedgerAccount, models.DO_NOTHING, db_constraint=False, db_index=False
    )
    net_debit = MoneyField()  # debits less credits


class Hold(models.Model):
    """Money reserved on an account: part of the balance, but no longer available."""

    id = PrefixedIdField("hld")
    account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="holds")
    amount = MoneyField()
    captured = MoneyField(default=ZERO)
    released = MoneyField(default=ZERO)
    remaining = MoneyField()
    reason = models.CharField(max_length=24)  # of a declared movement, such as "payment_link"
    reference = models.CharField(max_length=64, blank=True, default="")
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)  # when nothing remained

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(amount=F("captured") + F("released") + F("remaining")),
                name="ledger_hold_adds_up",
            ),
            CheckConstraint(
                condition=Q(amount__gt=0, captured__gte=0, released__gte=0, remaining__gte=0),
                name="ledger_hold_parts_not_negative",
            ),
            CheckConstraint(
                condition=Q(remaining=0, ended_at__isnull=False)
                | Q(remaining__gt=0, ended_at__isnull=True),
                name="ledger_hold_ends_when_empty",
            ),
        ]
        indexes = [
            models.Index(fields=["account"], condition=Q(remaining__gt=0), name="ledger_hold_open"),
        ]


class HoldOperation(models.Model):
    """One step of a hold. The caller chooses its id, so that a repeated step changes nothing."""

    class Type(models.TextChoices):
        PLACE = "PLACE"
        INCREASE = "INCREASE"
        CAPTURE = "CAPTURE"
        RELEASE = "RELEASE"

    id = models.UUIDField(primary_key=True)
    hold = models.ForeignKey(Hold, models.PROTECT, related_name="operations")
    type = models.CharField(max_length=8, choices=Type)
    amount = MoneyField()
    # Of a capture; it may move more than `amount`, never less.
    transaction = models.OneToOneField(Transaction, models.PROTECT, null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(amount__gt=0), name="ledger_hold_operation_positive"),
            CheckConstraint(
                condition=Q(type="CAPTURE", transaction__isnull=False)
                | (~Q(type="CAPTURE") & Q(transaction__isnull=True)),
                name="ledger_hold_operation_capture_posts",
            ),
        ]
