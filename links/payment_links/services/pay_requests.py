"""Pay requests: asking whoever owns a wallet to pay a link. They take no use, and may all end."""

from collections.abc import Sequence

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services.claim_history import PURPOSE, note
from wallgent import clock, turns
from wallgent.actors import Actor
from wallgent.errors import Conflict

# Of one organization to another: a file makes 50,000 links, and an inbox is for people.
ASKED_AT_ONCE = 25

_Status = Claim.Status


def ask(claim: Claim, *, actor: Actor) -> None:
    """Ask the organization of a claim's wallet to pay. Raises Conflict while it is asked."""
    link, wallet = claim.link, claim.wallet
    asked = Claim.objects.filter(link=link, wallet=wallet, status=_Status.PENDING_APPROVAL)
    if asked.filter(deadline_at__gt=clock.now(wallet)).exists() or _is_flooding(link, wallet):
        raise Conflict("Whoever owns this wallet has been asked already, and has yet to decide.")
    # One whose time is over ends here, and its claim with it.
    approval = approvals.request(
        actor=actor,
        kind=PURPOSE,
        subject_id=link.id,
        wallet=wallet,
        amount=link.amount,
        currency=link.currency,
        recipient=link.wallet,
        description=link.description,
    )
    claim.status, claim.takes_use = _Status.PENDING_APPROVAL, False
    claim.deadline_at = approval.expires_at
    claim.save(force_insert=True)
    note(claim, claim.status, at=claim.created_at)


def _is_flooding(link: PaymentLink, wallet: Wallet) -> bool:
    """Whether the links' organization has asked for enough decisions of the wallet's already.

    Whoever asks the same organization at the same time, over another link, is counted first.
    """
    if wallet.organization_id == link.organization_id:
        return False
    asked, asking = wallet.organization_id, link.organization_id
    turns.take("pay_requests", asked, wallet.environment, asking)
    waiting = Approval.objects.filter(
        organization=asked,
        environment=wallet.environment,
        asked_by_organization=asking,
    ).open_at(clock.now(wallet))
    return waiting.count() >= ASKED_AT_ONCE


def lock(approval: Approval) -> None:
    """Lock the link that an approval is for, before the approval itself."""
    PaymentLink.objects.locked(approval.subject_id)


def on_ended(approval: Approval, *, actor: Actor) -> None:
    """Carry over to a claim that its pay request was rejected, or ran out."""
    link = PaymentLink.objects.locked(approval.subject_id)
    asked = Claim.objects.filter(link=link, wallet=approval.wallet_id)
    for claim in asked.filter(status=_Status.PENDING_APPROVAL):
        if approval.status == Approval.Status.REJECTED:
            _end(claim, link, _Status.REJECTED, "Whoever owns the wallet does not pay.")
        else:
            _end(claim, link, _Status.EXPIRED, "Nobody decided about it in time.")


def withdraw(links: Sequence[PaymentLink], reason: str, *, wallet: Wallet | None = None) -> None:
    """End the pay requests of locked links that are over, or those to one wallet alone."""
    by_id = {link.id: link for link in links}
    asked = Claim.objects.filter(link__in=by_id, status=_Status.PENDING_APPROVAL)
    if wallet:
        asked = asked.filter(wallet=wallet)
    for claim in asked.select_related("wallet").order_by("pk"):
        _end(claim, by_id[claim.link_id], _Status.EXPIRED, reason)
        approvals.withdraw(PURPOSE, claim.link_id, reason=reason, wallet=claim.wallet)


def _end(claim: Claim, link: PaymentLink, status: str, reason: str) -> None:
    now = clock.now(link)
    claim.advance(status, at=now, reason=reason)
    claim.save(update_fields=["status", "ended_at", "failure_reason"])
    note(claim, status, at=now, reason=reason)
