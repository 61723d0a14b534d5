"""Pay requests: asking the organization that owns a wallet to pay. They hold no money."""

from accounts.controls.models import Approval
from accounts.controls.services import approvals
from accounts.organizations.services import organizations
from accounts.pay_ins.services import pay_ins
from accounts.pay_ins.services.pay_ins import PayIn
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from wallgent import clock, turns
from wallgent.actors import Actor
from wallgent.errors import Conflict, Unauthorized

# From one organization to another: a file makes 50,000 links, and people read these one by one.
MAX_PENDING = 25


def find_payer(wallet_id: str, *, environment: str, authorized_by: Actor | None = None) -> Wallet:
    """The wallet that is to pay: `authorized_by` may spend from it, or it accepts pay requests.

    Raises Unauthorized.
    """
    # `find_many` loads only what a payment reads, and this also reads the organization's settings.
    wallet = Wallet.objects.filter(pk__in=wallets.find_many([wallet_id])).first()
    is_authorized = wallet and authorized_by and pay_ins.may_spend(authorized_by, wallet)
    if not is_authorized or wallet.environment != environment:
        _check_accepts(wallet, environment)
    return wallet


def _check_accepts(wallet: Wallet | None, environment: str) -> None:
    """Check that a wallet accepts pay requests.

    Raises Unauthorized, with the same message for a wallet that does not exist, so that this does
    not tell which wallets do.
    """
    if (
        wallet is None
        or wallet.environment != environment
        or wallet.status == Wallet.Status.CLOSED
        or not organizations.accepts_pay_requests(wallet.organization, wallet.environment)
    ):
        raise Unauthorized(
            "Paying from a wallet needs an API key that may spend from it, and this wallet takes"
            " no pay requests. Send such a key, or pay in another way."
        )


def create(pay_in: PayIn, wallet: Wallet, *, actor: Actor) -> Approval:
    """Ask the organization of `wallet` to pay. `actor` belongs to the organization to be paid.

    Raises Conflict while the same request is pending, or MAX_PENDING others are.
    """
    asked = Approval.objects.filter(
        kind=pay_in.purpose, subject_id=pay_in.reference, wallet=wallet
    ).open_at(clock.now(wallet))
    if asked.exists() or _is_at_limit(wallet, actor):
        raise Conflict(
            "This wallet's owner has a pending request for this link and hasn't decided yet."
        )
    # One that is past its expiry ends in here, and the handler of its kind is called.
    return approvals.request(
        actor=actor,
        kind=pay_in.purpose,
        subject_id=pay_in.reference,
        wallet=wallet,
        amount=pay_in.amount,
        currency=pay_in.wallet.currency,
        recipient=pay_in.wallet,
        description=pay_in.description,
    )


def _is_at_limit(wallet: Wallet, actor: Actor) -> bool:
    """Whether the actor's organization has MAX_PENDING requests open with the wallet's.

    Takes a lock, so that concurrent requests between the two, over other subjects, are counted.
    """
    asked, asking = wallet.organization_id, actor.organization.id
    if asked == asking:
        return False
    turns.acquire("pay_requests", asked, wallet.environment, asking)
    pending = Approval.objects.filter(
        organization=asked,
        environment=wallet.environment,
        asked_by_organization=asking,
    ).open_at(clock.now(wallet))
    return pending.count() >= MAX_PENDING
