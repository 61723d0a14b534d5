"""The public API of payment links (contract 3.13). Anyone who knows the slug may claim or pay."""

from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from accounts.organizations.models import LinkDirection
from accounts.organizations.services import api_keys
from accounts.pay_ins.services import mandates, pay_requests
from accounts.transfers import banking, ethereum
from accounts.transfers.rails.base import Address, Bank
from accounts.wallets.errors import InsufficientFunds, WalletFrozen, WalletNotFound
from accounts.wallets.models import Wallet
from links.payment_links.api.claim_outputs import ClaimOutput, PublicLinkOutput
from links.payment_links.api.payment_links import Email
from links.payment_links.errors import PaymentLinkNotFound, VerificationRequired
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    claim_status,
    claims,
    email_verification,
    methods,
    payment_links,
    rate_limits,
)
from wallgent.actors import Actor
from wallgent.api.operations import PUBLIC, Answer, operation
from wallgent.api.public import PublicView
from wallgent.api.schemas import ObjectId, Schema
from wallgent.errors import (
    Conflict,
    DomainError,
    InvalidAmount,
    InvalidState,
    NotAvailable,
    NotFound,
    PermissionDenied,
    Unauthorized,
    ValidationError,
)
from wallgent.http.client_ip import client_ip, client_network

_lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)


def _routing_number(value: str) -> str:
    if not banking.is_routing_number(value):
        raise PydanticCustomError("routing_number", "is not a routing number: check its digits")
    return value


def _account_number(value: str) -> str:
    if not banking.is_account_number(value):
        raise PydanticCustomError("account_number", "must be 4 to 17 digits")
    return value


def _address(value: str) -> str:
    if not ethereum.is_address(value):
        raise PydanticCustomError("address", "must be an Ethereum address with a valid checksum")
    return value


class AchDestination(Schema):
    type: Annotated[Literal["ach"], _lower]
    routing_number: Annotated[str, AfterValidator(_routing_number)]
    account_number: Annotated[str, AfterValidator(_account_number)]
    account_name: Annotated[str, Field(max_length=140)] | None = None

    def resolve(self, link: PaymentLink, authorized_by: Actor | None) -> Bank:
        return Bank(self.routing_number, self.account_number, self.account_name or "")


class UsdcDestination(Schema):
    type: Annotated[Literal["usdc"], _lower]
    # Optional for a payer.
    address: Annotated[str, AfterValidator(_address)] | None = None
    chain: Annotated[Literal["ethereum"], _lower] | None = None

    def resolve(self, link: PaymentLink, authorized_by: Actor | None) -> Address:
        return Address(self.address or "", self.chain or "ethereum")


class WalletDestination(Schema):
    type: Annotated[Literal["wallet"], _lower]
    wallet_id: ObjectId

    def resolve(self, link: PaymentLink, authorized_by: Actor | None) -> Wallet:
        if link.direction == LinkDirection.SEND:
            return claims.payee(self.wallet_id, link=link)
        return pay_requests.find_payer(
            self.wallet_id, environment=link.environment, authorized_by=authorized_by
        )


class MandateInput(Schema):
    version: Annotated[str, Field(min_length=1, max_length=16)]
    accepted: Literal[True]


class MethodInput(Schema):
    method: Annotated[Literal["ach", "usdc", "wallet"], _lower]


class ClaimInput(MethodInput):
    destination: dict[str, Any]
    recipient_email: Email | None = None
    verification_code: Annotated[str, Field(max_length=32)] | None = None
    mandate: MandateInput | None = None

    @classmethod
    def read(cls, data: dict) -> "ClaimInput":
        """Parse a claim, with the destination fields of its method."""
        claim = super().read(data)
        return claim if cls is not ClaimInput else _BY_METHOD[claim.method].read(data)


class AchClaimInput(ClaimInput):
    method: Annotated[Literal["ach"], _lower]
    destination: AchDestination


class UsdcClaimInput(ClaimInput):
    method: Annotated[Literal["usdc"], _lower]
    destination: UsdcDestination


class WalletClaimInput(ClaimInput):
    method: Annotated[Literal["wallet"], _lower]
    destination: WalletDestination


_BY_METHOD = {"ach": AchClaimInput, "usdc": UsdcClaimInput, "wallet": WalletClaimInput}


class PublicLinkQuery(Schema):
    claim_token: Annotated[str, Field(max_length=128)] | None = None


class _LinkView(PublicView):
    """A path under a link's slug. The actor has no key."""

    loads = {"link": lambda request, form, path: request.link}

    def actor(self, request, slug):
        request.link = payment_links.find_by_slug(slug)
        return claims.public_actor(request.link, request_id=request.id)


