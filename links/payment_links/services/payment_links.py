"""Payment links: made, found, cancelled. When they send, their money waits in a hold."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.errors import InsufficientFunds
from accounts.ledger import holds, journal
from accounts.organizations.models import LinkDirection
from accounts.wallets import ledger_errors
from accounts.wallets.models import Wallet
from links.payment_links.errors import PaymentLinkNotFound
from links.payment_links.models import PaymentLink
from links.payment_links.models.payment_links import MAX_USES_LIMIT
from links.payment_links.services import addresses, expiry, pay_requests
from wallgent import clock, events, ids
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidAmount,
    InvalidState,
    PermissionDenied,
    ValidationError,
)
from wallgent.money import CEILING

_SLUG_BYTES = 24  # 192 bits: nobody guesses one
_SLUG = re.compile(r"[A-Za-z0-9_-]{22,64}", re.ASCII)

_Status = PaymentLink.Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """Who may claim. Lists that are not empty must all be met."""

    emails: tuple[str, ...] = ()
    wallet_ids: tuple[str, ...] = ()
    proof: str | None = None  # None is the environment's own


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicView:
    """What whoever knows the slug may see of a link."""

    slug: str
    amount: Decimal
    currency: str
    description: str
    status: str
    direction: str
    expires_at: datetime | None
    asks_email: bool  # a claim must name an e-mail address
    asks_code: bool  # and prove it by a code that is sent there
    sender: str | None  # whose link it is; withheld where not everybody may claim


def access(id: str, *, actor: Actor) -> PaymentLink:
    """A link the actor may use.

    Raises PaymentLinkNotFound, EnvironmentMismatch, PermissionDenied.
    """
    uuid = ids.parse(id, *PaymentLink.PREFIXES)
    link = uuid and PaymentLink.objects.select_related("organization").filter(pk=uuid).first()
    if not link or link.organization_id != actor.organization.id:
        raise PaymentLinkNotFound()
    if link.environment != actor.environment:
        raise EnvironmentMismatch()
    if not actor.covers(link.wallet_id):
        raise PermissionDenied("This key's wallet scope does not cover that link's wallet.")
    return link


def visible_to(actor: Actor):
    """The links the actor may list."""
    return PaymentLink.objects.visible_to(actor)


def find_by_slug(slug: str) -> PaymentLink:
    """Anyone's link, by the secret in its address. Raises PaymentLinkNotFound."""
    link = None
    if _SLUG.fullmatch(slug):
        link = PaymentLink.objects.select_related("organization").filter(slug=slug).first()
    if link is None:
        raise PaymentLinkNotFound()
    return link


def public_view(link: PaymentLink) -> PublicView:
    """What may be shown of a link before anybody has met its restrictions."""
    is_over = link.status == _Status.ACTIVE and link.is_past_expiry
    return PublicView(
        slug=link.slug,
        amount=link.amount,
        currency=link.currency,
        description=link.description,
        status=_Status.EXPIRED if is_over else link.status,
        direction=link.direction,
        expires_at=link.expires_at,
        asks_email=bool(link.emails),
        asks_code=bool(link.emails) and link.proof == PaymentLink.Proof.CODE,
        sender=None if link.is_restricted else link.organization.name,
    )


