"""Codes of an authenticator app, accepted once, and guesses of one account in turn."""

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
    """Use up a code of an authenticator app; False if it, or a later one, was used before.

    The time step is kept in PostgreSQL under a lock, so a code that someone else saw is worth
    nothing, also while Redis is away, and of two who use it at once (RFC 6238, 5.2).
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


def lock_person(user: User) -> User:
    """The person as they are now, for the one transaction that changes how they sign in."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def wait_for_turn(email: str, address: str) -> None:
    """Until the transaction ends, let no one else guess for this account from this address.

    So each guess is counted before the next one is judged, however many come at once.
    """
    turns.take("one_time_codes", email, address)
