"""Django finds the admin pages of this app here."""

from links.payment_links import admin as payment_links

__all__ = ["payment_links"]
