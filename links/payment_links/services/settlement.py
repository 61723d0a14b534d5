"""Settles, fails and returns claims, and counts the uses of their links.

Everything here runs with the link locked; for the outcome of a transfer, `lock` locks it.
"""

import uuid
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from accounts.ledger import holds, journal
from accounts.organizations.models import LinkDirection
from accounts.transfers.models import Transfer
from accounts.transfers.services.callbacks import Outcome
from links.payment_links.models import PURPOSE, Claim, PaymentLink
from links.payment_links.services import expiry, pay_requests, restrictions
from links.payment_links.services.claim_history import add_step
from wallgent import clock, events, ids, money
from wallgent.actors import Actor
from wallgent.money import ZERO, Currency

_Status = PaymentLink.Status
_UNPAID = (Claim.Status.AWAITING_PAYMENT, Claim.Status.CLAIMED)
_REOPENABLE = (_Status.ACTIVE, _Status.CLAIMED, _Status.SETTLED)


def lock(transfer: Transfer) -> None:
    """Lock the link of a transfer. Called before the transfer itself is locked."""
    PaymentLink.objects.locked(
        Claim.objects.values_list("link", flat=True).get(pk=transfer.reference)
    )


def start(claim: Claim, *, actor: Actor, transaction_id: str | None = None) -> None:
    """Store a new claim that consumes a use of its link, and record payment_link.claimed.

    `transaction_id` is the transaction that moves its money, if it is known already.
    """
    claim.save(force_insert=True)
    add_step(claim, claim.status, at=claim.created_at)
    consume_use(claim, at=claim.created_at, actor=actor, transaction_id=transaction_id)


def consume_use(
    claim: Claim, *, at: datetime, actor: Actor, transaction_id: str | None = None
) -> None:
    """Count a claim as one of the remaining uses of its ACTIVE link."""
    link = claim.link
    link.use_count += 1
    if link.use_count == link.max_uses:
        link.advance(_Status.CLAIMED, at=at)
    link.save(update_fields=["use_count", "status", "claimed_at"])
    details = {"method": claim.method.lower(), "transaction_id": transaction_id, "claimed_at": at}
    _record_event("payment_link.claimed", claim, actor, **details)


def settle(claim: Claim, *, transaction_id: str, at: datetime, actor: Actor) -> None:
    """Mark a claim as paid. Settles its link with the last of its claims."""
    link = claim.link
    claim.advance(Claim.Status.SETTLED, at=at)
    claim.transaction_id = link.transaction_id = transaction_id
    claim.save(
        update_fields=[
            *("status", "settled_at", "ended_at", "failure_reason", "transaction", "payment"),
            "consumes_use",
        ]
    )
    add_step(claim, claim.status, at=at)
    unpaid = Claim.objects.filter(link=link, consumes_use=True, status__in=_UNPAID)
    if link.status == _Status.CLAIMED and not unpaid.exists():
        link.advance(_Status.SETTLED, at=at)
        pay_requests.withdraw([link], "The payment link was paid by somebody else.")
    link.save(update_fields=["status", "settled_at", "transaction"])
    details = {"transaction_id": transaction_id, "settled_at": claim.settled_at}
    _record_event("payment_link.settled", claim, actor, **details)


def fail(claim: Claim, status: str, *, reason: str, actor: Actor) -> None:
    """End a claim whose money did not move, and release its use."""
    now = clock.now(claim.link)
    claim.advance(status, at=now, reason=reason)
    add_step(claim, status, at=now, reason=reason)
    _release_use(claim, reason=reason, at=now, actor=actor)
    if claim.hold_id and claim.link.status not in (_Status.ACTIVE, _Status.CLAIMED):
        # The link has ended, so the amount held for this claim goes back to the wallet.
        holds.release(
            claim.hold_id,
            amount=claim.amount,
            operation=uuid.uuid5(ids.to_uuid(claim.id), "free"),
            ahead=clock.offset(claim.link),
        )


def return_funds(claim: Claim, *, reason: str, actor: Actor) -> None:
    """Mark a settled claim as RETURNED after its money was posted back to the wallet.

    The link reopens if it has not expired and its wallet covers a new hold.
    """
    link, now = claim.link, clock.now(claim.link)
    claim.advance(Claim.Status.RETURNED, at=now, reason=reason)
    reopens = link.status in _REOPENABLE and not link.is_past_expiry and _restore_hold(claim)
    add_step(claim, claim.status, at=now, reason=reason)
    if reopens:
        _release_use(claim, reason=reason, at=now, actor=actor)
    else:
        claim.save(update_fields=["status", "ended_at", "failure_reason"])


def _restore_hold(claim: Claim) -> bool:
    """Hold the amount of one more use of a SEND link. Return False if the wallet cannot."""
    link = claim.link
    if link.direction != LinkDirection.SEND:
        return True
    try:
        with transaction.atomic():  # a refusal rolls back the hold, not the return
            _hold_one_use(link, operation=uuid.uuid5(ids.to_uuid(claim.id), "again"))
    except journal.Refused:
        return False  # without funds, frozen or in debt: the link does not reopen
    return True


def _hold_one_use(link: PaymentLink, *, operation: uuid.UUID) -> None:
    ahead = clock.offset(link)
    if link.hold.remaining:
        holds.increase(link.hold_id, amount=link.amount, operation=operation, ahead=ahead)
        return
    link.hold = holds.place(
        ids.to_text("hld", operation),
        account_id=link.wallet.account_id,
        amount=link.amount,
        reason=PURPOSE,
        reference=link.id,
        expires_at=link.expires_at,
        ahead=ahead,
    )
    link.save(update_fields=["hold"])


