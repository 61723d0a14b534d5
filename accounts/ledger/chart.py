"""The chart of accounts: the system accounts, and the accounts of wallets."""

import uuid
from collections.abc import Iterable
from functools import cache

from django.db import transaction

from accounts.ledger.models import LedgerAccount
from wallgent import ids
from wallgent.environments import Environment
from wallgent.money import Currency

_NAMESPACE = uuid.UUID("8f4a5ad0-7d2f-5a51-9be6-4d4f5b0c9a10")
_Kind = LedgerAccount.Kind

# Every book has these from the start; a rail opens its own treasury and in-transit accounts.
_STANDARD = (_Kind.TREASURY, _Kind.FEES, _Kind.EXPENSES, _Kind.SUSPENSE, _Kind.EXCHANGE)


@cache
def system_id(book: str, kind: str, currency: str, rail: str = "") -> str:
    """Return the id of a system account. It is derived, so that posting needs no query for it."""
    return ids.to_text("acc", uuid.uuid5(_NAMESPACE, f"{book}/{kind}/{currency}/{rail}"))


def fees(book: str, currency: str) -> str:
    return system_id(book, _Kind.FEES, currency)


def treasury(book: str, currency: str, rail: str = "") -> str:
    return system_id(book, _Kind.TREASURY, currency, rail)


def open_system_accounts(rail: str = "", currencies: Iterable[str] = Currency.values) -> None:
    """Create the missing system accounts of every book and currency.

    For a rail, `currencies` are those that it carries.
    """
    kinds = (_Kind.TREASURY, _Kind.IN_TRANSIT) if rail else _STANDARD
    LedgerAccount.objects.bulk_create(
        [
            LedgerAccount(
                id=system_id(book, kind, currency, rail),
                book=book,
                kind=kind,
                type=LedgerAccount.TYPES[kind],
                is_system=True,
                rail=rail,
                currency=currency,
            )
            for book in Environment.values
            for currency in currencies
            for kind in kinds
        ],
        ignore_conflicts=True,
    )


def open_wallet_account(*, book: str, currency: str, owner: uuid.UUID) -> LedgerAccount:
    """Open an empty wallet account: money that we owe to `owner`."""
    return LedgerAccount.objects.create(
        book=book,
        currency=currency,
        owner=owner,
        kind=_Kind.WALLET,
        type=LedgerAccount.TYPES[_Kind.WALLET],
    )


@transaction.atomic(savepoint=False)
def set_state(account_id: str, state: str) -> LedgerAccount:
    """Freeze, unfreeze or close an account. Takes effect for payments when it commits.

    Locks the row as a posting does, so the later one of the two sees the result of the other.
    Raises IntegrityError when a non-empty account is closed: check the locked account first.
    """
    account = LedgerAccount.objects.locked([account_id]).get()
    account.state = state
    account.save(update_fields=["state"])
    return account
