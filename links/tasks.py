"""Celery finds the tasks of this app here."""

from links.payment_links import tasks as payment_links

__all__ = ["payment_links"]
