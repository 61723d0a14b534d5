"""The admin pages of this app, where Django looks for them."""

from links.payment_links import admin as payment_links

__all__ = ["payment_links"]
