"""The event types of this app: in the public catalogue, but not recorded yet (contract 4.2)."""

from wallgent.events.catalogue import announce

announce(
    "card.created",
    "card.updated",
    "card.cancelled",
    "card.authorization.approved",
    "card.authorization.declined",
    "card.authorization.captured",
    "card.authorization.reversed",
    "card.refund.created",
    permission="payments:read",
)