@transaction.atomic(savepoint=False)
def create(
    *,
    actor: Actor,
    wallet: Wallet,
    amount: Decimal,
    currency: str | None = None,
    direction: str | None = None,
    description: str = "",
    restrictions: Restrictions | None = None,
    expires_at: datetime | None = None,
    max_uses: int = 1,
    metadata: dict | None = None,
) -> PaymentLink:
    """A new link. One that sends promises its money at once, for as many uses as it has.

    `currency` None is the wallet's, `direction` None the organization's default.
    Raises ValidationError, InvalidAmount, InsufficientFunds, WalletFrozen, InvalidState.
    """
    assert 1 <= max_uses <= MAX_USES_LIMIT, "the door checks the form"
    restrictions = restrictions or Restrictions()
    now = clock.now(wallet)
    _check_terms(wallet, currency, amount * max_uses, expires_at, now)
    direction = LinkDirection(direction or actor.organization.default_link_direction)
    link = PaymentLink(
        slug=secrets.token_urlsafe(_SLUG_BYTES),
        organization=wallet.organization,
        environment=wallet.environment,
        wallet=wallet,
        direction=direction,
        amount=amount,
        currency=wallet.currency,
        description=description,
        emails=list(dict.fromkeys(map(addresses.normalized, restrictions.emails))),
        wallet_ids=list(dict.fromkeys(restrictions.wallet_ids)),
        proof=_proof(restrictions, wallet.environment),
        metadata=metadata,
        max_uses=max_uses,
        hold_id=ids.new("hld") if direction == LinkDirection.SEND else None,
        created_at=now,
        expires_at=expires_at,
    )
    link.save(force_insert=True)
    events.record("payment_link.created", link, actor=actor)
    if link.hold_id:
        _promise(link)
    return link


def _check_terms(wallet, currency, total, expires_at, now) -> None:
    if wallet.status == Wallet.Status.CLOSED:
        raise InvalidState("The wallet is closed.", walletId=wallet.id)
    if currency not in (None, wallet.currency):
        raise ValidationError(
            f"The wallet holds {wallet.currency}, not {currency}.",
            fields={"currency": f"must be {wallet.currency}"},
        )
    if total >= CEILING:
        raise InvalidAmount("All uses of a link together must stay below 1,000,000,000,000.")
    if expires_at is not None and expires_at <= now:
        raise ValidationError(
            "The link would have expired already. Give a time in the future.",
            fields={"expiresAt": "must lie in the future"},
        )


def _proof(restrictions: Restrictions, environment: str) -> str:
    """How an e-mail address is proven: real money by a code, unless the maker says otherwise."""
    if restrictions.proof:
        return restrictions.proof
    is_live = environment == Environment.PRODUCTION
    return PaymentLink.Proof.CODE if is_live and restrictions.emails else PaymentLink.Proof.TYPED


def _promise(link: PaymentLink) -> None:
    try:
        holds.place(
            link.hold_id,
            account_id=link.wallet.account_id,
            amount=link.amount * link.max_uses,
            reason="payment_link",
            reference=link.id,
            expires_at=link.expires_at,
            ahead=clock.offset(link),
        )
    except journal.Refused as refused:
        error = ledger_errors.explain(refused, link.wallet)
        if isinstance(error, InsufficientFunds) and refused.outcome == "NO_FUNDS":
            error.message = (
                "The wallet's available balance does not cover this link. A link that sends keeps"
                " its amount for every use."
            )
        raise error from None


@transaction.atomic(savepoint=False)
def cancel(link: PaymentLink, *, actor: Actor) -> PaymentLink:
    """End a link before it is claimed; what it still promises is free again.

    Claims that are under way go on. Raises InvalidState unless it is ACTIVE.
    """
    link = PaymentLink.objects.locked(link.id)
    if link.status == _Status.ACTIVE and link.is_past_expiry:
        raise expiry.refusal(link)
    if link.status != _Status.ACTIVE:
        raise InvalidState(
            f"Only an ACTIVE payment link can be cancelled; this one is {link.status}.",
            paymentLinkId=link.id,
            status=link.status,
        )
    link.advance(_Status.CANCELLED, at=clock.now(link))
    link.save(update_fields=["status", "cancelled_at"])
    events.record("payment_link.cancelled", link, actor=actor)
    pay_requests.withdraw([link], "The payment link was cancelled.")
    if link.hold_id:
        holds.release(
            link.hold_id,
            amount=link.unclaimed,
            operation=expiry.end_of(link),
            ahead=clock.offset(link),
        )
    return link
