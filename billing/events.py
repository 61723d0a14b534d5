"""The event types of this app, promised by the public catalogue and not built yet."""

from wallgent.events.catalogue import declare

NOT_BUILT_YET = (
    "customer.created",
    "customer.updated",
    "customer.payment_method.saved",
    "customer.payment_method.updated",
    "customer.payment_method.removed",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.voided",
    "invoice.refunded",
)


def declare_all() -> None:
    """Make this app's event types known. Called once, at start."""
    for name in NOT_BUILT_YET:
        declare(name)
