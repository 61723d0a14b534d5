"""Creates, finds and cancels payment links. A SEND link holds its money from the start."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.ledger import holds, journal
from accounts.organizations.models import LinkDirection
from accounts.wallets import ledger_errors
from accounts.wallets.errors import InsufficientFunds
from accounts.wallets.models import Wallet
from links.payment_links.errors import PaymentLinkNotFound
from links.payment_links.models import PURPOSE, PaymentLink
from links.payment_links.models.payment_links import MAX_USES_LIMIT
from links.payment_links.services import expiry, pay_requests
from wallgent import clock, due_work, events, ids
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidAmount,
    InvalidState,
    PermissionDenied,
    ValidationError,
)
from wallgent.mail import addresses
from wallgent.money import CEILING

_SLUG_BYTES = 24  # 192 bits: cannot be guessed
_SLUG = re.compile(r"[A-Za-z0-9_-]{22,64}", re.ASCII)

_Status = PaymentLink.Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """Who may claim a link. A claim must match every list that is not empty."""

    emails: tuple[str, ...] = ()
    wallet_ids: tuple[str, ...] = ()
    proof: str | None = None  # None is the default of the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicLink:
    """What anyone who knows the slug may see of a link."""

    slug: str
    amount: Decimal
    currency: str
    description: str
    status: str
    direction: str
    expires_at: datetime | None
    requires_email: bool  # a claim must name an email
    requires_code: bool  # and verify it by a code that is sent to it
    sender: str | None  # the organization's name; None if the link is restricted


def access(id: str, *, actor: Actor) -> PaymentLink:
    """Return a link that the actor may use.

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
    """The links that the actor may list."""
    return PaymentLink.objects.visible_to(actor)


def find_by_slug(slug: str) -> PaymentLink:
    """Find a link of any organization by its secret slug. Raises PaymentLinkNotFound."""
    link = None
    if _SLUG.fullmatch(slug):
        link = PaymentLink.objects.select_related("organization").filter(slug=slug).first()
    if link is None:
        raise PaymentLinkNotFound()
    return link


def public_view(link: PaymentLink) -> PublicLink:
    """What may be shown of a link to visitors who have not met its restrictions."""
    return PublicLink(
        slug=link.slug,
        amount=link.amount,
        currency=link.currency,
        description=link.description,
        status=link.status_now,
        direction=link.direction,
        expires_at=link.expires_at,
        requires_email=bool(link.emails),
        requires_code=bool(link.emails) and link.proof == PaymentLink.Proof.CODE,
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
    """Create a link. A SEND link holds the amount of all its uses at once.

    `currency` defaults to the wallet's, `direction` to the organization's default.
    Raises ValidationError, InvalidAmount, InsufficientFunds, WalletFrozen, InvalidState.
    """
    assert 1 <= max_uses <= MAX_USES_LIMIT, "checked by the entry point"
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
        emails=list(dict.fromkeys(map(addresses.normalize, restrictions.emails))),
        wallet_ids=list(dict.fromkeys(restrictions.wallet_ids)),
        proof=_default_proof(restrictions, wallet.environment),
        metadata=metadata,
        max_uses=max_uses,
        hold_id=ids.new("hld") if direction == LinkDirection.SEND else None,
        created_at=now,
        expires_at=expires_at,
    )
    link.save(force_insert=True)
    events.record("payment_link.created", link, actor=actor)
    expiry.schedule(link)
    if link.hold_id:
        _place_hold(link)
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


def _default_proof(restrictions: Restrictions, environment: str) -> str:
    """The given proof of email, or the default: CODE for emails in production, else TYPED."""
    if restrictions.proof:
        return restrictions.proof
    is_live = environment == Environment.PRODUCTION
    return PaymentLink.Proof.CODE if is_live and restrictions.emails else PaymentLink.Proof.TYPED


def _place_hold(link: PaymentLink) -> None:
    try:
        holds.place(
            link.hold_id,
            account_id=link.wallet.account_id,
            amount=link.amount * link.max_uses,
            reason=PURPOSE,
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
    """Cancel an ACTIVE link and release what it holds for remaining uses.

    Claims under way continue. Raises InvalidState if the link is not ACTIVE or has expired.
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
    due_work.cancel(expiry.DUE_WORK, link)
    pay_requests.withdraw([link], "The payment link was cancelled.")
    if link.hold_id:
        holds.release(
            link.hold_id,
            amount=link.unclaimed,
            operation=expiry.release_operation(link),
            ahead=clock.offset(link),
        )
    return link
