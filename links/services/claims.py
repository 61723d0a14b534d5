"""Claims: whoever knows a link's address takes what it promises, or pays what it asks for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core import signing
from django.db import transaction

from accounts.errors import WalletNotFound
from accounts.models import LinkDirection, RailType, Transfer, Wallet
from accounts.services import organizations, rail_transfers, wallets
from accounts.services.rail_transfers import Address, Bank
from links.models import Claim, PaymentLink
from links.services import (
    emails,
    expiry,
    link_settings,
    mandates,
    pay_ins,
    payouts,
    restrictions,
    verification,
)
from links.services.restrictions import Destination, admits, guesses, is_met
from wallgent import clock
from wallgent.actors import Actor
from wallgent.errors import InvalidState, NotAvailable, NotFound, ValidationError

# Written out: what is only passed on would else seem unused.
__all__ = [
    "admits",
    "find",
    "guesses",
    "is_met",
    "methods",
    "open",
    "payee",
    "payer",
    "public_actor",
    "public_status",
    "token_of",
]

_Method = Claim.Method
_Status = PaymentLink.Status
_OVER = {
    _Status.CLAIMED: "This payment link was claimed already.",
    _Status.SETTLED: "This payment link was claimed already.",
    _Status.EXPIRED: expiry.WORDS,
    _Status.CANCELLED: "This payment link was cancelled. Ask whoever made it for a new one.",
}
_METHODS = {Wallet: _Method.WALLET, Bank: _Method.ACH, Address: _Method.USDC}
_TOKEN = signing.Signer(salt="links.claim")

INCOMING_SHOWN = 50  # the latest: anybody can send dust to an address


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One payment that came to the address of a claim."""

    kind: str
    amount: Decimal
    chain: str
    arrived_at: datetime
    is_credited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicStatus:
    """A claim as its claimer sees it; accounts and addresses only as far as they told them."""

    id: str
    token: str
    status: str
    is_final: bool  # nobody waits for anything any more
    method: str
    direction: str
    amount: Decimal
    currency: str
    created_at: datetime
    settled_at: datetime | None
    deadline_at: datetime | None
    reason: str  # of its end
    transaction_id: str | None
    transfer_id: str | None
    transfer_status: str | None
    wallet_id: str | None
    bank_name: str
    account_last4: str
    address: str
    chain: str
    pay_address: str  # where USDC are to be paid
    received: Decimal | None
    missing: Decimal | None
    incoming: tuple[Incoming, ...]


def public_actor(link: PaymentLink, *, request_id: str = "") -> Actor:
    """Whoever came without a key: it acts as nobody, where the link is.

    Its address is not kept: it would be told to the link's organization, to which it is a stranger.
    """
    return Actor(
        organization=link.organization,
        environment=link.environment,
        type=organizations.system_actor(link.organization).type,
        request_id=request_id,
    )


def methods(link: PaymentLink) -> list[str]:
    """The ways in which a link can be claimed or paid, as things are."""
    if link.wallet_ids:
        return [_Method.WALLET]
    found, may_convert = [], None
    for rail in (RailType.ACH, RailType.USDC):
        if link.amount != round(link.amount, rail.places) or not _carries(link, rail):
            continue
        if rail.currency != link.currency and may_convert is None:
            may_convert = link_settings.converts_currencies(link.organization)
        if rail.currency == link.currency or may_convert:
            found.append(_Method(rail))
    return [*found, _Method.WALLET]


def _carries(link: PaymentLink, rail: str) -> bool:
    try:
        rail_transfers.quote(link.environment, rail)
    except NotAvailable:
        return False
    return True


def payee(wallet_id: str, *, link: PaymentLink) -> Wallet:
    """The wallet a link may pay to: anyone's, in the link's environment. Raises WalletNotFound."""
    wallet = wallets.find_parties([wallet_id]).get(wallet_id)
    if wallet is None or wallet.environment != link.environment:
        raise WalletNotFound("There is no such wallet to pay to.")
    return wallet


def payer(wallet_id: str, *, link: PaymentLink, authorised_by: Actor | None = None) -> Wallet:
    """The wallet that is to pay a link. Raises Unauthorized where it cannot even be asked."""
    wallet = Wallet.objects.filter(pk__in=wallets.find_parties([wallet_id])).first()
    is_authorised = wallet and authorised_by and pay_ins.may_spend(authorised_by, wallet)
    if not is_authorised or wallet.environment != link.environment:
        pay_ins.check_may_be_asked(wallet, link)
    return wallet


@transaction.atomic(savepoint=False)
def open(
    link: PaymentLink,
    *,
    actor: Actor,
    destination: Destination,
    recipient_email: str = "",
    verification_code: str = "",
    mandate: mandates.Acceptance | None = None,
    authorised_by: Actor | None = None,
) -> Claim:
    """Take one use of a link: its money goes to `destination`, or comes from there.

    To and from a wallet it moves at once; from one that `authorised_by` may not spend from, once
    its organization agrees, and until then no use is taken. Over a rail it moves when the rail
    says so. Raises InvalidState, PermissionDenied, VerificationRequired, Unauthorized, Conflict,
    ValidationError, InvalidAmount, NotAvailable, InsufficientFunds, WalletFrozen.
    """
    link = PaymentLink.objects.locked(link.id)  # one claim after the other
    email = emails.normalized(recipient_email)
    _check_open(link)
    restrictions.check_email(link, email)
    restrictions.check_destination(link, destination)
    if verification.is_needed(link):
        verification.use(link, email=email, code=verification_code)
    claim = _drawn_up(link, destination, email)
    restrictions.check_first_time(claim)
    may_convert = _check_way(link, claim, destination)
    if isinstance(destination, Wallet):
        if link.direction == LinkDirection.SEND:
            payouts.to_wallet(claim, actor=actor)
        else:
            pay_ins.from_wallet(claim, actor=actor, authorised_by=authorised_by)
    elif link.direction == LinkDirection.SEND:
        payouts.over_rail(claim, destination, actor=actor, may_convert=may_convert)
    elif isinstance(destination, Bank):
        way = {"mandate": mandate, "actor": actor, "may_convert": may_convert}
        pay_ins.from_bank(claim, destination, **way)
    else:
        pay_ins.from_chain(claim, destination, actor=actor, may_convert=may_convert)
    return claim


