"""The methods by which a link can be claimed or paid, for the API, pages, dashboard and admin.

A method is offered if its rail is connected in the link's environment, and the link's amount,
currency and restrictions fit that rail.
"""

from accounts.organizations.models import LinkDirection
from accounts.transfers.models import RailType
from accounts.transfers.services import orders
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import settings
from wallgent.errors import DomainError, NotAvailable, PermissionDenied, ValidationError

_Method = Claim.Method
_ORDER = (_Method.ACH, _Method.USDC, _Method.WALLET)
_LABELS = {
    _Method.ACH: "Bank account",
    _Method.USDC: "USDC on Ethereum",
    _Method.WALLET: "Wallgent wallet",
}


def offered(link: PaymentLink) -> list[str]:
    """The methods that a link offers now. Never empty: a wallet is always one of them."""
    return [method for method in _ORDER if refusal(link, method) is None]


def labels(link: PaymentLink) -> list[str]:
    """The names of the methods that a link offers, for its organization and for support."""
    return [
        _LABELS[method] + (" (exchanged 1:1)" if currency_of(link, method) != link.currency else "")
        for method in offered(link)
    ]


def currency_of(link: PaymentLink, method: str) -> str:
    """The currency that a method moves. One other than the link's is exchanged 1:1."""
    return link.currency if method == _Method.WALLET else RailType(method).currency


def check_connected(link: PaymentLink, method: str) -> None:
    """Raises NotAvailable if the method's rail is not connected in the link's environment."""
    if error := _connection_error(link.environment, method):
        raise error


def check(link: PaymentLink, method: str) -> None:
    """Raises the error of `refusal` if the link does not offer the method."""
    if error := refusal(link, method):
        raise error


def refusal(link: PaymentLink, method: str) -> DomainError | None:
    """The error that says why a link does not offer a method, or None if it does.

    It is NotAvailable, PermissionDenied, InvalidAmount or ValidationError.
    """
    if method == _Method.WALLET:
        return None
    if error := _connection_error(link.environment, method):
        return error
    if link.wallet_ids:
        return PermissionDenied("This payment link is for certain wallets only.")
    rail = RailType(method)
    if error := orders.decimals_error(link.amount, rail):
        return error
    if rail.currency == link.currency:
        return None
    if settings.converts_currencies(link.organization, link.environment):
        return None
    verb = "pays" if link.direction == LinkDirection.SEND else "takes"
    return ValidationError(
        f"This payment link {verb} {link.currency}; {rail.label} carries {rail.currency}, and the"
        " link's organization does not exchange them. Choose another method.",
        fields={"method": f"must carry {link.currency}"},
    )


def _connection_error(environment: str, method: str) -> NotAvailable | None:
    if method == _Method.WALLET:
        return None
    try:
        orders.quote(environment, RailType(method))
    except NotAvailable as error:
        return error
    return None
