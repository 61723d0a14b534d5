"""Celery finds the tasks of the platform here; each package has its own."""

from wallgent.api import tasks as api
from wallgent.due_work import tasks as due_work
from wallgent.imports import tasks as imports
from wallgent.mail import tasks as mail

__all__ = ["api", "due_work", "imports", "mail"]
