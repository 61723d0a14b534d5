"""Email addresses: the form in which they are compared, and the form in which events show them."""

import unicodedata

MAX_LENGTH = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets


def normalize(address: str) -> str:
    """Return one spelling for all spellings of an address: NFKC, lower case, no outer whitespace.

    Characters that only look alike stay different.
    """
    address = address.strip()
    # Normalizing takes quadratic time in a run of combining marks, and longer text is no address.
    if len(address) <= MAX_LENGTH:
        address = unicodedata.normalize("NFKC", address).strip()
    return address.lower()


def mask(address: str) -> str:
    """Return an address that only its owner recognizes: a…@example.com."""
    name, _, host = address.rpartition("@")
    return f"{name[:1]}…@{host}"
