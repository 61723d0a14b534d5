"""Ethereum addresses (EIP-55) and payment URIs for USDC (EIP-681)."""

import re
from decimal import Decimal

from eth_hash.auto import keccak

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_ZERO = "0x" + "0" * 40
USDC_PLACES = 6


def is_address(text: str) -> bool:
    """Whether the text is a payable address: in mixed case only with a valid checksum (EIP-55).

    The zero address is not: money paid to it is lost.
    """
    if not _ADDRESS.fullmatch(text) or text == _ZERO:
        return False
    return is_single_case(text) or checksum(text) == text


def is_single_case(text: str) -> bool:
    """Whether an address has no checksum, because it is all lowercase or all uppercase."""
    digits = text[2:]
    return digits in (digits.lower(), digits.upper())


def checksum(address: str) -> str:
    """Return an address in mixed case, which encodes its checksum (EIP-55)."""
    assert _ADDRESS.fullmatch(address), "callers check it with is_address"
    digits = address[2:].lower()
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(
        d.upper() if int(h, 16) >= 8 else d for d, h in zip(digits, digest, strict=False)
    )


def payment_uri(address: str, *, amount: Decimal, token: str, chain_id: int) -> str:
    """Return the URI that a wallet app opens to pay an amount of an ERC-20 token (EIP-681)."""
    units = amount.scaleb(USDC_PLACES)
    assert units == units.to_integral_value() > 0, (
        "the amount must be positive, with at most 6 decimals"
    )
    query = f"address={checksum(address)}&uint256={int(units)}"
    return f"ethereum:{checksum(token)}@{chain_id}/transfer?{query}"
