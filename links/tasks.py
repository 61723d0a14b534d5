"""The tasks of this app, where Celery looks for them."""

from links.payment_links import tasks as payment_links

__all__ = ["payment_links"]
