"""The only source of time. Always UTC.

An organization can move its sandbox clock forward: all it owns there is `sandbox_offset` ahead.
Between two organizations, the payer's clock applies to deadlines and limits; each side's entries,
lists and charts are dated by its own. IDs, the event chain and security expiries use `real_now`.
"""

from datetime import UTC, datetime, timedelta

from wallgent.environments import Environment


def real_now() -> datetime:
    """Return the current time, without the offset of a sandbox."""
    return datetime.now(UTC)


def offset(owned) -> timedelta:
    """Return how far the clock of the owner of `owned` is ahead of real time.

    `owned` is anything with an `organization` and an `environment`: an actor, a wallet, a link.
    """
    if owned.environment == Environment.PRODUCTION:
        return timedelta(0)
    return owned.organization.sandbox_offset


def now(owned) -> datetime:
    """Return the time on the clock of the owner of `owned`."""
    return real_now() + offset(owned)
