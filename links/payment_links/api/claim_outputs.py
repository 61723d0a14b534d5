"""The JSON outputs of the public API of payment links."""

from accounts.organizations.models import LinkDirection
from accounts.pay_ins.services import mandates
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claim_status, methods, payment_links
from links.payment_links.services.claim_status import PublicIncomingPayment, PublicStatus
from wallgent.api.schemas import AmountText, Schema, TimeText


class IncomingOutput(Schema):
    kind: str
    amount: AmountText
    chain: str
    arrived_at: TimeText
    credited: bool

    @classmethod
    def of(cls, payment: PublicIncomingPayment) -> "IncomingOutput":
        return cls.model_construct(
            kind=payment.kind,
            amount=payment.amount,
            chain=payment.chain,
            arrived_at=payment.arrived_at,
            credited=payment.is_credited,
        )


class DepositOutput(Schema):
    """Where to pay a claim in USDC, and the payments that arrived there."""

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


class ClaimOutput(Schema):
    """A claim as its claimant sees it."""

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


class VerificationOutput(Schema):
    """Whether a claim must name an email, and how it is verified."""

    email_required: bool
    proof: str


class MandateOutput(Schema):
    """The mandate that a payer accepts. If not required, a claim without it is a test."""

    version: str
    wording: str
    required: bool


class ConversionOutput(Schema):
    """The method that exchanges USD and USDC, and its rate."""

    method: str
    currency: str
    rate: str = "1.00"


class PublicLinkOutput(Schema):
    slug: str
    amount: AmountText
    currency: str
    description: str | None
    status: str
    direction: str
    methods: list[str]
    conversion: ConversionOutput | None
    verification: VerificationOutput | None
    mandate: MandateOutput | None
    expires_at: TimeText | None
    claim: ClaimOutput | None

    @classmethod
    def of(cls, link: PaymentLink, claim: Claim | None) -> "PublicLinkOutput":
        view, offered = payment_links.public_view(link), methods.offered(link)
        verification = None
        if view.requires_email:
            verification = VerificationOutput.model_construct(email_required=True, proof=link.proof)
        return cls.model_construct(
            slug=view.slug,
            amount=view.amount,
            currency=view.currency,
            description=view.description or None,
            status=view.status,
            direction=view.direction,
            methods=[method.lower() for method in offered],
            conversion=_conversion(link, offered),
            verification=verification,
            mandate=_mandate(link, offered),
            expires_at=view.expires_at,
            claim=ClaimOutput.of(claim) if claim else None,
        )


def _conversion(link: PaymentLink, offered: list[str]) -> ConversionOutput | None:
    for method in offered:
        if (currency := methods.currency_of(link, method)) != link.currency:
            return ConversionOutput.model_construct(method=method.lower(), currency=currency)
    return None


def _mandate(link: PaymentLink, offered: list[str]) -> MandateOutput | None:
    """The mandate of a link that may debit a bank account; it names the link's organization."""
    is_open = link.status == PaymentLink.Status.ACTIVE and not link.is_past_expiry
    may_debit = link.direction == LinkDirection.RECEIVE and Claim.Method.ACH in offered
    if link.is_restricted or not is_open or not may_debit:
        return None
    terms = mandates.terms(link.organization, amount=link.amount)
    return MandateOutput.model_construct(
        version=terms.version,
        wording=terms.wording,
        required=mandates.is_required(link.environment),
    )