def _release_use(claim: Claim, *, reason: str, at: datetime, actor: Actor) -> None:
    """Release the use of an ended claim, save it, and reopen its link."""
    link = claim.link
    claim.consumes_use = False
    claim.save(update_fields=["status", "ended_at", "failure_reason", "consumes_use"])
    link.use_count -= 1
    if link.status in (_Status.CLAIMED, _Status.SETTLED):
        link.advance(_Status.ACTIVE, at=at)
        expiry.schedule(link)
    if link.status == _Status.ACTIVE:
        link.reopened_at, link.reopen_reason = at, reason
    link.save(
        update_fields=[
            *("use_count", "status", "claimed_at", "settled_at", "reopened_at", "reopen_reason"),
        ]
    )
    if link.status == _Status.ACTIVE:
        details = {"method": claim.method.lower(), "claim_status": claim.status}
        details["reason"] = claim.failure_reason
        _record_event("payment_link.reopened", claim, actor, **details)


def _record_event(type: str, claim: Claim, actor: Actor, **details) -> None:
    events.record(
        type,
        claim.link,
        actor=actor,
        organizations=[claim.link.organization],
        claim_id=claim.id,
        transfer_id=claim.transfer_id,
        **details,
    )


# Outcomes of transfers


def on_outcome(transfer: Transfer, outcome: str, *, actor: Actor) -> None:
    """Apply the outcome of a transfer, which is posted already, to its claim."""
    link = PaymentLink.objects.locked(Claim.objects.get(pk=transfer.reference).link_id)
    claim = Claim.objects.select_related("transfer", "hold").get(pk=transfer.reference)
    claim.link, claim.transfer = link, transfer
    _HANDLERS[Outcome(outcome)](claim, transfer, actor)


def _completed(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    at = clock.now(claim.link)
    settle(claim, transaction_id=transfer.transaction_id, at=at, actor=actor)


def _failed(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    if claim.status == Claim.Status.AWAITING_PAYMENT:
        _expire(claim, transfer, actor)
        return
    reason = _failure_reason(transfer) or "The transfer was not carried out."
    fail(claim, Claim.Status.FAILED, reason=reason, actor=actor)


def _expire(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    """End a claim whose time to pay is over. If the full amount arrived late, settle it."""
    credited = _credited(transfer)
    if credited >= claim.amount:
        last = transfer.incoming_payments.filter(transaction__isnull=False).latest("pk")
        at = clock.now(claim.link)
        settle(claim, transaction_id=last.transaction_id, at=at, actor=actor)
        return
    reason = "Nobody paid in time."
    if credited:
        reason = f"Only {_usdc(credited)} of {_usdc(claim.amount)} came. It stays in the wallet."
    fail(claim, Claim.Status.EXPIRED, reason=reason, actor=actor)


def _credited(transfer: Transfer) -> Decimal:
    """The total of the transfer's incoming payments that were credited."""
    payments = transfer.incoming_payments.filter(transaction__isnull=False)
    return payments.aggregate(total=Sum("amount"))["total"] or ZERO


def _returned(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    reason = _failure_reason(transfer) or "The transfer came back."
    return_funds(claim, reason=reason, actor=actor)


def _failure_reason(transfer: Transfer) -> str:
    code, reason = transfer.failure_code, transfer.failure_reason
    return f"{reason} ({code})" if code and reason else reason or code


def _partial(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    remark = f"{_received(transfer)} {_usdc(transfer.missing)} is missing."
    add_step(claim, claim.status, at=clock.now(claim.link), reason=remark)


def _excess(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    remark = f"{_received(transfer)} That is more than was asked for: all of it was credited."
    add_step(claim, claim.status, at=clock.now(claim.link), reason=remark)


def _late(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    """Settle an expired claim that was paid late in full, if its link has a use left.

    While the claim still awaits payment, `_expire` decides that later.
    """
    link, now = claim.link, clock.now(claim.link)
    add_step(
        claim, claim.status, at=now, reason=f"{_received(transfer)} It came late, and is kept."
    )
    if claim.status != Claim.Status.EXPIRED or not link.is_open or restrictions.earlier_use(claim):
        return
    if _credited(transfer) < claim.amount:
        return
    claim.consumes_use = True
    paid = {"transaction_id": transfer.incoming_payment.transaction_id, "at": now, "actor": actor}
    consume_use(claim, **paid)
    settle(claim, **paid)


def _wrong_chain(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    remark = (
        f"{_usdc(transfer.incoming_payment.amount)} were sent over"
        f" {transfer.incoming_payment.chain}, where they cannot be received:"
        " they were not credited."
    )
    add_step(claim, claim.status, at=clock.now(claim.link), reason=remark)


def _received(transfer: Transfer) -> str:
    return f"{_usdc(transfer.incoming_payment.amount)} came."


def _usdc(amount: Decimal) -> str:
    return money.display(amount, Currency.USDC)


_HANDLERS = {
    Outcome.COMPLETED: _completed,
    Outcome.FAILED: _failed,
    Outcome.CANCELLED: _failed,
    Outcome.RETURNED: _returned,
    Outcome.PARTIAL: _partial,
    Outcome.EXCESS: _excess,
    Outcome.LATE: _late,
    Outcome.WRONG_CHAIN: _wrong_chain,
}
