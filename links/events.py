"""The event types of this app, promised by the public catalogue and not built yet."""

from wallgent.events.catalogue import declare

NOT_BUILT_YET = (
    "payment_link.created",
    "payment_link.claimed",
    "payment_link.settled",
    "payment_link.expired",
    "payment_link.cancelled",
    "payment_link.reopened",
)


def declare_all() -> None:
    """Make this app's event types known. Called once, at start."""
    for name in NOT_BUILT_YET:
        declare(name)
