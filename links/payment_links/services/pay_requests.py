"""The claims of pay requests. They take no use of the link until they are approved."""

from collections.abc import Sequence

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.pay_ins.services import pay_requests
from accounts.pay_ins.services.pay_ins import PayIn
from accounts.wallets.models import Wallet
from links.payment_links.models import PURPOSE, Claim, PaymentLink
from links.payment_links.services.claim_history import add_step
from wallgent import clock
from wallgent.actors import Actor

_Status = Claim.Status


def pay_in(link: PaymentLink) -> PayIn:
    """The payment of a link from a wallet: a pay request is for the link, not for one claim."""
    return PayIn(
        wallet=link.wallet,
        amount=link.amount,
        purpose=PURPOSE,
        reference=link.id,
        description=link.description,
    )


def create(claim: Claim, *, actor: Actor) -> None:
    """Ask the organization of a claim's wallet to pay, and store the claim.

    Raises Conflict while such a request is pending, or too many of the link's organization are.
    """
    # An earlier request that is past its expiry ends in here, and its claim with it.
    approval = pay_requests.create(pay_in(claim.link), claim.wallet, actor=actor)
    claim.status, claim.consumes_use = _Status.PENDING_APPROVAL, False
    claim.deadline_at = approval.expires_at
    claim.save(force_insert=True)
    add_step(claim, claim.status, at=claim.created_at)


def lock(approval: Approval) -> None:
    """Lock the link of a pay request; called before the approval is locked."""
    PaymentLink.objects.locked(approval.subject_id)


def on_ended(approval: Approval, *, actor: Actor) -> None:
    """End the claim of a pay request that was rejected or has expired."""
    link = PaymentLink.objects.locked(approval.subject_id)
    pending = Claim.objects.filter(link=link, wallet=approval.wallet_id)
    for claim in pending.filter(status=_Status.PENDING_APPROVAL):
        if approval.status == Approval.Status.REJECTED:
            _end(claim, link, _Status.REJECTED, "Whoever owns the wallet does not pay.")
        else:
            _end(claim, link, _Status.EXPIRED, "Nobody decided about it in time.")


def withdraw(links: Sequence[PaymentLink], reason: str, *, wallet: Wallet | None = None) -> None:
    """End the pay requests of links, or those to one wallet alone. The links are locked."""
    by_id = {link.id: link for link in links}
    pending = Claim.objects.filter(link__in=by_id, status=_Status.PENDING_APPROVAL)
    if wallet:
        pending = pending.filter(wallet=wallet)
    for claim in pending.select_related("wallet").order_by("pk"):
        _end(claim, by_id[claim.link_id], _Status.EXPIRED, reason)
        approvals.withdraw(PURPOSE, claim.link_id, reason=reason, wallet=claim.wallet)


def _end(claim: Claim, link: PaymentLink, status: str, reason: str) -> None:
    now = clock.now(link)
    claim.advance(status, at=now, reason=reason)
    claim.save(update_fields=["status", "ended_at", "failure_reason"])
    add_step(claim, status, at=now, reason=reason)
