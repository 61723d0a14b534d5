"""E-mail addresses as they are compared."""

import unicodedata

from links.payment_links.models.payment_links import EMAIL_LENGTH as LENGTH


def normalized(address: str) -> str:
    """One spelling for all spellings of an address: compatible forms, lower case, no margins.

    Letters that only look alike stay apart.
    """
    address = address.strip()
    # Normalizing is quadratic in a run of combining marks; what is longer is no address anyway.
    if len(address) <= LENGTH:
        address = unicodedata.normalize("NFKC", address).strip()
    return address.lower()
