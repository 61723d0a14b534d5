"""Checks of US routing and account numbers, and the names of large banks."""

import re
from functools import cache
from pathlib import Path

_DIRECTORY = Path(__file__).with_name("banks.txt")
_ROUTING_NUMBER = re.compile(r"[0-9]{9}", re.ASCII)
_ACCOUNT_NUMBER = re.compile(r"[0-9]{4,17}", re.ASCII)  # an ACH entry has 17 characters for it
_WEIGHTS = (3, 7, 1) * 3
# First two digits (ABA): Federal Reserve districts (with the US government), thrift institutions,
# electronic transactions, and traveler's checks.
_DISTRICTS = (range(13), range(21, 33), range(61, 73), range(80, 81))


def is_routing_number(text: str) -> bool:
    """Whether the text is nine digits with a valid district and checksum."""
    if not _ROUTING_NUMBER.fullmatch(text) or not int(text):
        return False
    if not any(int(text[:2]) in district for district in _DISTRICTS):
        return False
    return sum(int(d) * w for d, w in zip(text, _WEIGHTS, strict=True)) % 10 == 0


def is_account_number(text: str) -> bool:
    """Whether the text is 4 to 17 digits. Account numbers have no checksum to verify."""
    return bool(_ACCOUNT_NUMBER.fullmatch(text))


def bank_name(routing_number: str) -> str:
    """Return the bank's name, or "" if our short list does not have the routing number."""
    return _banks().get(routing_number, "")


@cache
def _banks() -> dict[str, str]:
    """Return names by routing number from banks.txt, whose lines are a name, a colon, numbers."""
    names = {}
    for line in _DIRECTORY.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, numbers = line.split(":")
            names |= dict.fromkeys(numbers.split(), name)
    return names
