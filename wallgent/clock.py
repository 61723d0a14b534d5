"""The only source of time. Always UTC.

A sandbox can be moved forward: everything an organization owns there lives `sandbox_offset` ahead.
Ids, the event chain and security expiries use `real_now`.
"""

from datetime import UTC, datetime, timedelta

from wallgent.environments import Environment


def real_now() -> datetime:
    return datetime.now(UTC)


def offset(owned) -> timedelta:
    """How far the clock of the owner of `owned` runs ahead of real time.

    `owned` is anything with an `organization` and an `environment`: an actor, a wallet, a link.
    """
    if owned.environment == Environment.PRODUCTION:
        return timedelta(0)
    return owned.organization.sandbox_offset


def now(owned) -> datetime:
    """The time as the owner of `owned` sees it."""
    return real_now() + offset(owned)
