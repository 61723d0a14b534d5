"""The event types of this app. The public catalogue lists them; they are not built yet."""

from wallgent.events.catalogue import declare

NOT_BUILT_YET = (
    "card.created",
    "card.updated",
    "card.cancelled",
    "card.authorization.approved",
    "card.authorization.declined",
    "card.authorization.captured",
    "card.authorization.reversed",
    "card.refund.created",
)


def declare_all() -> None:
    """Declare the event types of this app. Called once, at start."""
    for name in NOT_BUILT_YET:
        declare(name)
