"""From what a visitor typed to a claim: which ways there are, and what a last look shows."""

from dataclasses import asdict

from django.utils.translation import gettext

from accounts.organizations import permissions
from accounts.organizations.models import LinkDirection
from accounts.transfers import banking
from accounts.transfers.services.orders import Address, Bank
from accounts.wallets.models import Wallet
from links.pay_page.access import Visit
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claims, mandates, payouts, rate_limits
from links.payment_links.services import methods as link_methods
from wallgent.environments import Environment
from wallgent.http.client_ip import client_ip, client_network
from wallgent.web import pages

_OWN_WALLETS = 50  # that a visitor may choose from
_PAYS = "payments:write"

_Method = Claim.Method


def methods(visit: Visit) -> list[str]:
    """The ways to pay or be paid that a link offers, the likeliest for this visitor first."""
    link = visit.link
    has_wallet = bool(own_wallets(visit) or link.wallet_ids)

    def rank(method):
        """A wallet of their own, a rail in the link's currency, one that exchanges, a wallet."""
        if method == _Method.WALLET:
            return 0 if has_wallet else 3
        return 1 if link_methods.currency_of(link, method) == link.currency else 2

    return sorted(link_methods.offered(link), key=rank)


def is_available(link: PaymentLink) -> bool:
    """Whether its wallet can pay or be paid just now."""
    if link.direction == LinkDirection.SEND:
        return payouts.can_pay(link)
    return link.wallet.status != Wallet.Status.CLOSED


def own_wallets(visit: Visit) -> list[Wallet]:
    """The wallets of a signed-in visitor that could be paid, or that they may pay from."""
    user, link = visit.request.user, visit.link
    if not user.is_authenticated:
        return []
    memberships = user.memberships.all()
    if link.direction == LinkDirection.RECEIVE:
        memberships = [one for one in memberships if _PAYS in permissions.OF_ROLE[one.role]]
    wallets = Wallet.objects.filter(
        organization__in=[one.organization_id for one in memberships],
        environment=link.environment,
        account__currency=link.currency,
        account__state=Wallet.Status.ACTIVE,
    ).exclude(pk=link.wallet_id)
    if link.wallet_ids:
        wallets = wallets.filter(pk__in=link.wallet_ids)
    wallets = wallets.select_related("organization", "account")
    return list(wallets.order_by("organization__name", "-is_default", "name", "pk")[:_OWN_WALLETS])


def mandate(link: PaymentLink, draft: dict) -> dict | None:
    """What the visitor must agree to before we ask their bank for money; None where we do not."""
    if link.direction != LinkDirection.RECEIVE or draft["method"] != _Method.ACH:
        return None
    return asdict(mandates.current(link))


def claim(visit: Visit, draft: dict, *, agreed: dict | None) -> Claim:
    """Claim a link as drafted, with the mandate that was read and agreed to.

    Raises whatever `claims.open` does.
    """
    link, request, acceptance = visit.link, visit.request, None
    if agreed:
        acceptance = mandates.Acceptance(
            **agreed,
            ip=client_ip(request),
            user_agent=request.headers.get("User-Agent", "").replace("\0", ""),
        )
    payer = _payer(visit, draft)
    return claims.open(
        link,
        actor=visit.actor,
        destination=_destination(link, draft, payer),
        recipient_email=visit.email,
        visitor=visit.visitor,
        mandate=acceptance,
        authorised_by=payer,
    )


def count(visit: Visit, draft: dict) -> None:
    """Whose wallet may be asked to pay is not for anybody to try out. Raises RateLimitExceeded."""
    asks = visit.link.direction == LinkDirection.RECEIVE and draft["method"] == _Method.WALLET
    if asks and _own(visit, draft) is None:
        rate_limits.count_request(visit.link, client_network(visit.request))


def _destination(link: PaymentLink, draft: dict, payer) -> Wallet | Bank | Address:
    if draft["method"] == _Method.ACH:
        return Bank(draft["routing_number"], draft["account_number"], draft["account_name"])
    if draft["method"] == _Method.USDC:
        return Address(draft.get("address", ""))
    if link.direction == LinkDirection.SEND:
        return claims.payee(draft["wallet_id"], link=link)
    return claims.payer(draft["wallet_id"], link=link, authorised_by=payer)


def _payer(visit: Visit, draft: dict):
    """Who may pay from that wallet at once: the visitor themselves, in their organization."""
    wallet = _own(visit, draft)
    if wallet is None or visit.link.direction == LinkDirection.SEND:
        return None
    membership = visit.request.user.memberships.get(organization=wallet.organization_id)
    return pages.actor_of(
        visit.request,
        wallet.organization,
        wallet.environment,
        permissions.OF_ROLE[membership.role],
    )


def _own(visit: Visit, draft: dict) -> Wallet | None:
    named = draft.get("wallet_id")
    return next((wallet for wallet in own_wallets(visit) if wallet.id == named), None)


def shown(visit: Visit, draft: dict) -> dict:
    """What a last look shows of a draft: an account number only by its end."""
    own = _own(visit, draft)
    return {
        "method": draft["method"],
        "coin": link_methods.currency_of(visit.link, draft["method"]),
        "wallet_id": draft.get("wallet_id", ""),
        "own": own,
        "pays_at_once": bool(own and visit.link.direction == LinkDirection.RECEIVE),
        "last4": draft.get("account_number", "")[-4:],
        "account_name": draft.get("account_name", ""),
        "bank": banking.bank_name(draft.get("routing_number", "")),
        "routing_number": draft.get("routing_number", ""),
        "address": draft.get("address", ""),
        "arrives": arrival(visit.link, draft["method"]),
    }


def arrival(link: PaymentLink, method: str) -> str:
    """When the money is there, in words."""
    if method == _Method.WALLET:
        return gettext("At once")
    if link.environment == Environment.SANDBOX:
        return gettext("In a few seconds, because this is a test")
    if method == _Method.ACH:
        return gettext("In 1 to 3 business days")
    return gettext("In a few minutes")
