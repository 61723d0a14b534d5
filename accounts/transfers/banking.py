"""Bank accounts of the United States: is a routing number one, and whose is it?"""

import re
from functools import cache
from pathlib import Path

_DIRECTORY = Path(__file__).with_name("banks.txt")
_ROUTING_NUMBER = re.compile(r"[0-9]{9}", re.ASCII)
_ACCOUNT_NUMBER = re.compile(r"[0-9]{4,17}", re.ASCII)  # what an ACH entry has room for
_WEIGHTS = (3, 7, 1) * 3
# The Federal Reserve's districts, thrifts' and electronic ones, and travellers' cheques.
_DISTRICTS = (range(13), range(21, 33), range(61, 73), range(80, 81))


def is_routing_number(text: str) -> bool:
    """Whether these are nine digits, of a district that exists, whose checksum is right."""
    if not _ROUTING_NUMBER.fullmatch(text) or not int(text):
        return False
    if not any(int(text[:2]) in district for district in _DISTRICTS):
        return False
    return sum(int(d) * w for d, w in zip(text, _WEIGHTS, strict=True)) % 10 == 0


def is_account_number(text: str) -> bool:
    """Whether these are digits that an ACH entry has room for: no more can be known of them."""
    return bool(_ACCOUNT_NUMBER.fullmatch(text))


def bank_name(routing_number: str) -> str:
    """The bank with this routing number, or "" where our short list does not know it."""
    return _banks().get(routing_number, "")


@cache
def _banks() -> dict[str, str]:
    """Routing number to name, as banks.txt lists them: a name, a colon, its numbers."""
    found = {}
    for line in _DIRECTORY.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, numbers = line.split(":")
            found |= dict.fromkeys(numbers.split(), name)
    return found
