"""The steps from a visitor's choices to a claim: the methods on offer, the draft, the claim."""

from dataclasses import asdict

from django.utils.translation import gettext

from accounts.organizations.models import LinkDirection
from accounts.pay_ins.services import mandates, pay_requests
from accounts.transfers import banking
from accounts.transfers.rails.base import Address, Bank
from accounts.wallets.models import Wallet
from links.pay_page.access import Visit
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claims, payouts, rate_limits
from links.payment_links.services import methods as link_methods
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.http.client_ip import client_ip, client_network
from wallgent.web import pages

_OWN_WALLETS = 50  # the most that a visitor can choose from
_PAY_PERMISSION = "payments:write"

_Method = Claim.Method


def methods(visit: Visit) -> list[str]:
    """Return the methods that a link offers, the likeliest for this visitor first."""
    link = visit.link
    has_wallet = bool(own_wallets(visit) or link.wallet_ids)

    def rank(method):
        # A wallet of the visitor, then rails in the link's currency, then rails that convert, then
        # a wallet that has to be named by its ID.
        if method == _Method.WALLET:
            return 0 if has_wallet else 3
        return 1 if link_methods.currency_of(link, method) == link.currency else 2

    return sorted(link_methods.offered(link), key=rank)


def is_available(link: PaymentLink) -> bool:
    """Return whether the link's wallet can pay or be paid at the moment."""
    if link.direction == LinkDirection.SEND:
        return payouts.can_pay(link)
    return link.wallet.status != Wallet.Status.CLOSED


def own_wallets(visit: Visit) -> list[Wallet]:
    """Return the wallets of a signed-in visitor that can receive or, with permission, pay."""
    user, link = visit.request.user, visit.link
    if not user.is_authenticated:
        return []
    memberships = user.memberships.all()
    if link.direction == LinkDirection.RECEIVE:
        memberships = [one for one in memberships if _PAY_PERMISSION in one.permissions]
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
    """Return the mandate that a bank debit needs the visitor to accept, or None."""
    if link.direction != LinkDirection.RECEIVE or draft["method"] != _Method.ACH:
        return None
    return asdict(mandates.terms(link.organization, amount=link.amount))


def claim(visit: Visit, draft: dict, *, agreed: dict | None) -> Claim:
    """Claim a link as drafted; `agreed` is the mandate as the visitor read and accepted it.

    Raises the same errors as `claims.open`.
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
        authorized_by=payer,
    )


def count_request(visit: Visit, draft: dict) -> None:
    """Count a draft that would pay from a wallet of another. Raises RateLimitExceeded."""
    pays = visit.link.direction == LinkDirection.RECEIVE and draft["method"] == _Method.WALLET
    if pays and _own_wallet(visit, draft) is None:
        rate_limits.count_request(visit.link, client_network(visit.request))


def _destination(link: PaymentLink, draft: dict, payer: Actor | None) -> Wallet | Bank | Address:
    if draft["method"] == _Method.ACH:
        return Bank(draft["routing_number"], draft["account_number"], draft["account_name"])
    if draft["method"] == _Method.USDC:
        return Address(draft.get("address", ""))
    if link.direction == LinkDirection.SEND:
        return claims.payee(draft["wallet_id"], link=link)
    return pay_requests.find_payer(
        draft["wallet_id"], environment=link.environment, authorized_by=payer
    )


def _payer(visit: Visit, draft: dict) -> Actor | None:
    """Return the signed-in visitor acting for the paying wallet's organization, or None."""
    wallet = _own_wallet(visit, draft)
    if wallet is None or visit.link.direction == LinkDirection.SEND:
        return None
    membership = visit.request.user.memberships.get(organization=wallet.organization_id)
    return pages.actor_of(
        visit.request,
        wallet.organization,
        wallet.environment,
        membership.permissions,
    )


def _own_wallet(visit: Visit, draft: dict) -> Wallet | None:
    """Return the drafted wallet if it is among the visitor's own."""
    wallet_id = draft.get("wallet_id")
    return next((wallet for wallet in own_wallets(visit) if wallet.id == wallet_id), None)


def review_context(visit: Visit, draft: dict) -> dict:
    """Return what the review page shows of a draft: only the last 4 digits of an account number."""
    own = _own_wallet(visit, draft)
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
    """Return in words when the money arrives."""
    if method == _Method.WALLET:
        return gettext("At once")
    if link.environment == Environment.SANDBOX:
        return gettext("In a few seconds, because this is a test")
    if method == _Method.ACH:
        return gettext("In 1 to 3 business days")
    return gettext("In a few minutes")
