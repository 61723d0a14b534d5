"""Imports the API of each package: its operations declare their paths."""

from accounts.controls.api import approvals
from accounts.organizations.api import api_keys, organizations, sandbox_clock
from accounts.payments.api import batches, internal_payments, payments
from accounts.transfers.api import sandbox, transfers
from accounts.wallets import api as wallets

__all__ = [
    "api_keys",
    "approvals",
    "batches",
    "internal_payments",
    "organizations",
    "payments",
    "sandbox",
    "sandbox_clock",
    "transfers",
    "wallets",
]
