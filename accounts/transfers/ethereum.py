"""Ethereum addresses and the addresses of payments in USDC."""

import re
from decimal import Decimal

from eth_hash.auto import keccak

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_ZERO = "0x" + "0" * 40
USDC_PLACES = 6


def is_address(text: str) -> bool:
    """Whether this is an address one may pay: in mixed case only with the right checksum (EIP-55).

    The zero address is none: what is paid there is lost.
    """
    if not _ADDRESS.fullmatch(text) or text == _ZERO:
        return False
    return is_single_case(text) or checksum(text) == text


def is_single_case(text: str) -> bool:
    """Whether an address carries no checksum, because its letters are all small or all capital."""
    digits = text[2:]
    return digits in (digits.lower(), digits.upper())


def checksum(address: str) -> str:
    """The spelling of an address whose capital letters prove the rest (EIP-55)."""
    assert _ADDRESS.fullmatch(address), "callers check it with is_address"
    digits = address[2:].lower()
    proof = keccak(digits.encode()).hex()
    return "0x" + "".join(
        d.upper() if int(p, 16) >= 8 else d for d, p in zip(digits, proof, strict=False)
    )


def payment_uri(address: str, *, amount: Decimal, token: str, chain_id: int) -> str:
    """What a wallet opens to pay exactly this much of an ERC-20 token (EIP-681)."""
    units = amount.scaleb(USDC_PLACES)
    assert units == units.to_integral_value() > 0, "an amount that the chain can carry"
    query = f"address={checksum(address)}&uint256={int(units)}"
    return f"ethereum:{checksum(token)}@{chain_id}/transfer?{query}"
