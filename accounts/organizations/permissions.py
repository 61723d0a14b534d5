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

READ = frozenset(name for name in ALL if name.endswith(":read"))

# The permissions of each role. Which roles may manage which is in services/members.py.
OF_ROLE = {
    "OWNER": frozenset(ALL),
    "ADMIN": frozenset(ALL),
    "MEMBER": READ | {"wallets:write", "payments:write", "invoices:write"},
    "VIEWER": READ,
}
