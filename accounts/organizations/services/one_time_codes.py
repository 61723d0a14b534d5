"""Codes of an authenticator app, each accepted once, and the locks that count guesses."""

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.db import transaction

from accounts.organizations.models import User
from wallgent import credentials, turns

_LAST_STEP = "last_step"  # in an authenticator's data: the latest time step a code was used of


@transaction.atomic(savepoint=False)
def use(app: Authenticator, code: str) -> bool:
    """Use up a code of an authenticator app. False if it, or a later one, was used before.

    The time step is stored in PostgreSQL under a row lock, so a code works once even while Redis
    is unavailable and for concurrent requests (RFC 6238, 5.2).
    """
    app = Authenticator.objects.select_for_update(no_key=True).get(pk=app.pk)
    secret = credentials.decrypt(app.data["secret"].encode())
    steps = [
        step
        for step in yield_hotp_counters_from_time()
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, step)))
    ]
    if not steps or max(steps) <= app.data.get(_LAST_STEP, -1):
        return False
    app.data[_LAST_STEP] = max(steps)
    app.save(update_fields=["data"])
    return True


def lock_user(user: User) -> User:
    """Return the user, locked until the transaction that changes how they sign in ends."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def lock_attempts(email: str, address: str) -> None:
    """Lock sign-in attempts for this account from this address until the transaction ends.

    Each of many concurrent guesses is counted before the next one is checked.
    """
    turns.acquire("one_time_codes", email, address)
