"""Claims: taking a use of a payment link, which pays out money or asks for it."""

from django.db import transaction

from accounts.organizations.models import LinkDirection
from accounts.organizations.services import organizations
from accounts.pay_ins.services.mandates import Acceptance
from accounts.transfers.rails.base import Address, Bank
from accounts.wallets import services as wallets
from accounts.wallets.errors import WalletNotFound
from accounts.wallets.models import Wallet
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    email_verification,
    expiry,
    methods,
    pay_ins,
    payouts,
    restrictions,
)
from links.payment_links.services.restrictions import Destination
from wallgent import clock
from wallgent.actors import Actor
from wallgent.errors import InvalidState, ValidationError
from wallgent.mail import addresses

_Method = Claim.Method
_Status = PaymentLink.Status
_OVER = {
    _Status.CLAIMED: "This payment link was claimed already.",
    _Status.SETTLED: "This payment link was claimed already.",
    _Status.EXPIRED: expiry.EXPIRED_MESSAGE,
    _Status.CANCELLED: "This payment link was cancelled. Ask whoever made it for a new one.",
}
_METHODS = {Wallet: _Method.WALLET, Bank: _Method.ACH, Address: _Method.USDC}


def public_actor(link: PaymentLink, *, request_id: str = "") -> Actor:
    """The actor of a request without a key: the system, in the link's organization.

    It carries no network address: events would show it to the link's organization, and the caller
    is a stranger to them.
    """
    return Actor(
        organization=link.organization,
        environment=link.environment,
        type=organizations.system_actor(link.organization).type,
        request_id=request_id,
    )


def payee(wallet_id: str, *, link: PaymentLink) -> Wallet:
    """The wallet a link pays to: any wallet of the link's environment. Raises WalletNotFound."""
    wallet = wallets.find_many([wallet_id]).get(wallet_id)
    if wallet is None or wallet.environment != link.environment:
        raise WalletNotFound("There is no such wallet to pay to.")
    return wallet


@transaction.atomic(savepoint=False)
def open(
    link: PaymentLink,
    *,
    actor: Actor,
    destination: Destination,
    recipient_email: str = "",
    visitor: str = "",
    mandate: Acceptance | None = None,
    authorized_by: Actor | None = None,
) -> Claim:
    """Take one use of a link: its money goes to `destination`, or comes from there.

    Between wallets the money moves at once, over a rail when the rail reports it. From a wallet
    that `authorized_by` may not spend from, it moves once that wallet's organization approves, and
    until then the claim takes no use. `visitor` identifies who proved the email, where the link
    asks for a code. Raises InvalidState, PermissionDenied, VerificationRequired, Unauthorized,
    Conflict, ValidationError, InvalidAmount, NotAvailable, InsufficientFunds, WalletFrozen.
    """
    method = _METHODS[type(destination)]
    methods.check_connected(link, method)  # before the caller is asked for anything else
    link = PaymentLink.objects.locked(link.id)  # concurrent claims run one after the other
    email = addresses.normalize(recipient_email)
    _check_open(link)
    methods.check(link, method)
    restrictions.check_email(link, email)
    restrictions.check_destination(link, destination)
    if email_verification.is_needed(link):
        email_verification.use(link, email=email, visitor=visitor)
    claim = _build(link, destination, email)
    restrictions.check_not_used_before(claim)
    if isinstance(destination, Wallet):
        _check_wallet(link, destination)
    if link.direction == LinkDirection.SEND:
        _pay_out(claim, destination, actor=actor)
    elif isinstance(destination, Wallet):
        pay_ins.from_wallet(claim, actor=actor, authorized_by=authorized_by)
    elif isinstance(destination, Bank):
        pay_ins.from_bank(claim, destination, mandate=mandate, actor=actor)
    else:
        pay_ins.from_chain(claim, destination, actor=actor)
    return claim


def _pay_out(claim: Claim, destination: Destination, *, actor: Actor) -> None:
    if isinstance(destination, Wallet):
        payouts.to_wallet(claim, actor=actor)
    else:
        payouts.check_can_pay(claim.link)
        payouts.over_rail(claim, destination, actor=actor)


def _check_open(link: PaymentLink) -> None:
    if link.status != _Status.ACTIVE:
        raise InvalidState(_OVER[link.status], status=link.status)
    if link.is_past_expiry:
        raise expiry.refusal(link)
    if link.wallet.status == Wallet.Status.CLOSED:
        # Only a link that receives can get here. The payer does not learn which wallet it was.
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
        claimant_fingerprint=restrictions.claimant_fingerprint(link, destination),
        recipient_email=email,
        is_by_email=bool(link.emails),
        amount=link.amount,
        created_at=now,
        deadline_at=now,  # later, if the claim waits for a rail, a payment or an approval
    )


def _check_wallet(link: PaymentLink, wallet: Wallet) -> None:
    field, sends = "destination.walletId", link.direction == LinkDirection.SEND
    if wallet.id == link.wallet_id:
        raise ValidationError(
            "A payment link cannot pay the wallet it is paid from."
            if sends
            else "A payment link cannot be paid from its own wallet.",
            fields={field: "is the link's own wallet"},
        )
    if wallet.currency != link.currency:
        verb = "pays" if sends else "takes"
        raise ValidationError(
            f"This payment link {verb} {link.currency}; the wallet holds {wallet.currency}.",
            fields={field: f"must be a wallet in {link.currency}"},
        )
