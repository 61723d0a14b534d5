"""The API of payment links for their organization (contract 3.13)."""

import re
from functools import partial
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from accounts.organizations.models import LinkDirection
from accounts.wallets import services as wallets
from links.payment_links.models import PaymentLink
from links.payment_links.models.payment_links import EMAIL_LENGTH, MAX_USES_LIMIT
from links.payment_links.services import payment_links
from links.payment_links.services.payment_links import Restrictions
from wallgent.actors import Actor
from wallgent.api.commands import command
from wallgent.api.pagination import PageQuery
from wallgent.api.schemas import (
    Amount,
    AmountText,
    Description,
    Metadata,
    ObjectId,
    Schema,
    Timestamp,
    TimeText,
)
from wallgent.api.views import ApiView, answer
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
    proof: str


class PaymentLinkOutput(Schema):
    id: str
    slug: str | None  # null if the caller may not know it
    url: str | None
    wallet_id: str
    direction: str
    amount: AmountText
    currency: str
    description: str | None
    status: str
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
    def of(cls, link: PaymentLink, *, actor: Actor | None) -> "PaymentLinkOutput":
        """The link as `actor` may see it. With None, as it may be stored."""
        restrictions, address = None, link.address_for(actor)
        if link.is_restricted:
            restrictions = RestrictionsOutput.model_construct(
                emails=link.emails, wallet_ids=link.wallet_ids, proof=link.proof
            )
        return cls.model_construct(
            id=link.id,
            slug=address.slug,
            url=address.url,
            wallet_id=link.wallet_id,
            direction=link.direction,
            amount=link.amount,
            currency=link.currency,
            description=link.description or None,
            status=link.status,
            recipient_restrictions=restrictions,
            max_uses=link.max_uses,
            use_count=link.use_count,
            metadata=link.metadata,
            transaction_id=link.transaction_id,
            created_at=link.created_at,
            expires_at=link.expires_at,
            claimed_at=link.claimed_at,
            settled_at=link.settled_at,
            cancelled_at=link.cancelled_at,
            expired_at=link.expired_at,
            reopened_at=link.reopened_at,
            reopen_reason=link.reopen_reason or None,
        )


class PaymentLinksView(ApiView):
    permissions = {"GET": "payments:read", "POST": "payments:write"}

    def get(self, request):
        query = self.query(PaymentLinksQuery)
        links = payment_links.visible_to(request.actor)
        if query.wallet_id:
            links = links.filter(wallet=wallets.access(query.wallet_id, actor=request.actor))
        if query.status:
            links = links.in_status(query.status)
        return self.page(
            links, query, lambda link: PaymentLinkOutput.of(link, actor=request.actor).to_json()
        )

    @command(PaymentLinkInput)
    def post(self, request, data):
        wallet = wallets.access(data.wallet_id, actor=request.actor)
        request.run.start(complete=partial(_address_of_stored, actor=request.actor))
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
        secret = link.address_for(request.actor)._asdict()
        return answer(PaymentLinkOutput.of(link, actor=None), status=201, secret=secret)


def _address_of_stored(stored: dict, *, actor: Actor) -> dict:
    """The address that the stored answer of a create call leaves out."""
    return payment_links.access(stored["id"], actor=actor).address_for(actor)._asdict()


class PaymentLinkView(ApiView):
    permissions = {"GET": "payments:read", "PATCH": "payments:write"}

    def get(self, request, id):
        link = payment_links.access(id, actor=request.actor)
        return answer(PaymentLinkOutput.of(link, actor=request.actor))

    @command(CancelInput)
    def patch(self, request, data, id):
        link = payment_links.access(id, actor=request.actor)
        request.run.start()
        link = payment_links.cancel(link, actor=request.actor)
        return answer(PaymentLinkOutput.of(link, actor=request.actor))
