"""Secrets: hashes of those that are only compared, encryption of those that are read back."""

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
    """Return a secret of 256 random bits after a prefix that names its kind."""
    return prefix + secrets.token_urlsafe(32)


def fingerprint(secret: str) -> bytes:
    """Return the SHA-256 of a secret with full entropy. (Passwords use Django's slow hashers.)"""
    return hashlib.sha256(secret.encode()).digest()


def digest(text: str) -> bytes:
    """Return a keyed digest, to compare texts without storing them.

    Use it for everything that can be guessed, such as amounts, addresses and account numbers: a
    plain hash would reveal them.
    """
    return salted_hmac("wallgent.digest", text, algorithm="sha256").digest()


def equal(one: str | bytes, other: str | bytes) -> bool:
    """Return whether two values are equal, compared in constant time."""
    as_bytes = (value.encode() if isinstance(value, str) else value for value in (one, other))
    return hmac.compare_digest(*as_bytes)


@cache
def _keys() -> MultiFernet:
    # The first key encrypts, all decrypt. To replace one: add the new key first, `rotate`, then
    # remove the old one.
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def encrypt(text: str) -> bytes:
    """Encrypt a text with the newest key."""
    return _keys().encrypt(text.encode())


def decrypt(token: bytes) -> str:
    """Decrypt a token that any of the keys encrypted. Raises InvalidToken."""
    return _keys().decrypt(bytes(token)).decode()


def rotate(token: bytes) -> bytes:
    """Encrypt the same text with the newest key. Raises InvalidToken."""
    return _keys().rotate(bytes(token))
