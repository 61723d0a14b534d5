"""What support sees and may do here. Django looks for it in this module."""

from accounts.admin import money, people, rails

__all__ = ["money", "people", "rails"]
