"""Secrets: hash what is only compared, encrypt what is read back."""

import hashlib
import hmac
import secrets
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.crypto import salted_hmac

__all__ = [
    "InvalidToken",
    "decrypt",
    "digest",
    "encrypt",
    "equal",
    "fingerprint",
    "new_secret",
    "rotate",
]


def new_secret(prefix: str) -> str:
    """A secret of 256 random bits behind a telling prefix."""
    return prefix + secrets.token_urlsafe(32)


def fingerprint(secret: str) -> bytes:
    """SHA-256 of a secret with full entropy. (Passwords go through Django's slow hashers.)"""
    return hashlib.sha256(secret.encode()).digest()


def digest(text: str) -> bytes:
    """Tell whether two texts are alike without keeping them. Only our key can compute it.

    Use this for everything that can be guessed, such as amounts, addresses and account numbers: a
    plain hash of those gives them away.
    """
    return salted_hmac("wallgent.digest", text, algorithm="sha256").digest()


def equal(one: str | bytes, other: str | bytes) -> bool:
    """Compare in constant time."""
    as_bytes = (value.encode() if isinstance(value, str) else value for value in (one, other))
    return hmac.compare_digest(*as_bytes)


@cache
def _keys() -> MultiFernet:
    # The first key encrypts, all decrypt: put a new one in front, `rotate`, drop the old one.
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def encrypt(text: str) -> bytes:
    """Encrypt with the newest key."""
    return _keys().encrypt(text.encode())


def decrypt(token: bytes) -> str:
    """Read what any of the keys encrypted. Raises InvalidToken."""
    return _keys().decrypt(bytes(token)).decode()


def rotate(token: bytes) -> bytes:
    """The same secret under the newest key. Raises InvalidToken."""
    return _keys().rotate(bytes(token))
