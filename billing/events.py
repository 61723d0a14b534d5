"""The event types of this app. The public catalogue lists them; they are not built yet."""

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
    "dispute.created",
    "dispute.responded",
    "dispute.resolved",
)


def declare_all() -> None:
    """Declare the event types of this app. Called once, at start."""
    for name in NOT_BUILT_YET:
        declare(name)
