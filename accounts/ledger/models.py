"""The book: accounts, transactions, entries and holds. It knows no user, wallet or product."""

from django.db import models
from django.db.models import CheckConstraint, F, Q, Sum, UniqueConstraint
from django.db.models.functions import Coalesce

from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.money import ZERO, CurrencyField, MoneyField, TotalField


class LedgerAccountQuerySet(models.QuerySet):
    def locked(self, ids):
        # Everyone locks in id order, so two transactions never wait for each other.
        return self.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)

    def with_exact_balance(self):
        """Annotate `exact_balance`: the booked sum and what is not rolled up yet, in one snapshot.

        Only system accounts have anything unrolled.
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
                # First, so that nobody looks through what is unrolled for each wallet.
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
        ACTIVE = "ACTIVE"
        FROZEN = "FROZEN"  # takes money in, lets none out
        CLOSED = "CLOSED"

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
    book = EnvironmentField()  # sandbox money never meets real money
    kind = models.CharField(max_length=10, choices=Kind)
    type = models.CharField(max_length=9, choices=Type)  # follows from the kind
    is_system = models.BooleanField(default=False)  # ours; may go below zero, never locked
    rail = models.CharField(max_length=20, blank=True, default="")
    currency = CurrencyField()
    owner = models.UUIDField(null=True, blank=True)  # opaque to the ledger
    state = models.CharField(max_length=6, choices=State, default=State.ACTIVE)
    # What a wallet may hold is limited by `ledger_post`. The system's own accounts add up what all
    # wallets do, and a wallet may owe more than it may hold: neither must ever be full.
    balance = TotalField(default=ZERO)
    held = MoneyField(default=ZERO)  # promised, and still part of the balance
    debt = TotalField(default=ZERO)  # what a network forced on us; every credit pays it first
    lines = models.BigIntegerField(default=0)  # the number of the newest line on its page
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LedgerAccountQuerySet.as_manager()

    class Meta:
        db_table = "ledger_account"
        constraints = [
            # One and short: every posting pays for it, twice. What cannot change with a posting
            # is proven by the trigger ledger_account_identity.
            CheckConstraint(
                condition=Q(held__gte=0, debt__gte=0)
                & (Q(is_system=True) | Q(balance__gte=F("held") - F("debt"))),
                name="ledger_account_covers_its_holds",
            ),
            # What an entry's foreign key names, so that it cannot differ in currency or book.
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
    """A balanced set of entries, written once. Status lives on whatever it settles."""

    id = PrefixedIdField("txn")  # chosen by the caller: repeating it posts nothing
    book = EnvironmentField()
    reason = models.CharField(max_length=24)  # "payment", "funding", "reversal", …
    memo = models.CharField(max_length=1024, blank=True, default="")
    reverses = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="reversals", db_index=False
    )
    created_at = models.DateTimeField()  # the payer's clock, read under the lock

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
    # The database's own key covers currency and book, too: see posting.sql.
    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    book = EnvironmentField()
    type = models.CharField(max_length=6, choices=Type)
    amount = MoneyField()
    currency = CurrencyField()
    # Wallets only: a system account is never locked, so it has no order to number.
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
    """A change to a system account, waiting to be added to its balance: no row is hot."""

    id = models.BigAutoField(primary_key=True)
    # No foreign key and no index: rows live for a second, and every payment writes one.
    account = models.ForeignKey(
        LedgerAccount, models.DO_NOTHING, db_constraint=False, db_index=False
    )
    net_debit = MoneyField()  # debits less credits


class Hold(models.Model):
    """Money promised out of an account: still booked, no longer available."""

    id = PrefixedIdField("hld")
    account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="holds")
    amount = MoneyField()
    captured = MoneyField(default=ZERO)
    released = MoneyField(default=ZERO)
    remaining = MoneyField()
    reason = models.CharField(max_length=24)  # what it is for: "payment_link", "card", …
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
    """One step in a hold's life. Its id is the caller's, so a repeated step changes nothing."""

    class Type(models.TextChoices):
        PLACE = "PLACE"
        INCREASE = "INCREASE"
        CAPTURE = "CAPTURE"
        RELEASE = "RELEASE"

    id = models.UUIDField(primary_key=True)
    hold = models.ForeignKey(Hold, models.PROTECT, related_name="operations")
    type = models.CharField(max_length=8, choices=Type)
    amount = MoneyField()
    # A capture's money may be larger than the hold's part of it, never smaller.
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
