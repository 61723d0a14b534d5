"""What becomes of a claim, and of the use that it took of its link.

Everything here runs with the link locked: by `lock`, where a transfer says what became of it.
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
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import pay_requests, restrictions
from links.payment_links.services.claim_history import PURPOSE, note
from wallgent import clock, events, ids, money
from wallgent.actors import Actor
from wallgent.money import ZERO

_Status = PaymentLink.Status
_TO_COME = (Claim.Status.AWAITING_PAYMENT, Claim.Status.CLAIMED)
_OPEN_AGAIN = (_Status.ACTIVE, _Status.CLAIMED, _Status.SETTLED)


def lock(transfer: Transfer) -> None:
    """Lock the link that a transfer is for, before the transfer itself."""
    PaymentLink.objects.locked(
        Claim.objects.values_list("link", flat=True).get(pk=transfer.reference)
    )


def begin(claim: Claim, *, actor: Actor, transaction_id: str | None = None) -> None:
    """Store a claim that takes a use of its link, and tell the link's organization.

    `transaction_id` is what moves its money, where that is known already.
    """
    claim.save(force_insert=True)
    note(claim, claim.status, at=claim.created_at)
    take(claim, at=claim.created_at, actor=actor, transaction_id=transaction_id)


def take(claim: Claim, *, at: datetime, actor: Actor, transaction_id: str | None = None) -> None:
    """Give a claim one of the uses that its ACTIVE link still has."""
    link = claim.link
    link.use_count += 1
    if link.use_count == link.max_uses:
        link.advance(_Status.CLAIMED, at=at)
    link.save(update_fields=["use_count", "status", "claimed_at"])
    _tell("payment_link.claimed", claim, actor, transaction_id=transaction_id, at=at)


def settle(claim: Claim, *, transaction_id: str, at: datetime, actor: Actor) -> None:
    """The money of a claim that has a use is there."""
    link = claim.link
    claim.advance(Claim.Status.SETTLED, at=at)
    claim.transaction_id = link.transaction_id = transaction_id
    claim.save(
        update_fields=[
            *("status", "settled_at", "ended_at", "failure_reason", "transaction", "payment"),
            "takes_use",
        ]
    )
    note(claim, claim.status, at=at)
    still_to_come = Claim.objects.filter(link=link, takes_use=True, status__in=_TO_COME)
    if link.status == _Status.CLAIMED and not still_to_come.exists():
        link.advance(_Status.SETTLED, at=at)
        pay_requests.withdraw([link], "The payment link was paid by somebody else.")
    link.save(update_fields=["status", "settled_at", "transaction"])
    _tell("payment_link.settled", claim, actor)


def fail(claim: Claim, status: str, *, reason: str, actor: Actor) -> None:
    """End a claim whose money did not move: its use is free again."""
    now = clock.now(claim.link)
    claim.advance(status, at=now, reason=reason)
    note(claim, status, at=now, reason=reason)
    _free(claim, reason=reason, at=now, actor=actor)
    if claim.hold_id and claim.link.status not in (_Status.ACTIVE, _Status.CLAIMED):
        # The link is over: what was kept for this claim goes back to the wallet.
        holds.release(
            claim.hold_id,
            amount=claim.amount,
            operation=uuid.uuid5(ids.to_uuid(claim.id), "free"),
            ahead=clock.offset(claim.link),
        )


def return_funds(claim: Claim, *, reason: str, actor: Actor) -> None:
    """The money of a settled claim came back, and is booked back.

    The link opens again if its time is not over and its wallet covers a new hold.
    """
    link, now = claim.link, clock.now(claim.link)
    claim.advance(Claim.Status.RETURNED, at=now, reason=reason)
    is_open_again = link.status in _OPEN_AGAIN and not link.is_past_expiry and _promise_again(claim)
    note(claim, claim.status, at=now, reason=reason)
    if is_open_again:
        _free(claim, reason=reason, at=now, actor=actor)
    else:
        claim.save(update_fields=["status", "ended_at", "failure_reason"])


def _promise_again(claim: Claim) -> bool:
    """Keep the amount of one more use, of a link that sends; whether the wallet has it."""
    link = claim.link
    if link.direction != LinkDirection.SEND:
        return True
    try:
        with transaction.atomic():  # a refusal must undo itself alone: the return stands
            _promise_one(link, operation=uuid.uuid5(ids.to_uuid(claim.id), "again"))
    except journal.Refused:
        return False  # without funds, frozen or in debt: the link stays as it is
    return True


def _promise_one(link: PaymentLink, *, operation: uuid.UUID) -> None:
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


def _free(claim: Claim, *, reason: str, at: datetime, actor: Actor) -> None:
    """Take its use from a claim that is over, and store it."""
    link = claim.link
    claim.takes_use = False
    claim.save(update_fields=["status", "ended_at", "failure_reason", "takes_use"])
    link.use_count -= 1
    if link.status in (_Status.CLAIMED, _Status.SETTLED):
        link.advance(_Status.ACTIVE, at=at)
    if link.status == _Status.ACTIVE:
        link.reopened_at, link.reopen_reason = at, reason
    link.save(
        update_fields=[
            *("use_count", "status", "claimed_at", "settled_at", "reopened_at", "reopen_reason"),
        ]
    )
    if link.status == _Status.ACTIVE:
        _tell("payment_link.reopened", claim, actor)


def _tell(type: str, claim: Claim, actor: Actor, **more) -> None:
    told = {"actor": actor, "organizations": [claim.link.organization], "claim": claim}
    events.record(type, claim.link, **told, **more)


# What a rail says of a transfer.


def on_outcome(transfer: Transfer, outcome: str, *, actor: Actor) -> None:
    """Carry over to a claim what became of its transfer, which is booked already."""
    link = PaymentLink.objects.locked(Claim.objects.get(pk=transfer.reference).link_id)
    claim = Claim.objects.select_related("transfer", "hold").get(pk=transfer.reference)
    claim.link, claim.transfer = link, transfer
    _HANDLERS[Outcome(outcome)](claim, transfer, actor)


def _completed(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    at = clock.now(claim.link)
    settle(claim, transaction_id=transfer.transaction_id, at=at, actor=actor)


def _failed(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    if claim.status == Claim.Status.AWAITING_PAYMENT:
        _run_out(claim, transfer, actor)
        return
    reason = _why(transfer) or "The transfer was not carried out."
    fail(claim, Claim.Status.FAILED, reason=reason, actor=actor)


def _run_out(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    """Nobody waits for a payment any more. One that came whole, if late, counts."""
    came = _credited(transfer)
    if came >= claim.amount:
        last = transfer.incoming_payments.filter(transaction__isnull=False).latest("pk")
        at = clock.now(claim.link)
        settle(claim, transaction_id=last.transaction_id, at=at, actor=actor)
        return
    reason = "Nobody paid in time."
    if came:
        reason = f"Only {_usdc(came)} of {_usdc(claim.amount)} came. It stays in the wallet."
    fail(claim, Claim.Status.EXPIRED, reason=reason, actor=actor)


def _credited(transfer: Transfer) -> Decimal:
    found = transfer.incoming_payments.filter(transaction__isnull=False)
    return found.aggregate(all=Sum("amount"))["all"] or ZERO


def _returned(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    reason = _why(transfer) or "The transfer came back."
    return_funds(claim, reason=reason, actor=actor)


def _why(transfer: Transfer) -> str:
    code, reason = transfer.failure_code, transfer.failure_reason
    return f"{reason} ({code})" if code and reason else reason or code


def _partial(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    words = f"{_came(transfer)} {_usdc(transfer.missing)} is missing."
    note(claim, claim.status, at=clock.now(claim.link), reason=words)


def _excess(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    words = f"{_came(transfer)} That is more than was asked for: all of it was credited."
    note(claim, claim.status, at=clock.now(claim.link), reason=words)


def _late(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    """Too late, but the money is there: if the link still has a use for it, it is paid.

    While the claim still waits, that is decided when it no longer does.
    """
    link, now = claim.link, clock.now(claim.link)
    note(claim, claim.status, at=now, reason=f"{_came(transfer)} It came late, and is kept.")
    is_open = link.status == _Status.ACTIVE and not link.is_past_expiry
    if claim.status != Claim.Status.EXPIRED or not is_open or restrictions.has_taken(claim):
        return
    if _credited(transfer) < claim.amount:
        return
    claim.takes_use = True
    paid = {"transaction_id": transfer.arrived.transaction_id, "at": now, "actor": actor}
    take(claim, **paid)
    settle(claim, **paid)


def _wrong_chain(claim: Claim, transfer: Transfer, actor: Actor) -> None:
    words = (
        f"{_usdc(transfer.arrived.amount)} were sent over"
        f" {transfer.arrived.chain}, where they cannot be received: they were not credited."
    )
    note(claim, claim.status, at=clock.now(claim.link), reason=words)


def _came(transfer: Transfer) -> str:
    return f"{_usdc(transfer.arrived.amount)} came."


def _usdc(amount: Decimal) -> str:
    return f"{money.amount_text(amount)} USDC"


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
