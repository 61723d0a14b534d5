"""E-mail addresses as they are compared."""

import unicodedata


def normalized(address: str) -> str:
    """One spelling for all spellings of an address: compatible forms, lower case, no margins.

    Letters that only look alike stay apart.
    """
    return unicodedata.normalize("NFKC", address).strip().lower()
