"""Rate limits of visitors from one network, shared by a link's page and the API."""

from links.payment_links.models import PaymentLink
from wallgent.api import throttling

# Per minute, of one network and link.
ADDRESSES = 20  # plus three for each email address that the link is restricted to
REQUESTS = 10  # to pay from a wallet of another organization


def count_address(link: PaymentLink, network: str) -> dict[str, str]:
    """Count an attempt to name or verify an email address; return the rate limit headers.

    All people that the link is for may share one office network. Each needs up to three attempts:
    an address, its code, and one of them mistyped. That is too few to guess an address or a code.
    Raises RateLimitExceeded.
    """
    return _count("email", link, network, ADDRESSES + 3 * len(link.emails))


def count_request(link: PaymentLink, network: str) -> dict[str, str]:
    """Count a request to pay from a wallet that may be another's; return the rate limit headers.

    Keeps visitors from finding out by trial which wallets accept pay requests. Raises
    RateLimitExceeded.
    """
    return _count("request", link, network, REQUESTS)


def _count(kind: str, link: PaymentLink, network: str, limit: int) -> dict[str, str]:
    return throttling.check(subject=f"pay:{kind}:{network}:{link.id}", limit=limit)
