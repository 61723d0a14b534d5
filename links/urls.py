"""Imports the API of each package: its operations declare their paths."""

from links.payment_links.api import claims, payment_links

__all__ = ["claims", "payment_links"]
