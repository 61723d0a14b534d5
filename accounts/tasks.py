"""Imports the tasks of each package, because Celery looks for them here."""

from accounts.organizations import tasks as organizations
from accounts.transfers import tasks as transfers

__all__ = ["organizations", "transfers"]
