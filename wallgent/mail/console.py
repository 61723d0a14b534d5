"""Prints emails, for development."""

import sys

from django.core.mail.backends import console


class EmailBackend(console.EmailBackend):
    """Django's, but in UTF-8 under any locale, and past Celery, which logs what tasks print."""

    def __init__(self, *args, **kwargs):
        stream = open(sys.__stdout__.fileno(), "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        super().__init__(*args, **{"stream": stream} | kwargs)
