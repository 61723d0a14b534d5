"""The permissions an API key may carry (contract, section 2)."""

ALL = (
    "wallets:read",
    "wallets:write",
    "payments:read",
    "payments:write",
    "policies:read",
    "policies:write",
    "webhooks:read",
    "webhooks:write",
    "invoices:read",
    "invoices:write",
    "cards:sensitive_read",
    "merchants:read",
    "merchants:write",
    "organizations:read",
    "organizations:write",
)
