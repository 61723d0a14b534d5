"""Imports the tasks of each package, because Celery looks for them here."""

from accounts.controls import tasks as controls
from accounts.organizations import tasks as organizations
from accounts.transfers import tasks as transfers

__all__ = ["controls", "organizations", "transfers"]
