"""How often a stranger may try from one network: counted together on a link's page and by API."""

from links.payment_links.models import PaymentLink
from wallgent.api import throttling

# A minute, of one network and link.
ADDRESSES = 20  # and more where a link is for more
REQUESTS = 10  # to pay from somebody else's wallet


def count_address(link: PaymentLink, network: str) -> dict[str, str]:
    """Count somebody saying whom they are, and answer the headers to send.

    There is room for all whom the link is for, who may sit in one office: an address, its code, and
    one of them mistyped. Whoever guesses gets no further by that. Raises RateLimitExceeded.
    """
    return _count("email", link, network, ADDRESSES + 3 * len(link.emails))


def count_request(link: PaymentLink, network: str) -> dict[str, str]:
    """Count a wish to pay from a wallet that may be another's; the headers to send.

    Whose wallet may be asked is not for anybody to try out. Raises RateLimitExceeded.
    """
    return _count("request", link, network, REQUESTS)


def _count(what: str, link: PaymentLink, network: str, limit: int) -> dict[str, str]:
    return throttling.check(subject=f"pay:{what}:{network}:{link.id}", limit=limit)
