"""The public side of payment links (contract 3.13): who knows the slug sees and claims."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from links.api.payment_links import Email
from links.models import Claim, PaymentLink
from links.services import claims, payment_links
from wallgent.api import throttling
from wallgent.api.client_ip import client_network
from wallgent.api.commands import command
from wallgent.api.public import PublicView
from wallgent.api.shapes import AmountText, ObjectId, Shape, TimeText
from wallgent.api.views import answer

GUESSES = 20  # a minute, of one address, at whom a link is for; shared with its public page

_lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)


class AchDestination(Shape):
    type: Annotated[Literal["ach"], _lower]
    routing_number: Annotated[str, Field(pattern=r"^[0-9]{9}\Z")]
    account_number: Annotated[str, Field(pattern=r"^[0-9]{4,17}\Z")]
    account_name: Annotated[str, Field(max_length=256)] | None = None


class UsdcDestination(Shape):
    type: Annotated[Literal["usdc"], _lower]
    address: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
    chain: Annotated[Literal["ethereum"], _lower] | None = None


class WalletDestination(Shape):
    type: Annotated[Literal["wallet"], _lower]
    wallet_id: ObjectId


class ClaimInput(Shape):
    method: Annotated[Literal["ach", "usdc", "wallet"], _lower]
    destination: dict[str, Any]
    recipient_email: Email | None = None

    @classmethod
    def read(cls, data: dict) -> "ClaimInput":
        """A claim of the method it names, whose destination has that method's fields."""
        claim = super().read(data)
        return claim if cls is not ClaimInput else _BY_METHOD[claim.method].read(data)


class AchClaimInput(ClaimInput):
    destination: AchDestination


class UsdcClaimInput(ClaimInput):
    destination: UsdcDestination


class WalletClaimInput(ClaimInput):
    destination: WalletDestination


_BY_METHOD = {"ach": AchClaimInput, "usdc": UsdcClaimInput, "wallet": WalletClaimInput}


class PublicLinkOutput(Shape):
    slug: str
    amount: AmountText
    currency: str
    description: str | None
    status: str
    direction: str
    expires_at: TimeText | None

    @classmethod
    def of(cls, link: PaymentLink) -> "PublicLinkOutput":
        view = payment_links.public_view(link)
        return cls.model_construct(
            slug=view.slug,
            amount=view.amount,
            currency=view.currency,
            description=view.description or None,
            status=view.status,
            direction=view.direction,
            expires_at=view.expires_at,
        )


class ClaimOutput(Shape):
    id: str
    slug: str
    status: str
    method: str
    amount: AmountText
    currency: str
    transaction_id: str | None
    transfer_id: str | None
    created_at: TimeText
    settled_at: TimeText | None

    @classmethod
    def of(cls, claim: Claim) -> "ClaimOutput":
        return cls.model_construct(
            id=claim.id,
            slug=claim.link.slug,
            status=claim.status,
            method=claim.method.lower(),
            amount=claim.amount,
            currency=claim.link.currency,
            transaction_id=claim.payment_id,
            transfer_id=None,
            created_at=claim.created_at,
            settled_at=claim.settled_at,
        )


class _LinkView(PublicView):
    """A path under a link's slug."""

    def actor(self, request, slug):
        self.link = payment_links.find_by_slug(slug)
        return claims.public_actor(self.link, request_id=request.id)


class PublicLinkView(_LinkView):
    permissions = {"GET": ""}

    def get(self, request, slug):
        return answer(PublicLinkOutput.of(self.link))


class ClaimView(_LinkView):
    permissions = {"POST": ""}

    @command(ClaimInput)
    def post(self, request, data, slug):
        method = Claim.Method(data.method.upper())
        self._count_guess(request)
        claims.check_available(self.link, method=method)
        wallet = claims.payee(data.destination.wallet_id, link=self.link)
        request.run.start()
        claim = claims.open(
            self.link,
            wallet=wallet,
            actor=request.actor,
            recipient_email=data.recipient_email or "",
        )
        return answer(ClaimOutput.of(claim))

    def _count_guess(self, request) -> None:
        """Whoever got hold of a link may not try addresses until one is right."""
        if self.link.emails:
            self.rate_headers = {}  # what counts from here on
            self.rate_headers = throttling.check(
                subject=f"pay:email:{client_network(request)}:{self.link.id}", limit=GUESSES
            )
