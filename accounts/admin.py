"""Imports the admin pages of each package, because Django looks for them here."""

from accounts.controls import admin as controls
from accounts.organizations import admin as organizations
from accounts.pay_ins import admin as pay_ins
from accounts.payments import admin as payments
from accounts.transfers import admin as transfers
from accounts.wallets import admin as wallets

__all__ = ["controls", "organizations", "pay_ins", "payments", "transfers", "wallets"]
