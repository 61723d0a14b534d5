"""What the public side of payment links answers."""

from accounts.models import LinkDirection
from links.models import Claim, PaymentLink
from links.services import claim_status, claims, mandates, payment_links
from links.services.claim_status import Incoming, PublicStatus
from wallgent.api.shapes import AmountText, Shape, TimeText


class IncomingOutput(Shape):
    kind: str
    amount: AmountText
    chain: str
    arrived_at: TimeText
    credited: bool

    @classmethod
    def of(cls, payment: Incoming) -> "IncomingOutput":
        return cls.model_construct(
            kind=payment.kind,
            amount=payment.amount,
            chain=payment.chain,
            arrived_at=payment.arrived_at,
            credited=payment.is_credited,
        )


class DepositOutput(Shape):
    """Where a claim by USDC is to be paid, and what has come there."""

    address: str | None
    chain: str
    received: AmountText
    missing: AmountText | None
    payments: list[IncomingOutput]

    @classmethod
    def of(cls, status: PublicStatus) -> "DepositOutput":
        return cls.model_construct(
            address=status.pay_address or None,
            chain=status.chain,
            received=status.received,
            missing=status.missing,
            payments=[IncomingOutput.of(payment) for payment in status.incoming],
        )


class ClaimOutput(Shape):
    """A claim, for whoever made it."""

    id: str
    slug: str
    status: str
    method: str
    direction: str
    amount: AmountText
    currency: str
    transaction_id: str | None
    transfer_id: str | None
    transfer_status: str | None
    reason: str | None
    deposit: DepositOutput | None
    claim_token: str
    created_at: TimeText
    settled_at: TimeText | None
    expires_at: TimeText | None

    @classmethod
    def of(cls, claim: Claim) -> "ClaimOutput":
        status = claim_status.public_status(claim)
        return cls.model_construct(
            id=status.id,
            slug=claim.link.slug,
            status=status.status,
            method=status.method.lower(),
            direction=status.direction,
            amount=status.amount,
            currency=status.currency,
            transaction_id=status.transaction_id,
            transfer_id=status.transfer_id,
            transfer_status=status.transfer_status,
            reason=status.reason or None,
            deposit=DepositOutput.of(status) if status.received is not None else None,
            claim_token=status.token,
            created_at=status.created_at,
            settled_at=status.settled_at,
            expires_at=status.deadline_at,
        )


class VerificationOutput(Shape):
    """What a claim has to say of an e-mail address."""

    email_required: bool
    proof: str


class MandateOutput(Shape):
    version: str
    wording: str


class PublicLinkOutput(Shape):
    slug: str
    amount: AmountText
    currency: str
    description: str | None
    status: str
    direction: str
    methods: list[str]
    verification: VerificationOutput | None
    mandate: MandateOutput | None
    expires_at: TimeText | None
    claim: ClaimOutput | None

    @classmethod
    def of(cls, link: PaymentLink, claim: Claim | None) -> "PublicLinkOutput":
        view = payment_links.public_view(link)
        asked = None
        if view.asks_email:
            asked = VerificationOutput.model_construct(email_required=True, proof=link.proof)
        return cls.model_construct(
            slug=view.slug,
            amount=view.amount,
            currency=view.currency,
            description=view.description or None,
            status=view.status,
            direction=view.direction,
            methods=[method.lower() for method in claims.methods(link)],
            verification=asked,
            mandate=_mandate(link),
            expires_at=view.expires_at,
            claim=ClaimOutput.of(claim) if claim else None,
        )


def _mandate(link: PaymentLink) -> MandateOutput | None:
    """What to agree to before a bank account is debited; it names the link's organization."""
    if link.direction != LinkDirection.RECEIVE or link.is_restricted:
        return None
    mandate = mandates.current(link)
    return MandateOutput.model_construct(version=mandate.version, wording=mandate.wording)
