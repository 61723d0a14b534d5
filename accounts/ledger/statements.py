"""Read the ledger: entries, holds, balances at an instant, trial balance."""

from datetime import datetime
from decimal import Decimal

from django.db import connection, models
from django.db.models import Case, F, Q, Sum, When

from accounts.ledger.models import Entry, Hold, LedgerAccount
from wallgent import ids
from wallgent.money import ZERO


class HoldStatus(models.TextChoices):
    PENDING = "PENDING", "On hold"  # some of it remains reserved
    RELEASED = "RELEASED", "Captured"  # ended, and some of it was captured
    REVERSED = "REVERSED", "Released"  # ended, and all of it was released


def lines(account_id: str):
    """Return the entries of an account, with their transactions."""
    return Entry.objects.filter(account=account_id).select_related("transaction")


def holds(account_id: str, *, status: str | None = None):
    """Return the holds of an account, all or those in one status."""
    found = Hold.objects.filter(account=account_id)
    if status == HoldStatus.PENDING:
        return found.filter(remaining__gt=0)
    if status == HoldStatus.RELEASED:
        return found.filter(remaining=0, captured__gt=0)
    if status == HoldStatus.REVERSED:
        return found.filter(remaining=0, captured=0)
    return found


def hold_status(hold: Hold) -> HoldStatus:
    """Return the status of a hold as the API shows it."""
    if hold.remaining:
        return HoldStatus.PENDING
    return HoldStatus.RELEASED if hold.captured else HoldStatus.REVERSED


def balance_as_of(account_id: str, instant: datetime) -> Decimal:
    """Return the balance of a wallet account after the entries dated up to and including `instant`.

    Dates are on the clock of the account's owner.
    """
    return _balance_after(account_id, _last_line(account_id, instant))


def statement(account_id: str, *, since: datetime, until: datetime) -> dict:
    """Return a wallet account's statement after `since` and up to and including `until`.

    Keys: `opening` and `closing` (balances), `lines` (the entries between them, in order).
    """
    first, last = (_last_line(account_id, instant) for instant in (since, until))
    return {
        "opening": _balance_after(account_id, first),
        "closing": _balance_after(account_id, last),
        "lines": lines(account_id).filter(line__gt=first, line__lte=last).order_by("line"),
    }


def _last_line(account_id: str, instant: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_last_line(%s, %s)", [ids.to_uuid(account_id), instant])
        return cursor.fetchone()[0]


def _balance_after(account_id: str, line: int) -> Decimal:
    return lines(account_id).get(line=line).balance_after if line else ZERO


def exact_balance(account_id: str) -> Decimal:
    """Return an account's balance, including changes that are not rolled up yet."""
    return LedgerAccount.objects.with_exact_balance().get(pk=account_id).exact_balance


def trial_balance(book: str | None = None) -> list[dict]:
    """Return debit and credit balances by book, currency and kind of account, in one snapshot.

    In each book and currency the debits must equal the credits.
    """
    accounts = LedgerAccount.objects.with_exact_balance()
    if book:
        accounts = accounts.filter(book=book)
    debit_normal = Q(type__in=LedgerAccount.DEBIT_NORMAL)
    return list(
        accounts.order_by("book", "currency", "type", "kind")
        .values("book", "currency", "type", "kind")
        .annotate(
            debit=Sum(Case(When(debit_normal, then=F("exact_balance")), default=ZERO)),
            credit=Sum(Case(When(~debit_normal, then=F("exact_balance")), default=ZERO)),
        )
    )


def out_of_balance() -> Decimal:
    """Return the sum of |debits - credits| over all books and currencies; it must be zero."""
    totals: dict[tuple[str, str], Decimal] = {}
    for row in trial_balance():
        key = (row["book"], row["currency"])
        totals[key] = totals.get(key, ZERO) + row["debit"] - row["credit"]
    return sum((abs(total) for total in totals.values()), ZERO)
