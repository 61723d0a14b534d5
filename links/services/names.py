"""Names of organizations in plain text, where nothing keeps a name apart from what follows it."""

import re

from accounts.models import Organization

# What turns the direction of writing (Unicode, UAX 9): amounts behind it would read backwards.
_TURNS = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
# What mail programs make an address to click of: a letter holds one such, and that is the link.
_ADDRESS = re.compile(r"://|www\.|\b[a-z0-9-]+\.[a-z]{2,}/", re.IGNORECASE)


def plain(organization: Organization) -> str:
    """The name in one line, so that it writes no header and no paragraph, and turns nothing."""
    return " ".join(organization.name.translate(_TURNS).split())


def in_letter(organization: Organization) -> str:
    """The same for a letter, or "" for a name that would lead to some page."""
    name = plain(organization)
    return "" if holds_address(name) else name


def holds_address(text: str) -> bool:
    """Whether a letter with this text would lead to some page."""
    return _ADDRESS.search(text) is not None
