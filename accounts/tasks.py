"""Imports the tasks of each package, because Celery looks for them here."""

from accounts.organizations import tasks as organizations

__all__ = ["organizations"]
