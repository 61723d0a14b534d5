"""Holds: money is reserved first, so that a later step never fails for missing funds.

Every step has an operation id (a UUID) that the caller chooses. Repeating a step changes nothing;
a different step with the same id is refused as CHANGED.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from accounts.ledger import journal, movements
from accounts.ledger.models import Hold, HoldOperation, LedgerAccount
from wallgent import clock, ids
from wallgent.money import PLACES, ZERO

_Step = HoldOperation.Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release of `release_set`."""

    hold_id: str
    operation: uuid.UUID
    amount: Decimal | None = None  # None releases all that remains
    ahead: timedelta = timedelta(0)


@transaction.atomic(savepoint=False)
def place(
    id: str,
    *,
    account_id: str,
    amount: Decimal,
    reason: str,
    reference: str = "",
    expires_at: datetime | None = None,
    ahead=timedelta(0),
) -> Hold:
    """Reserve `amount` of the account's available money. `id` (hld_…) is also the operation id.

    Raises journal.Refused: CLOSED, FROZEN, DEBT, NO_FUNDS; NotDeclared for an unknown reason.
    """
    movements.require([reason], is_hold=True)
    account = LedgerAccount.objects.locked([account_id]).get()
    operation = ids.to_uuid(id)
    if _is_repeat(operation, _Step.PLACE, amount, hold_id=id, hold__account_id=account_id):
        return Hold.objects.get(pk=id)
    _reserve(account, amount)
    hold = Hold.objects.create(
        id=id,
        account=account,
        amount=amount,
        remaining=amount,
        reason=reason,
        reference=reference,
        expires_at=expires_at,
        created_at=clock.real_now() + ahead,
    )
    _store_operation(operation, hold, _Step.PLACE, amount, ahead)
    return hold


@transaction.atomic(savepoint=False)
def increase(hold_id: str, *, amount: Decimal, operation: uuid.UUID, ahead=timedelta(0)) -> Hold:
    """Reserve more under an open hold. Raises journal.Refused, also ENDED."""
    hold, account = _locked(hold_id)
    if _is_repeat(operation, _Step.INCREASE, amount, hold_id=hold_id):
        return hold
    _require_remaining(hold, ZERO)
    _reserve(account, amount)
    hold.amount += amount
    return _save_step(hold, operation, _Step.INCREASE, amount, ahead)


@transaction.atomic(savepoint=False)
def capture(
    hold_id: str,
    posting: journal.Posting,
    *,
    amount: Decimal,
    operation: uuid.UUID,
    ahead=timedelta(0),
    forced: bool = False,
) -> Hold:
    """Spend `amount` of the hold with `posting`, which debits the account that much or more.

    `forced` is as in `journal.post_set`: a network took the money, even from a frozen account.
    Raises journal.Refused, also ENDED when less than `amount` remains.
    """
    hold, account = _locked(hold_id, posting)
    if _is_repeat(operation, _Step.CAPTURE, amount, hold_id=hold_id, transaction_id=posting.id):
        return hold
    spent = sum(move.amount for move in posting.moves if move.debit == account.id)
    assert spent >= amount, "a capture spends at least what it takes from the hold"
    _require_remaining(hold, amount)
    account.held -= amount
    account.save(update_fields=["held"])
    journal.post_set([posting], book=account.book, ahead=ahead, forced=forced)
    hold.captured += amount
    return _save_step(hold, operation, _Step.CAPTURE, amount, ahead, transaction_id=posting.id)


@transaction.atomic(savepoint=False)
def release(
    hold_id: str, *, operation: uuid.UUID, amount: Decimal | None = None, ahead=timedelta(0)
) -> Hold:
    """Return `amount`, or all that remains, to the account's available money.

    Releasing an ended hold with no amount given does nothing. Raises journal.Refused: ENDED.
    """
    hold, account = _locked(hold_id)
    if _is_repeat(operation, _Step.RELEASE, amount, hold_id=hold_id):
        return hold
    if amount is None and not hold.remaining:
        return hold
    amount = hold.remaining if amount is None else amount
    _require_remaining(hold, amount)
    account.held -= amount
    _reduce_debt(account)
    account.save(update_fields=["held", "debt"])
    hold.released += amount
    return _save_step(hold, operation, _Step.RELEASE, amount, ahead)


