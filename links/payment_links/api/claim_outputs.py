"""The JSON outputs of the public API of payment links."""

from typing import Annotated

from accounts.organizations.models import LinkDirection
from accounts.pay_ins.services import mandates
from accounts.transfers.models import IncomingPayment, Transfer
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claim_status, methods, payment_links
from links.payment_links.services.claim_status import PublicStatus
from wallgent.api.schemas import AmountText, From, Schema, TimeText, one_of
from wallgent.money import Currency

Method = one_of(lambda: [method.lower() for method in Claim.Method.values])


class IncomingOutput(Schema):
    kind: one_of(IncomingPayment.Kind)
    amount: AmountText
    chain: str
    arrived_at: TimeText
    credited: Annotated[bool, From("is_credited")]


class DepositOutput(Schema):
    """Where to pay a claim in USDC, and the payments that arrived there."""

    address: Annotated[str | None, From("pay_address")]
    chain: str
    received: AmountText
    missing: AmountText | None
    payments: list[IncomingOutput]

    @classmethod
    def of(cls, status: PublicStatus) -> "DepositOutput":
        return super().of(status, payments=[IncomingOutput.of(one) for one in status.incoming])


class ClaimOutput(Schema):
    """A claim as its claimant sees it."""

    id: str
    slug: str
    status: one_of(Claim.Status)
    method: Method
    direction: one_of(LinkDirection)
    amount: AmountText
    currency: one_of(Currency)
    transaction_id: str | None
    transfer_id: str | None
    transfer_status: one_of(Transfer.Status) | None
    reason: str | None
    deposit: DepositOutput | None
    claim_token: Annotated[str, From("token")]
    created_at: TimeText
    settled_at: TimeText | None
    expires_at: Annotated[TimeText | None, From("deadline_at")]

    @classmethod
    def of(cls, claim: Claim) -> "ClaimOutput":
        status = claim_status.public_status(claim)
        deposit = DepositOutput.of(status) if status.received is not None else None
        slug, method = claim.link.slug, status.method.lower()
        return super().of(status, slug=slug, method=method, deposit=deposit)


class VerificationOutput(Schema):
    """Whether a claim must name an email, and how it is verified."""

    email_required: bool = True
    proof: one_of(PaymentLink.Proof)


class MandateOutput(Schema):
    """The mandate that a payer accepts. If not required, a claim without it is a test."""

    version: str
    wording: str
    required: bool


class ConversionOutput(Schema):
    """The method that exchanges USD and USDC, and its rate."""

    method: Method
    currency: one_of(Currency)
    rate: str = "1.00"


class PublicLinkOutput(Schema):
    slug: str
    amount: AmountText
    currency: one_of(Currency)
    description: str | None
    status: one_of(PaymentLink.Status)
    direction: one_of(LinkDirection)
    methods: list[Method]
    conversion: ConversionOutput | None
    verification: VerificationOutput | None
    mandate: MandateOutput | None
    expires_at: TimeText | None
    claim: ClaimOutput | None

    @classmethod
    def of(cls, link: PaymentLink, claim: Claim | None) -> "PublicLinkOutput":
        view, offered = payment_links.public_view(link), methods.offered(link)
        return super().of(
            view,
            methods=[method.lower() for method in offered],
            conversion=_conversion(link, offered),
            verification=VerificationOutput.of(link) if view.requires_email else None,
            mandate=_mandate(link, offered),
            claim=ClaimOutput.of(claim) if claim else None,
        )


def _conversion(link: PaymentLink, offered: list[str]) -> ConversionOutput | None:
    for method in offered:
        if (currency := methods.currency_of(link, method)) != link.currency:
            return ConversionOutput.model_construct(method=method.lower(), currency=currency)
    return None


def _mandate(link: PaymentLink, offered: list[str]) -> MandateOutput | None:
    """The mandate of a link that may debit a bank account; it names the link's organization."""
    may_debit = link.direction == LinkDirection.RECEIVE and Claim.Method.ACH in offered
    if link.is_restricted or not link.is_open or not may_debit:
        return None
    terms = mandates.terms(link.organization, amount=link.amount)
    return MandateOutput.of(terms, required=mandates.is_required(link.environment))
