"""The API of payment links for their organization (contract 3.13)."""

import re
from functools import partial
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from accounts.organizations.models import LinkDirection
from accounts.wallets import services as wallets
from accounts.wallets.errors import InsufficientFunds, WalletFrozen, WalletNotFound
from links.payment_links.errors import PaymentLinkNotFound
from links.payment_links.models import PaymentLink
from links.payment_links.models.payment_links import EMAIL_LENGTH, MAX_USES_LIMIT
from links.payment_links.services import payment_links
from links.payment_links.services.payment_links import Restrictions
from wallgent.actors import Actor
from wallgent.api.operations import Loader, operation
from wallgent.api.pagination import Page, PageQuery
from wallgent.api.schemas import (
    Amount,
    AmountText,
    Description,
    Metadata,
    ObjectId,
    Schema,
    Timestamp,
    TimeText,
    one_of,
)
from wallgent.api.views import ApiView
from wallgent.errors import InvalidAmount, InvalidState
from wallgent.mail import addresses
from wallgent.money import Currency

RECIPIENTS_LIMIT = 100

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+")


def _email(value: str) -> str:
    address = addresses.normalize(value)
    is_well_formed = _EMAIL.fullmatch(address) and address.isprintable()
    if not is_well_formed or len(address) > EMAIL_LENGTH:
        raise PydanticCustomError("email", "must be an e-mail address")
    return address


Email = Annotated[str, Field(max_length=EMAIL_LENGTH), AfterValidator(_email)]


class RestrictionsInput(Schema):
    emails: Annotated[list[Email], Field(max_length=RECIPIENTS_LIMIT)] | None = None
    wallet_ids: Annotated[list[ObjectId], Field(max_length=RECIPIENTS_LIMIT)] | None = None
    proof: PaymentLink.Proof | None = None

    def to_restrictions(self) -> Restrictions:
        return Restrictions(
            emails=tuple(self.emails or ()),
            wallet_ids=tuple(self.wallet_ids or ()),
            proof=self.proof,
        )


class PaymentLinkInput(Schema):
    wallet_id: ObjectId
    amount: Amount
    currency: Currency | None = None
    description: Description | None = None
    direction: LinkDirection | None = None
    recipient_restrictions: RestrictionsInput | None = None
    expires_at: Timestamp | None = None
    max_uses: Annotated[int, Field(strict=True, ge=1, le=MAX_USES_LIMIT)] | None = None
    metadata: Metadata | None = None


class CancelInput(Schema):
    """An empty body, or the status CANCELLED. No other change of a link is possible."""

    status: Literal["CANCELLED"] = "CANCELLED"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _refuse_other_fields(cls, data: Any) -> Any:
        if set(data) - {"status", "idempotencyKey", "idempotency_key"}:
            raise PydanticCustomError(
                "cancel_only", "A link cannot be changed, only cancelled: send an empty body"
            )
        return data


class PaymentLinksQuery(PageQuery):
    wallet_id: ObjectId | None = None
    status: PaymentLink.Status | None = None


class RestrictionsOutput(Schema):
    emails: list[str]
    wallet_ids: list[str]
    proof: one_of(PaymentLink.Proof)


class PaymentLinkOutput(Schema):
    id: str
    slug: str | None  # null if the caller may not know it
    url: str | None
    wallet_id: str
    direction: one_of(LinkDirection)
    amount: AmountText
    currency: one_of(Currency)
    description: str | None
    status: one_of(PaymentLink.Status)
    recipient_restrictions: RestrictionsOutput | None
    max_uses: int
    use_count: int
    metadata: dict[str, Any] | None
    transaction_id: str | None
    created_at: TimeText
    expires_at: TimeText | None
    claimed_at: TimeText | None
    settled_at: TimeText | None
    cancelled_at: TimeText | None
    expired_at: TimeText | None
    reopened_at: TimeText | None
    reopen_reason: str | None

    @classmethod
    def of(cls, link: PaymentLink, *, actor: Actor) -> "PaymentLinkOutput":
        """Render the link as `actor` may see it."""
        return super().of(
            link,
            recipient_restrictions=RestrictionsOutput.of(link) if link.is_restricted else None,
            **link.address_for(actor)._asdict(),
        )


def _address_of_stored(stored: dict, *, actor: Actor) -> dict:
    """Return the address that the stored answer of a create call leaves out."""
    return payment_links.access(stored["id"], actor=actor).address_for(actor)._asdict()


class PaymentLinksView(ApiView):
    path = "payment-links"
    loads = {"wallet": Loader("wallet_id", wallets.access, WalletNotFound)}

    @operation("payments:read", query=PaymentLinksQuery, answers=Page[PaymentLinkOutput])
    def get(self, request, wallet, query):
        """List payment links."""
        links = query.narrow(payment_links.visible_to(request.actor), wallet=wallet)
        if query.status:
            links = links.in_status(query.status)
        return self.page(links, query, partial(PaymentLinkOutput.of, actor=request.actor))

    @operation(
        "payments:write",
        body=PaymentLinkInput,
        answers={201: PaymentLinkOutput},
        secrets={"slug", "url"},
        restore=_address_of_stored,
        errors=(InvalidAmount, InsufficientFunds, WalletFrozen, InvalidState),
        example={"walletId": "{wallet_id}", "amount": "5", "direction": "SEND"},
    )
    def post(self, request, wallet, data):
        """Create a payment link."""
        restrictions = data.recipient_restrictions
        link = payment_links.create(
            actor=request.actor,
            wallet=wallet,
            amount=data.amount,
            currency=data.currency,
            direction=data.direction,
            description=data.description or "",
            restrictions=restrictions.to_restrictions() if restrictions else None,
            expires_at=data.expires_at,
            max_uses=data.max_uses or 1,
            metadata=data.metadata,
        )
        return PaymentLinkOutput.of(link, actor=request.actor)


class PaymentLinkView(ApiView):
    path = "payment-links/{link_id}"
    loads = {"link": Loader("link_id", payment_links.access, PaymentLinkNotFound)}

    @operation("payments:read", answers=PaymentLinkOutput)
    def get(self, request, link):
        """Get a payment link."""
        return PaymentLinkOutput.of(link, actor=request.actor)

    @operation(
        "payments:write", body=CancelInput, answers=PaymentLinkOutput, errors=(InvalidState,)
    )
    def patch(self, request, link, data):
        """Cancel a payment link."""
        link = payment_links.cancel(link, actor=request.actor)
        return PaymentLinkOutput.of(link, actor=request.actor)