class PublicLinkView(_LinkView):
    path = "payment-links/claim/{slug}"

    @operation(
        PUBLIC,
        query=PublicLinkQuery,
        answers=PublicLinkOutput,
        errors=(PaymentLinkNotFound, NotFound),
    )
    def get(self, request, link, query):
        """Get a payment link by its slug."""
        token = query.claim_token
        claim = claim_status.find_by_token(link, token) if token else None
        return PublicLinkOutput.of(link, claim)


def _prepare_claim(view, request, data: ClaimInput) -> None:
    """Check that the method has a rail; then send or check a code, if the link requires one.

    This runs before the claim's transaction, so that a refused claim does not roll back the count
    of a wrong code or the record of a sent email.
    """
    link, email, code = request.link, data.recipient_email or "", data.verification_code
    methods.check_connected(link, data.method.upper())
    if not email_verification.is_needed(link) or link.status != PaymentLink.Status.ACTIVE:
        return
    _count(request, rate_limits.count_address)
    if code:
        visitor = _visitor(request)
        email_verification.check_code(link, email=email, code=code, visitor=visitor)
    else:
        sent = email_verification.send_code(link, email=email)
        raise VerificationRequired(email=email, resendAfterSeconds=sent.resend_after_seconds)


def _authorized_by(request, data: ClaimInput) -> Actor | None:
    """Return the actor of an API key that pays the link from a wallet, if one was sent."""
    link = request.link
    if link.emails and not email_verification.is_needed(link):
        _count(request, rate_limits.count_address)
    if link.direction != LinkDirection.RECEIVE or data.method != "wallet":
        return None
    authorized_by = _actor_of_sent_key(request)
    if authorized_by is None:
        _count(request, rate_limits.count_request)
    return authorized_by


def _parties(request, data: ClaimInput, path) -> tuple[Actor | None, claims.Destination]:
    """Return who authorizes the claim, if not its claimant, and where its money goes or is from."""
    authorized_by = _authorized_by(request, data)
    return authorized_by, data.destination.resolve(request.link, authorized_by)


class ClaimView(_LinkView):
    path = "payment-links/claim/{slug}/claim"

    def read(self, schema, request, body):
        """Read a claim. A method without a rail is refused before the rest of the form."""
        try:
            return schema.read(body)
        except DomainError as malformed:
            with suppress(ValidationError):
                methods.check_connected(request.link, MethodInput.read(body).method.upper())
            raise malformed from None

    @operation(
        PUBLIC,
        body=ClaimInput,
        body_schema=AchClaimInput | UsdcClaimInput | WalletClaimInput,
        prepare=_prepare_claim,
        loads={"parties": _parties},
        answers={200: ClaimOutput, 202: ClaimOutput},
        errors=(
            *(PaymentLinkNotFound, WalletNotFound, Unauthorized, PermissionDenied),
            *(VerificationRequired, InsufficientFunds, WalletFrozen, InvalidState, Conflict),
            *(NotAvailable, InvalidAmount),
        ),
        example={"method": "wallet", "destination": {"type": "wallet", "walletId": "{savings_id}"}},
    )
    def post(self, request, link, parties, data):
        """Claim or pay a payment link."""
        authorized_by, destination = parties
        claim = claims.open(
            link,
            actor=request.actor,
            destination=destination,
            recipient_email=data.recipient_email or "",
            visitor=_visitor(request),
            mandate=_acceptance(request, link, data.mandate),
            authorized_by=authorized_by,
        )
        needs_approval = claim.status == Claim.Status.PENDING_APPROVAL
        return Answer(ClaimOutput.of(claim), 202 if needs_approval else 200)


def _count(request, count) -> None:
    request.rate_headers = {}  # of the limit counted below only
    request.rate_headers = count(request.link, client_network(request))


def _visitor(request) -> str:
    return email_verification.visitor_of_network(client_network(request))


def _actor_of_sent_key(request) -> Actor | None:
    """The actor of an API key sent with a public call, or None if it is absent or invalid."""
    scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        return api_keys.authenticate(
            secret.strip(),
            ip=client_ip(request),
            user_agent=request.META.get("HTTP_USER_AGENT", "").replace("\0", ""),
            request_id=request.id,
        )
    except DomainError:
        return None


def _acceptance(
    request, link: PaymentLink, mandate: MandateInput | None
) -> mandates.Acceptance | None:
    """The acceptance of a mandate. In the sandbox, a claim without one is a test authorization."""
    if mandate is None and mandates.is_required(link.environment):
        return None
    return mandates.Acceptance(
        version=mandate.version if mandate else "",
        ip=client_ip(request),
        user_agent=request.META.get("HTTP_USER_AGENT", "").replace("\0", ""),
    )
