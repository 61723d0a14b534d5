"""The status of a claim as its claimant sees it, found by the claim's secret token."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core import signing

from accounts.transfers.models import Transfer
from links.payment_links.models import Claim, PaymentLink
from wallgent.errors import NotFound

_TOKEN = signing.Signer(salt="links.claim")

INCOMING_SHOWN = 50  # the latest: anyone can send dust to an address


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicIncomingPayment:
    """A payment that arrived at the address of a claim."""

    id: str
    kind: str
    amount: Decimal
    chain: str
    arrived_at: datetime
    is_credited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicStatus:
    """A claim as its claimant sees it. Shows only accounts and addresses that they entered."""

    id: str
    token: str
    status: str
    is_final: bool  # the claim has ended
    method: str
    direction: str
    amount: Decimal
    currency: str
    created_at: datetime
    settled_at: datetime | None
    deadline_at: datetime | None
    reason: str  # of a failure or return
    transaction_id: str | None
    transfer_id: str | None
    transfer_status: str | None
    wallet_id: str | None
    bank_name: str
    account_last4: str
    address: str
    chain: str
    pay_address: str  # where to send USDC
    received: Decimal | None
    missing: Decimal | None
    incoming: tuple[PublicIncomingPayment, ...]


def token_of(claim: Claim) -> str:
    """The secret token with which the claimant sees the status of their claim."""
    return _TOKEN.sign(claim.id)


def find_by_token(link: PaymentLink, token: str) -> Claim:
    """Find a claim of the link by its token. Raises NotFound."""
    claim = None
    try:
        claims = Claim.objects.select_related("transfer", "link__organization", "link__wallet")
        claim = claims.filter(pk=_TOKEN.unsign(token), link=link).first()
    except signing.BadSignature:
        pass
    if claim is None:
        raise NotFound("There is no such claim.")
    return claim


def public_status(claim: Claim) -> PublicStatus:
    """Return the status of a claim for its claimant."""
    link, transfer = claim.link, claim.transfer
    awaits_payer = transfer is not None and transfer.awaits_payer
    shows_address = awaits_payer and claim.status == Claim.Status.AWAITING_PAYMENT
    return PublicStatus(
        id=claim.id,
        token=token_of(claim),
        status=claim.status,
        is_final=not claim.is_open,
        method=claim.method,
        direction=link.direction,
        amount=claim.amount,
        currency=link.currency,
        created_at=claim.created_at,
        settled_at=claim.settled_at,
        deadline_at=claim.deadline_at if claim.is_open else None,
        reason=claim.failure_reason,
        transaction_id=claim.transaction_id,
        transfer_id=claim.transfer_id,
        transfer_status=transfer.status if transfer else None,
        wallet_id=claim.wallet_id,
        bank_name=transfer.bank_name if transfer else "",
        account_last4=transfer.account_last4 if transfer else "",
        address=transfer.address if transfer and not awaits_payer else "",
        chain=transfer.chain if transfer else "",
        pay_address=transfer.address if shows_address else "",
        received=transfer.received if awaits_payer else None,
        missing=transfer.missing if shows_address else None,
        incoming=tuple(_incoming(transfer)) if awaits_payer else (),
    )


def _incoming(transfer: Transfer) -> Iterator[PublicIncomingPayment]:
    for payment in reversed(transfer.incoming_payments.order_by("-pk")[:INCOMING_SHOWN]):
        yield PublicIncomingPayment(
            id=payment.id,
            kind=payment.kind,
            amount=payment.amount,
            chain=payment.chain,
            arrived_at=payment.arrived_at,
            is_credited=payment.transaction_id is not None,
        )
