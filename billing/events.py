"""The event types of this app: in the public catalogue, but not recorded yet (contract 4.2)."""

from wallgent.events.catalogue import announce

announce(
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
    permission="invoices:read",
)
announce("dispute.created", "dispute.responded", "dispute.resolved", permission="payments:read")
