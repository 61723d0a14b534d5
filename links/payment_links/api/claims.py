"""The public API of payment links (contract 3.13). Anyone who knows the slug may claim or pay."""

from typing import Annotated, Any, Literal

from django.conf import settings
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from accounts.organizations.models import LinkDirection
from accounts.organizations.services import api_keys
from accounts.pay_ins.services import mandates, pay_requests
from accounts.transfers import banking, ethereum
from accounts.transfers.rails.base import Address, Bank
from accounts.wallets.models import Wallet
from links.payment_links.api.claim_outputs import ClaimOutput, PublicLinkOutput
from links.payment_links.api.payment_links import Email
from links.payment_links.errors import VerificationRequired
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
from wallgent.api import json
from wallgent.api.commands import command
from wallgent.api.public import PublicView
from wallgent.api.schemas import ObjectId, Schema
from wallgent.api.views import answer
from wallgent.errors import DomainError, NotAvailable
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
        raise PydanticCustomError("address", "is not an Ethereum address: check its letters")
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
    destination: AchDestination


class UsdcClaimInput(ClaimInput):
    destination: UsdcDestination


class WalletClaimInput(ClaimInput):
    destination: WalletDestination


_BY_METHOD = {"ach": AchClaimInput, "usdc": UsdcClaimInput, "wallet": WalletClaimInput}


class PublicLinkQuery(Schema):
    claim_token: Annotated[str, Field(max_length=128)] | None = None


class _LinkView(PublicView):
    """A path under a link's slug. The actor has no key."""

    def actor(self, request, slug):
        self.link = payment_links.find_by_slug(slug)
        return claims.public_actor(self.link, request_id=request.id)


class PublicLinkView(_LinkView):
    permissions = {"GET": ""}

    def get(self, request, slug):
        token = self.query(PublicLinkQuery).claim_token
        claim = claim_status.find_by_token(self.link, token) if token else None
        return answer(PublicLinkOutput.of(self.link, claim))


class ClaimView(_LinkView):
    permissions = {"POST": ""}

    def initial(self, request, slug):
        super().initial(request, slug=slug)
        self.refusal = None
        if request.method == "POST":
            self._precheck(request)

    @command(ClaimInput)
    def post(self, request, data, slug):
        if self.refusal:
            request.run.start()  # repeats a stored answer, if there is one
            raise self.refusal
        if self.link.emails and not email_verification.is_needed(self.link):
            self._count(request, rate_limits.count_address)
        authorized_by = None
        if self.link.direction == LinkDirection.RECEIVE and data.method == "wallet":
            authorized_by = _actor_of_sent_key(request)
            if authorized_by is None:
                self._count(request, rate_limits.count_request)
        destination = data.destination.resolve(self.link, authorized_by)
        request.run.start()
        claim = claims.open(
            self.link,
            actor=request.actor,
            destination=destination,
            recipient_email=data.recipient_email or "",
            visitor=_visitor(request),
            mandate=_acceptance(request, self.link, data.mandate),
            authorized_by=authorized_by,
        )
        needs_approval = claim.status == Claim.Status.PENDING_APPROVAL
        return answer(ClaimOutput.of(claim), status=202 if needs_approval else 200)

    def _precheck(self, request) -> None:
        """Refuse a method without a rail before any other check; then verify the email.

        Raises NotAvailable.
        """
        try:
            body = json.read_object(request, settings.BODY_LIMIT_BYTES)
            method = MethodInput.read(body).method.upper()
        except DomainError:
            return  # the handler reports it
        try:
            methods.check_connected(self.link, method)
        except NotAvailable as error:
            self.refusal = error
        try:
            data = ClaimInput.read(body)
        except DomainError:
            if self.refusal:
                raise self.refusal from None
            return  # the handler reports it
        if self.refusal is None:
            self._verify_email(request, data)

    def _verify_email(self, request, data: ClaimInput) -> None:
        """Send or check a code, if the link requires one.

        This runs before the claim's transaction, so that a refused claim does not roll back the
        count of a wrong code or the record of a sent email.
        """
        if (
            not email_verification.is_needed(self.link)
            or self.link.status != PaymentLink.Status.ACTIVE
        ):
            return
        self._count(request, rate_limits.count_address)
        email, code = data.recipient_email or "", data.verification_code
        try:
            if code:
                visitor = _visitor(request)
                email_verification.check_code(self.link, email=email, code=code, visitor=visitor)
            else:
                sent = email_verification.send_code(self.link, email=email)
                self.refusal = VerificationRequired(
                    email=email, resendAfterSeconds=sent.resend_after_seconds
                )
        except DomainError as refusal:
            self.refusal = refusal

    def _count(self, request, count) -> None:
        self.rate_headers = {}  # of the limit counted below only
        self.rate_headers = count(self.link, client_network(request))


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