@transaction.atomic(savepoint=False)
def release_set(releases: list[Release]) -> None:
    """Release an amount of each of several holds, in a constant number of statements.

    Holds that have ended are skipped; the operation ids must be new. Raises journal.Refused: ENDED.
    """
    by_hold = {release.hold_id: release for release in releases}
    account_ids = list(Hold.objects.filter(pk__in=by_hold).values_list("account_id", flat=True))
    accounts = {account.id: account for account in LedgerAccount.objects.locked(account_ids)}
    locked = Hold.objects.filter(pk__in=by_hold).order_by("pk").select_for_update(no_key=True)
    now, holds, operations = clock.real_now(), [], []
    for hold in locked:
        if not hold.remaining:
            continue
        release = by_hold[hold.id]
        amount = hold.remaining if release.amount is None else release.amount
        _require_remaining(hold, amount)
        accounts[hold.account_id].held -= amount
        hold.released, hold.remaining = hold.released + amount, hold.remaining - amount
        at = now + release.ahead
        hold.ended_at = None if hold.remaining else at
        holds.append(hold)
        operations.append(
            HoldOperation(
                id=release.operation,
                hold=hold,
                type=_Step.RELEASE,
                amount=amount,
                created_at=at,
            )
        )
    for account in accounts.values():
        _reduce_debt(account)
    LedgerAccount.objects.bulk_update(accounts.values(), ["held", "debt"])
    Hold.objects.bulk_update(holds, ["released", "remaining", "ended_at"])
    HoldOperation.objects.bulk_create(operations)


def _reduce_debt(account: LedgerAccount) -> None:
    # Debt is the part of the held amount that the balance does not cover.
    account.debt = min(account.debt, max(account.held - account.balance, ZERO))


def _locked(hold_id: str, posting: journal.Posting | None = None) -> tuple[Hold, LedgerAccount]:
    """Lock and return the hold and its account; first all accounts of `posting`, in id order."""
    account_id = Hold.objects.values_list("account_id", flat=True).get(pk=hold_id)
    others = [end for move in posting.moves for end in (move.debit, move.credit)] if posting else []
    wallets = LedgerAccount.objects.filter(is_system=False).locked([account_id, *others])
    account = next(wallet for wallet in wallets if wallet.id == account_id)
    return Hold.objects.select_for_update(no_key=True).get(pk=hold_id), account


def _is_repeat(operation: uuid.UUID, step: str, amount: Decimal | None, **fields) -> bool:
    """Whether this step is already stored. Raises journal.Refused: CHANGED."""
    stored = HoldOperation.objects.filter(pk=operation)
    if not stored.exists():
        return False
    if amount is not None:
        fields["amount"] = amount
    if not stored.filter(type=step, **fields).exists():
        raise journal.Refused("CHANGED", 0, "", None, amount)
    return True


def _reserve(account: LedgerAccount, amount: Decimal) -> None:
    assert not account.is_system, "a system account has no holds: it is never locked"
    refusal = None
    if account.state != LedgerAccount.State.ACTIVE:
        refusal = account.state
    elif account.debt:
        refusal = "DEBT"
    elif account.available < amount:
        refusal = "NO_FUNDS"
    if refusal:
        raise journal.Refused(refusal, 0, account.id, account.available, amount)
    account.held += amount
    account.save(update_fields=["held"])


def _require_remaining(hold: Hold, amount: Decimal) -> None:
    if not hold.remaining or hold.remaining < amount:
        raise journal.Refused("ENDED", 0, hold.account_id, hold.remaining, amount)


def _save_step(hold, operation, step, amount, ahead, **fields) -> Hold:
    hold.remaining = hold.amount - hold.captured - hold.released
    hold.ended_at = None if hold.remaining else clock.real_now() + ahead
    hold.save(update_fields=["amount", "captured", "released", "remaining", "ended_at"])
    _store_operation(operation, hold, step, amount, ahead, **fields)
    return hold


def _store_operation(operation, hold, step, amount, ahead, **fields) -> None:
    assert amount.as_tuple().exponent >= -PLACES, "an amount has at most 8 decimals"
    created_at = clock.real_now() + ahead
    HoldOperation.objects.create(
        id=operation, hold=hold, type=step, amount=amount, created_at=created_at, **fields
    )
