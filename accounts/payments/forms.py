"""Forms of payments."""

import uuid
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.payments.models import Payment
from accounts.wallets.errors import InsufficientFunds, WalletFrozen, WalletNotFound
from wallgent import clock, ids, money
from wallgent.errors import DomainError
from wallgent.web.forms import AmountField, PageForm
from wallgent.web.listing import Filters

_LATEST_DATE = datetime(9000, 1, 1, tzinfo=UTC).date()  # later dates overflow in some time zones
_CLOCK_SLACK = timedelta(minutes=1)  # an id is created shortly before or after its date


class SendForm(PageForm):
    """The details of a payment. The recipient is an own wallet, or any wallet by its id."""

    sender = forms.ChoiceField(
        label="From",
        error_messages={
            "required": "Choose the wallet that pays.",
            "invalid_choice": "Choose one of your wallets.",
        },
    )
    own = forms.ChoiceField(
        label="To",
        required=False,
        error_messages={"invalid_choice": "Choose one of your wallets, or paste a wallet's id."},
    )
    other = forms.CharField(
        label="Wallet id",
        required=False,
        max_length=64,
        help_text="Of somebody else's wallet. Ask the recipient for it; it starts with wal_.",
        widget=forms.TextInput(
            attrs={"placeholder": "wal_…", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    amount = AmountField(label="Amount", help_text="Such as 25.00, with at most 8 decimals.")
    description = forms.CharField(
        label="Description",
        required=False,
        max_length=1024,
        help_text="Both sides can read it.",
    )

    # The field at which an error is shown that names no field of the form.
    _error_fields = ((InsufficientFunds, "amount"), (WalletFrozen, "sender"))

    def __init__(self, *args, wallets: list, **options):
        super().__init__(*args, **options)
        self.refusal: DomainError | None = None
        self._currencies = {wallet.id: wallet.currency for wallet in wallets}
        self.fields["sender"].choices = [
            ("", "Choose a wallet"),
            *map(_choice_with_balance, wallets),
        ]
        self.fields["own"].choices = [
            ("", "Somebody else's wallet"),
            *((wallet.id, wallet.name) for wallet in wallets),
        ]

    def clean(self):
        data = super().clean()
        own, other = data.get("own"), data.get("other")
        if own and other:
            self.add_error("other", "Choose a wallet of yours or write an id, not both.")
        elif not own and not other and not {"own", "other"} & self.errors.keys():
            self.add_error("other", "Say who is paid: choose a wallet above, or paste its id here.")
        data["recipient"] = own or other
        return data

    def refuse(self, error: DomainError) -> None:
        """Show an error at its field, and keep it: it may contain the id of a failed payment."""
        self.refusal = error
        message = error.message
        if "balance" in error.details:
            balance = Decimal(error.details["balance"])
            currency = self._currencies[self.cleaned_data["sender"]]
            message += f" {money.display(balance, currency)} is available."
        recipient = "own" if self.cleaned_data.get("own") else "other"
        error_fields = (*self._error_fields, (WalletNotFound, recipient))
        field = next((name for kind, name in error_fields if isinstance(error, kind)), None)
        if "to" in error.details.get("fields", {}):
            field = recipient
        if field:
            self.add_error(field, message)
        else:
            super().refuse(error)


def _choice_with_balance(wallet) -> tuple[str, str]:
    available = money.display(wallet.account.available, wallet.currency)
    frozen = ", frozen" if wallet.status == wallet.Status.FROZEN else ""
    return wallet.id, f"{wallet.name} ({available} available{frozen})"


class ReverseForm(PageForm):
    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=1024,
        help_text="If you give one, both sides can read it.",
    )


def _date_input():
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class PaymentFilters(Filters):
    """Filters the list of payments."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Description, payment or wallet id"}
        ),
    )
    wallet = forms.ChoiceField(label="Wallet", required=False)
    direction = forms.ChoiceField(
        label="Direction",
        required=False,
        choices=[
            ("", "In and out"),
            ("in", "In"),
            ("out", "Out"),
            ("within", "Between own wallets"),
        ],
    )
    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[("", "Any status"), *((s.value, s.label) for s in Payment.Status)],
    )
    since = forms.DateField(label="From day", required=False, widget=_date_input())
    until = forms.DateField(label="To day", required=False, widget=_date_input())

    def __init__(self, data=None, *, actor, wallets: list):
        super().__init__(data)
        self._actor = actor
        self.fields["wallet"].choices = [
            ("", "All wallets"),
            *((wallet.id, wallet.name) for wallet in wallets),
        ]

    def apply(self, rows: QuerySet) -> QuerySet:
        data = self.cleaned_data
        if data["q"]:
            rows = rows.filter(_matching(data["q"]))
        rows = self._by_direction(rows, data["wallet"], data["direction"])
        if data["status"]:
            rows = rows.filter(status=data["status"])
        return self._by_date(rows, data["since"], data["until"])

    def _by_direction(self, rows, wallet_id: str, direction: str):
        own = self._actor.organization
        within = Q(organization=own, recipient_organization=own)
        if direction == "within":
            rows = rows.filter(within)
        if wallet_id:
            sides = {"in": Q(recipient=wallet_id), "out": Q(sender=wallet_id)}
            return rows.filter(sides.get(direction, Q(sender=wallet_id) | Q(recipient=wallet_id)))
        if direction == "in":
            return rows.filter(~Q(organization=own), recipient_organization=own)
        if direction == "out":
            return rows.filter(~Q(recipient_organization=own), organization=own)
        return rows

    def _by_date(self, rows, since, until):
        # Ids are indexed and contain the real time at which a payment was created and settled. The
        # viewer's clock has only moved forward, so it was never behind that time, nor further ahead
        # of it than it is now.
        rows = rows.dated_for(self._actor.organization)
        if since:
            start = _midnight(since)
            earliest = start - clock.offset(self._actor) - _CLOCK_SLACK
            rows = rows.filter(dated_at__gte=start, pk__gte=_id_at(earliest))
        if until:
            end = _midnight(min(until, _LATEST_DATE) + timedelta(days=1))
            rows = rows.filter(dated_at__lt=end, pk__lte=_id_at(end + _CLOCK_SLACK))
        return rows


def _matching(text: str) -> Q:
    """The condition for a search: a payment id, a wallet id or part of a description."""
    text = text.strip()
    if payment_id := ids.parse(text, "txn"):
        return Q(pk=payment_id)
    if wallet_id := ids.parse(text, "wal"):
        return Q(sender=wallet_id) | Q(recipient=wallet_id)
    return Q(description__icontains=text)


def _midnight(day) -> datetime:
    """Return the start of the day in the viewer's time zone."""
    return timezone.make_aware(datetime.combine(min(max(day, _FIRST_DATE), _LATEST_DATE), time.min))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DATE = (_EPOCH + timedelta(days=2)).date()


def _id_at(instant: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of the instant."""
    return uuid.UUID(int=max((instant - _EPOCH) // timedelta(milliseconds=1), 0) << 80)
