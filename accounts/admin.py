"""Django finds the admin pages of this app here; each package registers its own."""

from accounts.organizations import admin as organizations
from accounts.payments import admin as payments
from accounts.transfers import admin as transfers

__all__ = ["organizations", "payments", "transfers"]
