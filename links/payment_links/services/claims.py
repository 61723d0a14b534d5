"""Claims: whoever knows a link's address takes what it promises, or pays what it asks for."""

from django.db import transaction

from accounts.errors import WalletNotFound
from accounts.organizations.models import LinkDirection
from accounts.organizations.services import organizations
from accounts.transfers.services.orders import Address, Bank
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    addresses,
    email_verification,
    expiry,
    mandates,
    methods,
    pay_ins,
    payouts,
    restrictions,
)
from links.payment_links.services.restrictions import Destination
from wallgent import clock
from wallgent.actors import Actor
from wallgent.errors import InvalidState, ValidationError

_Method = Claim.Method
_Status = PaymentLink.Status
_OVER = {
    _Status.CLAIMED: "This payment link was claimed already.",
    _Status.SETTLED: "This payment link was claimed already.",
    _Status.EXPIRED: expiry.WORDS,
    _Status.CANCELLED: "This payment link was cancelled. Ask whoever made it for a new one.",
}
_METHODS = {Wallet: _Method.WALLET, Bank: _Method.ACH, Address: _Method.USDC}


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
    visitor: str = "",
    mandate: mandates.Acceptance | None = None,
    authorised_by: Actor | None = None,
) -> Claim:
    """Take one use of a link: its money goes to `destination`, or comes from there.

    To and from a wallet it moves at once; from one that `authorised_by` may not spend from, once
    its organization agrees, and until then no use is taken. `visitor` is who has proven the email,
    where the link asks for a code. Over a rail it moves when the rail
    says so. Raises InvalidState, PermissionDenied, VerificationRequired, Unauthorized, Conflict,
    ValidationError, InvalidAmount, NotAvailable, InsufficientFunds, WalletFrozen.
    """
    method = _METHODS[type(destination)]
    methods.check_connected(link, method)  # before anything else is asked for
    link = PaymentLink.objects.locked(link.id)  # one claim after the other
    email = addresses.normalized(recipient_email)
    _check_open(link)
    methods.check(link, method)
    restrictions.check_email(link, email)
    restrictions.check_destination(link, destination)
    if email_verification.is_needed(link):
        email_verification.use(link, email=email, visitor=visitor)
    claim = _build(link, destination, email)
    restrictions.check_first_time(claim)
    if isinstance(destination, Wallet):
        _check_wallet(link, destination)
    elif link.direction == LinkDirection.SEND:
        payouts.check_can_pay(link)
    if isinstance(destination, Wallet):
        if link.direction == LinkDirection.SEND:
            payouts.to_wallet(claim, actor=actor)
        else:
            pay_ins.from_wallet(claim, actor=actor, authorised_by=authorised_by)
    elif link.direction == LinkDirection.SEND:
        payouts.over_rail(claim, destination, actor=actor)
    elif isinstance(destination, Bank):
        pay_ins.from_bank(claim, destination, mandate=mandate, actor=actor)
    else:
        pay_ins.from_chain(claim, destination, actor=actor)
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


def _build(link: PaymentLink, destination: Destination, email: str) -> Claim:
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