def _check_open(link: PaymentLink) -> None:
    if link.status != _Status.ACTIVE:
        raise InvalidState(_OVER[link.status], status=link.status)
    if link.is_past_expiry:
        raise expiry.refusal(link)
    if link.wallet.status == Wallet.Status.CLOSED:
        # One that receives; which wallet it was is not for a payer to know.
        raise InvalidState(
            "This payment link takes no money any more. Ask whoever made it for a new one.",
            status=link.status,
        )


def _drawn_up(link: PaymentLink, destination: Destination, email: str) -> Claim:
    now = clock.now(link)
    return Claim(
        link=link,
        method=_METHODS[type(destination)],
        wallet=destination if isinstance(destination, Wallet) else None,
        person=restrictions.person(link, destination),
        recipient_email=email,
        is_by_email=bool(link.emails),
        amount=link.amount,
        created_at=now,
        deadline_at=now,  # unless something has to be waited for
    )


def _check_way(link: PaymentLink, claim: Claim, destination: Destination) -> bool:
    """Whether the money may change its currency on the way. Raises for a way that is none."""
    if isinstance(destination, Wallet):
        _check_wallet(link, destination)
        return False
    if link.direction == LinkDirection.SEND:
        payouts.check_can_pay(link)
    rail = RailType(claim.method)
    if rail.currency == link.currency:
        return False
    if not link_settings.converts_currencies(link.organization):
        verb = "pays" if link.direction == LinkDirection.SEND else "takes"
        raise ValidationError(
            f"This payment link {verb} {link.currency}; {rail.label} carries {rail.currency}, and"
            " whoever made the link does not exchange them.",
            fields={"method": f"must carry {link.currency}"},
        )
    return True


def _check_wallet(link: PaymentLink, wallet: Wallet) -> None:
    where, sends = "destination.walletId", link.direction == LinkDirection.SEND
    if wallet.id == link.wallet_id:
        raise ValidationError(
            "A payment link cannot pay the wallet it is paid from."
            if sends
            else "A payment link cannot be paid from its own wallet.",
            fields={where: "is the link's own wallet"},
        )
    if wallet.currency != link.currency:
        verb = "pays" if sends else "takes"
        raise ValidationError(
            f"This payment link {verb} {link.currency}; the wallet holds {wallet.currency}.",
            fields={where: f"must be a wallet in {link.currency}"},
        )


def token_of(claim: Claim) -> str:
    """What only the claimer is told: with it they see what became of their claim."""
    return _TOKEN.sign(claim.id)


def find(link: PaymentLink, token: str) -> Claim:
    """The claim of whoever has its token. Raises NotFound."""
    claim = None
    try:
        claims = Claim.objects.select_related("transfer", "link__organization", "link__wallet")
        claim = claims.filter(pk=_TOKEN.unsign(token), link=link).first()
    except signing.BadSignature:
        pass
    if claim is None:
        raise NotFound("There is no such claim.")
    return claim


def public_status(claim: Claim) -> PublicStatus:
    """What a claimer may see of their claim."""
    link, transfer = claim.link, claim.transfer
    is_watched = transfer is not None and transfer.awaits_payer
    is_shown = is_watched and claim.status == Claim.Status.AWAITING_PAYMENT
    return PublicStatus(
        id=claim.id,
        token=token_of(claim),
        status=claim.status,
        is_final=not claim.is_open,
        method=claim.method,
        direction=link.direction,
        amount=claim.amount,
        currency=link.currency,
        created_at=claim.created_at,
        settled_at=claim.settled_at,
        deadline_at=claim.deadline_at if claim.is_open else None,
        reason=claim.failure_reason,
        transaction_id=claim.transaction_id,
        transfer_id=claim.transfer_id,
        transfer_status=transfer.status if transfer else None,
        wallet_id=claim.wallet_id,
        bank_name=transfer.bank_name if transfer else "",
        account_last4=transfer.account_last4 if transfer else "",
        address=transfer.address if transfer and not is_watched else "",
        chain=transfer.chain if transfer else "",
        pay_address=transfer.address if is_shown else "",
        received=transfer.received if is_watched else None,
        missing=transfer.missing if is_shown else None,
        incoming=tuple(_incoming(transfer)) if is_watched else (),
    )


def _incoming(transfer: Transfer) -> Iterator[Incoming]:
    for payment in reversed(transfer.incoming_payments.order_by("-pk")[:INCOMING_SHOWN]):
        yield Incoming(
            kind=payment.kind,
            amount=payment.amount,
            chain=payment.chain,
            arrived_at=payment.arrived_at,
            is_credited=payment.transaction_id is not None,
        )
