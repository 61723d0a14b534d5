"""Holds: money promised first, so that the later step never fails for want of funds.

Every step carries the caller's operation id (a uuid). A repeated step changes nothing; another
step under the same id is refused as CHANGED.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from accounts.ledger import journal
from accounts.ledger.models import Hold, HoldOperation, LedgerAccount
from wallgent import clock, ids
from wallgent.money import PLACES, ZERO

_Step = HoldOperation.Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The end of a hold, among several: see `release_set`."""

    hold_id: str
    operation: uuid.UUID
    amount: Decimal | None = None  # None is all that remains
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
    """Promise `amount` of the account's available money. `id` (hld_…) is the operation's id, too.

    Raises journal.Refused: CLOSED, FROZEN, DEBT, NO_FUNDS.
    """
    account = LedgerAccount.objects.locked([account_id]).get()
    operation = ids.to_uuid(id)
    if _done(operation, _Step.PLACE, amount, hold_id=id, hold__account_id=account_id):
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
    _note(operation, hold, _Step.PLACE, amount, ahead)
    return hold


@transaction.atomic(savepoint=False)
def increase(hold_id: str, *, amount: Decimal, operation: uuid.UUID, ahead=timedelta(0)) -> Hold:
    """Promise more under an open hold. Raises journal.Refused, also ENDED."""
    hold, account = _locked(hold_id)
    if _done(operation, _Step.INCREASE, amount, hold_id=hold_id):
        return hold
    _open_for(hold, ZERO)
    _reserve(account, amount)
    hold.amount += amount
    return _changed(hold, operation, _Step.INCREASE, amount, ahead)


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
    """Spend `amount` of what the hold keeps: `posting` takes that, or more, out of the account.

    `forced` as in `journal.post_set`: a network took the money, frozen or not.
    Raises journal.Refused, also ENDED when less than `amount` remains.
    """
    hold, account = _locked(hold_id, posting)
    if _done(operation, _Step.CAPTURE, amount, hold_id=hold_id, transaction_id=posting.id):
        return hold
    spent = sum(move.amount for move in posting.moves if move.debit == account.id)
    assert spent >= amount, "a capture spends at least what it takes from the hold"
    _open_for(hold, amount)
    account.held -= amount
    account.save(update_fields=["held"])
    journal.post_set([posting], book=account.book, ahead=ahead, forced=forced)
    hold.captured += amount
    return _changed(hold, operation, _Step.CAPTURE, amount, ahead, transaction_id=posting.id)


@transaction.atomic(savepoint=False)
def release(
    hold_id: str, *, operation: uuid.UUID, amount: Decimal | None = None, ahead=timedelta(0)
) -> Hold:
    """Give `amount`, or all that remains, back to the account's available money.

    Releasing an ended hold with no amount given does nothing. Raises journal.Refused: ENDED.
    """
    hold, account = _locked(hold_id)
    if _done(operation, _Step.RELEASE, amount, hold_id=hold_id):
        return hold
    if amount is None and not hold.remaining:
        return hold
    amount = hold.remaining if amount is None else amount
    _open_for(hold, amount)
    account.held -= amount
    _lower_debt(account)
    account.save(update_fields=["held", "debt"])
    hold.released += amount
    return _changed(hold, operation, _Step.RELEASE, amount, ahead)


@transaction.atomic(savepoint=False)
def release_set(releases: list[Release]) -> None:
    """Release something of each of several holds, in as many statements as for one.

    Each is released once: its operation must be new. Raises journal.Refused: ENDED.
    """
    wanted = {release.hold_id: release for release in releases}
    account_ids = list(Hold.objects.filter(pk__in=wanted).values_list("account_id", flat=True))
    accounts = {account.id: account for account in LedgerAccount.objects.locked(account_ids)}
    locked = Hold.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    now, holds, operations = clock.real_now(), [], []
    for hold in locked:
        if not hold.remaining:
            continue
        release = wanted[hold.id]
        amount = hold.remaining if release.amount is None else release.amount
        _open_for(hold, amount)
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
        _lower_debt(account)
    LedgerAccount.objects.bulk_update(accounts.values(), ["held", "debt"])
    Hold.objects.bulk_update(holds, ["released", "remaining", "ended_at"])
    HoldOperation.objects.bulk_create(operations)


def _lower_debt(account: LedgerAccount) -> None:
    # Debt is what the balance lacks for what is held: the less is held, the less is lacking.
    account.debt = min(account.debt, max(account.held - account.balance, ZERO))


def _locked(hold_id: str, posting: journal.Posting | None = None) -> tuple[Hold, LedgerAccount]:
    """The hold and its account, locked: accounts first, all of them, in id order."""
    account_id = Hold.objects.values_list("account_id", flat=True).get(pk=hold_id)
    others = [end for move in posting.moves for end in (move.debit, move.credit)] if posting else []
    wallets = LedgerAccount.objects.filter(is_system=False).locked([account_id, *others])
    account = next(wallet for wallet in wallets if wallet.id == account_id)
    return Hold.objects.select_for_update(no_key=True).get(pk=hold_id), account


def _done(operation: uuid.UUID, step: str, amount: Decimal | None, **facts) -> bool:
    """Whether this very step was taken before. Raises journal.Refused: CHANGED."""
    done = HoldOperation.objects.filter(pk=operation)
    if not done.exists():
        return False
    if amount is not None:
        facts["amount"] = amount
    if not done.filter(type=step, **facts).exists():
        raise journal.Refused("CHANGED", 0, "", None, amount)
    return True


def _reserve(account: LedgerAccount, amount: Decimal) -> None:
    assert not account.is_system, "a system account promises nothing: it is never locked"
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


def _open_for(hold: Hold, amount: Decimal) -> None:
    if not hold.remaining or hold.remaining < amount:
        raise journal.Refused("ENDED", 0, hold.account_id, hold.remaining, amount)


def _changed(hold, operation, step, amount, ahead, **more) -> Hold:
    hold.remaining = hold.amount - hold.captured - hold.released
    hold.ended_at = None if hold.remaining else clock.real_now() + ahead
    hold.save(update_fields=["amount", "captured", "released", "remaining", "ended_at"])
    _note(operation, hold, step, amount, ahead, **more)
    return hold


def _note(operation, hold, step, amount, ahead, **more) -> None:
    assert amount.as_tuple().exponent >= -PLACES, "an amount has at most 8 decimals"
    created_at = clock.real_now() + ahead
    HoldOperation.objects.create(
        id=operation, hold=hold, type=step, amount=amount, created_at=created_at, **more
    )
